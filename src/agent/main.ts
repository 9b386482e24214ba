#!/usr/bin/env node
import { Command, CommanderError } from 'commander'
import { appraiseCommand } from './commands/appraise.ts'
import { doctorCommand } from './commands/doctor.ts'
import { evidenceCommand } from './commands/evidence.ts'
import { inspectCommand } from './commands/inspect.ts'
import { runCommand } from './commands/run.ts'
import { statusCommand } from './commands/status.ts'
import { tokenCommand } from './commands/token.ts'
import { verifyCommand } from './commands/verify.ts'
import { reportError } from './presentation/errors.ts'
import { processIo } from './presentation/terminal.ts'
import { version } from './version.ts'

/** Exit code of a command line that cannot be understood (sysexits.h EX_USAGE). */
const usage = 64

function program(): Command {
  const io = processIo()
  return new Command('attestd')
    .description('attestation agent and verifier for confidential and trusted guests')
    .version(version)
    .addCommand(runCommand())
    .addCommand(tokenCommand(io))
    .addCommand(evidenceCommand(io))
    .addCommand(appraiseCommand(io))
    .addCommand(inspectCommand(io))
    .addCommand(verifyCommand(io))
    .addCommand(statusCommand(io))
    .addCommand(doctorCommand(io))
}

/** Commander prints its own complaints; help and version are no complaint. */
function exitOverridden(command: Command): Command {
  for (const sub of command.commands) exitOverridden(sub)
  return command.exitOverride()
}

async function main(): Promise<number> {
  try {
    await exitOverridden(program()).parseAsync()
    return 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : usage
    return reportError(error, processIo(), process.argv.includes('--json'))
  }
}

process.exitCode = await main()
