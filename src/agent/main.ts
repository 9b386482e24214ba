#!/usr/bin/env node
import { Command, CommanderError } from 'commander'
import { CommandEnd } from './presentation/command-end.ts'
import { reportError } from './presentation/errors.ts'
import { type CommandIo, processIo } from './presentation/terminal.ts'
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

/** Commander prints its own complaints; help and version are no complaint. */
function exitOverridden(command: Command): Command {
  for (const sub of command.commands) exitOverridden(sub)
  return command.exitOverride()
}

async function main(): Promise<number> {
  try {
    const attestd = await program(processIo(), process.argv[2])
    await exitOverridden(attestd).parseAsync()
    return 0
  } catch (error) {
    if (error instanceof CommandEnd) return error.exitCode
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : usageOf(process.argv[2])
    const code = endOf(reportError(error, processIo(), process.argv.includes('--json')), process.argv[2])
    endDespiteThreads(code, longestEndMs)
    return code
  }
}

process.on('uncaughtException', (error) => {
  process.stderr.write(`${error.stack ?? error.message}\n`)
  process.exit(internal)
})
// Whoever reads no further, as `head` does, has what they wanted.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})
process.exitCode = await main()
