import { AttestdError } from '../base/errors.ts'
import { issuerErrors } from './errors.ts'

/** A refusal as RFC 9457 has it (ERR-01): what to send, and with which status. */
export interface Problem {
  readonly status: number
  readonly body: string
}

/** An error as a problem document. What is not an `AttestdError` is a bug: the answer says nothing about it. */
export function composeProblem(error: unknown): Problem {
  const known =
    error instanceof AttestdError ? error : issuerErrors.error('AS.INTERNAL.ERROR', 'the server failed to answer')
  const { code, status, message, retryable, remedy } = known
  const title =
    code in issuerErrors.declared ? issuerErrors.declared[code as keyof typeof issuerErrors.declared].title : code
  const type = `urn:attestd:problem:${code.toLowerCase()}`
  return { status, body: JSON.stringify({ type, title, status, code, detail: message, retryable, remedy }) }
}
