import { AttestdError } from '../../base/errors.ts'
import { type CommandIo, escaped, painted } from './terminal.ts'

/** What `--json` prints for an error: the vocabulary of docs/errors.md. */
export function errorDocument(error: AttestdError): Record<string, unknown> {
  const { code, kind, message, remedy, retryable, facts } = error
  return { error: { code, kind, detail: message, remedy, retryable, ...facts } }
}

/**
 * Reports an error on standard error with its remedy and gives the exit code. Anything but an `AttestdError` is a
 * bug: it is thrown on, and the process ends with its stack.
 */
export function reportError(error: unknown, io: CommandIo, json: boolean): number {
  if (!(error instanceof AttestdError)) throw error
  if (json) io.err(`${JSON.stringify(errorDocument(error))}\n`)
  else {
    const lines = error.message.split('\n').map(escaped).join('\n  ')
    io.err(`${painted(io, 'red', 'error')} ${error.code}: ${lines}\n  remedy: ${error.remedy}\n`)
  }
  return error.exitCode
}
