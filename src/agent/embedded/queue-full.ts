import type { AttestdError } from '../../base/errors.ts'
import { passportErrors } from '../../passport/errors.ts'

/** BRK-81: refused at once, with when to come again; never sooner than in a second, for the queue is full now. */
export function queueFull(says: string, waitMs: number): AttestdError {
  return passportErrors.error('quote_queue_full', says, {
    facts: { retry_after_ms: Math.max(Math.ceil(waitMs), 1_000) },
  })
}
