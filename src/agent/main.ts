#!/usr/bin/env node
import { Command } from 'commander'
import { agentErrors } from './errors.ts'
import { CommandEnd } from './presentation/command-end.ts'
import { reportError } from './presentation/errors.ts'
import { type CommandIo, processIo } from './presentation/terminal.ts'
import { isShown, refusingUsage, UsageRefusal } from './presentation/usage.ts'
import { endDespiteThreads } from './process-end.ts'
import { version } from './version.ts'

/**
 * Exit code of a command line that cannot be understood (sysexits.h EX_USAGE). `exec` has that of shells (API-170): what it
 * ends with is else its command's code, and scripts must not take 64 for one. `policy` has three codes in all (POL-804).
 */
const usageOf = (first: string | undefined) => (first === 'exec' || first === 'policy' ? 2 : 64)

/** POL-804: 1 for a policy that is not good, 2 for whatever kept the command from judging it. */
const endOf = (code: number, first: string | undefined) => (first === 'policy' && code > 1 ? 2 : code)

/** sysexits.h EX_SOFTWARE: a bug. The service manager starts the agent again (BRK-145). */
const internal = 70

/** From the report of an error to the end of the process, if a device still holds a thread of it. */
const longestEndMs = 500

/** Loaded when asked for: `attestd token` in a script must not wait for the code of the agent. */
const commands: Readonly<Record<string, (io: CommandIo) => Promise<Command>>> = {
  run: async () => (await import('./commands/run.ts')).runCommand(),
  token: async (io) => (await import('./commands/token.ts')).tokenCommand(io),
  gcp: async (io) => (await import('./commands/gcp.ts')).gcpCommand(io),
  exec: async (io) => (await import('./commands/exec.ts')).execCommand(io),
  evidence: async (io) => (await import('./commands/evidence.ts')).evidenceCommand(io),
  appraise: async (io) => (await import('./commands/appraise.ts')).appraiseCommand(io),
  collateral: async (io) => (await import('./commands/collateral.ts')).collateralCommand(io),
  reference: async (io) => (await import('./commands/reference.ts')).referenceCommand(io),
  policy: async (io) => (await import('./commands/policy.ts')).policyCommand(io),
  inspect: async (io) => (await import('./commands/inspect.ts')).inspectCommand(io),
  verify: async (io) => (await import('./commands/verify.ts')).verifyCommand(io),
  status: async (io) => (await import('./commands/status.ts')).statusCommand(io),
  verifier: async (io) => (await import('./commands/verifier.ts')).verifierCommand(io),
  registry: async (io) => (await import('./commands/registry.ts')).registryCommand(io),
  journal: async (io) => (await import('./commands/journal.ts')).journalCommand(io),
  'fault-matrix': async () => (await import('./commands/fault-matrix.ts')).faultMatrixCommand(),
  doctor: async (io) => (await import('./commands/doctor.ts')).doctorCommand(io),
}

/** With the one command that is asked for, or with all where help is. */
async function program(io: CommandIo, first: string | undefined): Promise<Command> {
  const attestd = new Command('attestd')
    .description('attestation agent and verifier for confidential and trusted guests')
    .version(version)
  const asked = first !== undefined && Object.hasOwn(commands, first) ? [first] : Object.keys(commands)
  for (const name of first === '--version' || first === '-V' ? [] : asked) {
    const load = commands[name]
    if (load) attestd.addCommand(await load(io))
  }
  return attestd
}

async function main(): Promise<number> {
  try {
    const attestd = await program(processIo(), process.argv[2])
    await refusingUsage(attestd).parseAsync()
    return 0
  } catch (error) {
    if (error instanceof CommandEnd) return error.exitCode
    if (isShown(error)) return error.exitCode === 0 ? 0 : usageOf(process.argv[2])
    const isUsage = error instanceof UsageRefusal
    const reported = reportError(isUsage ? error.reported : error, processIo(), process.argv.includes('--json'))
    if (isUsage) return usageOf(process.argv[2])
    const code = endOf(reported, process.argv[2])
    endDespiteThreads(code, longestEndMs)
    return code
  }
}

process.on('uncaughtException', (error) => {
  process.stderr.write(`${error.stack ?? error.message}\n`)
  process.exit(internal)
})
// Whoever reads no further, as `head` does, has what they wanted. A full disk is no bug, and half a policy no success.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  if (error.syscall === undefined) throw error
  const refused = agentErrors.error('OUTPUT_UNWRITABLE', `standard output: ${error.code}`, { cause: error })
  process.exit(endOf(reportError(refused, processIo(), process.argv.includes('--json')), process.argv[2]))
})
process.exitCode = await main()
