import { AttestdError } from '../../base/errors.ts'
import { attestationErrors } from './errors.ts'

/** The client closed the connection: nobody hears an answer. */
export class ClientGone extends Error {
  constructor() {
    super('the client closed the connection')
  }
}

/** Seconds to wait where nothing else says how long. */
const usualWaitS = 5

function isOnWire(error: AttestdError): boolean {
  return Object.hasOwn(attestationErrors.declared, error.code) || error.code === 'AS.POLICY.DENIED'
}

/** What the framework refuses by itself, in our words; undefined for everything else. */
function refusedByFramework(error: unknown): AttestdError | undefined {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return attestationErrors.error('AS.REQUEST.UNSUPPORTED_MEDIA_TYPE', 'the header Content-Type is not valid')
  }
  if (code.startsWith('FST_ERR_CTP_')) {
    return attestationErrors.error('AS.REQUEST.INVALID_ARGUMENT', 'the headers of the body contradict each other')
  }
  if (code !== 'FST_ERR_BAD_URL') return undefined
  return attestationErrors.error('AS.REQUEST.INVALID_ARGUMENT', 'the URL of the request does not parse')
}

/**
 * The error as clients know it (section 6). What this service cannot do at present, for a reason that is its own, is
 * `AS.DEPENDENCY.UNAVAILABLE` with the cause for the log: no key may sign yet, or the collateral ends too soon. Anything
 * else is a bug, and the answer says nothing about it.
 */
export function wireError(error: unknown): AttestdError {
  if (!(error instanceof AttestdError)) {
    return refusedByFramework(error) ?? attestationErrors.error('AS.INTERNAL.ERROR', 'the server failed to answer')
  }
  if (isOnWire(error)) return error
  if (error.kind !== 'unavailable') return attestationErrors.error('AS.INTERNAL.ERROR', 'the server failed to answer')
  const says = 'no token can be issued at present'
  return attestationErrors.error('AS.DEPENDENCY.UNAVAILABLE', says, { cause: error, facts: { cause_code: error.code } })
}

/** Seconds for `Retry-After`, or null where none is sent (429 and 503 have one). */
export function retryAfterS({ status, facts }: AttestdError): number | null {
  if (status !== 429 && status !== 503) return null
  const { retry_after_ms: ms, retry_after_s: s } = facts
  const told = typeof ms === 'number' ? ms / 1000 : typeof s === 'number' ? s : usualWaitS
  return Math.min(120, Math.max(1, Math.ceil(told)))
}
