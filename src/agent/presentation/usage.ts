import { type Command, CommanderError } from 'commander'
import type { AttestdError } from '../../base/errors.ts'
import { agentErrors } from '../errors.ts'

/** A command line that commander refuses, with the command whose options it should have looked up. */
export class UsageRefusal extends Error {
  readonly reported: AttestdError

  constructor(command: string, complaint: string) {
    super(complaint)
    this.name = 'UsageRefusal'
    this.reported = agentErrors.error('USAGE', complaint.replace(/^error: /, ''), {
      remedy: `${command} --help shows what it takes`,
    })
  }
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`
}

/** Help that was asked for, or is shown because a subcommand is missing, and the version are no complaints. */
const isComplaint = ({ exitCode, code }: CommanderError): boolean => exitCode !== 0 && code !== 'commander.help'

/**
 * Makes a command and those below it throw `UsageRefusal` for a command line that they do not understand, and print
 * nothing of it: it is reported in the one form of all errors, also as JSON. Throws commander's own error for the rest.
 */
export function refusingUsage(command: Command): Command {
  for (const sub of command.commands) refusingUsage(sub)
  return command.configureOutput({ outputError: () => undefined }).exitOverride((error) => {
    throw isComplaint(error) ? new UsageRefusal(pathOf(command), error.message) : error
  })
}

/** What a command of `refusingUsage` showed in place of doing anything: its help, or the version. */
export const isShown = (error: unknown): error is CommanderError => error instanceof CommanderError
