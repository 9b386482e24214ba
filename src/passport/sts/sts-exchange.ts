import type { Clock } from '../../base/clock.ts'
import { type AttestdError, MalformedError } from '../../base/errors.ts'
import { abandonable } from '../../base/tasks.ts'
import { retryAfterMs } from '../remote/answer.ts'
import type { AttestationAnswer, AttestationTransport } from '../remote/attestation-transport.ts'
import { stsErrors } from './errors.ts'

/** What every client of a token service is made of. */
export interface StsParts {
  readonly transport: AttestationTransport
  readonly clock: Pick<Clock, 'now' | 'sleep'>
  /** Limit of one exchange as a whole; default 15 000 (BRK-48). */
  readonly exchangeMs?: number
}

export interface StsRequest {
  readonly url: URL
  readonly form: URLSearchParams
}

/** An answer has a few kilobytes. */
const maxBytes = 65_536
/** Each request has a copy: what a transport adds to one must be in no other one (BRK-49). */
const commonHeaders = Object.freeze({
  'content-type': 'application/x-www-form-urlencoded',
  'accept-encoding': 'identity',
})
const codeForm = /^[A-Za-z0-9.]{1,64}$/

function networkCode(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^[A-Z0-9_]{2,64}$/.test(code) ? code : 'UNKNOWN'
}

async function exchange({ url, form }: StsRequest, parts: StsParts, outer: AbortSignal): Promise<AttestationAnswer> {
  const { transport, clock, exchangeMs = 15_000 } = parts
  outer.throwIfAborted()
  const [limit, ended] = [new AbortController(), new AbortController()]
  const abort = () => limit.abort(outer.reason)
  outer.addEventListener('abort', abort, { once: true })
  const late = Object.assign(new Error('no complete answer in time'), { code: 'EXCHANGE_TIMEOUT' })
  clock.sleep(exchangeMs, ended.signal).then(
    () => limit.abort(late),
    () => undefined,
  )
  const body = new TextEncoder().encode(form.toString())
  try {
    return await abandonable(
      transport.post({ url, headers: { ...commonHeaders }, body, maxBytes }, limit.signal),
      limit.signal,
    )
  } finally {
    ended.abort()
    outer.removeEventListener('abort', abort)
  }
}

/**
 * One POST of a form to a token service, within the limits of BRK-48, following nothing. Throws `sts_unavailable` where
 * nothing whole came, or the reason of `signal`. The token is in the form and never in the URL.
 */
export async function postForm(request: StsRequest, parts: StsParts, signal: AbortSignal): Promise<AttestationAnswer> {
  try {
    return await exchange(request, parts, signal)
  } catch (error) {
    signal.throwIfAborted()
    const { origin: endpoint } = request.url
    const code = networkCode(error)
    const facts = { endpoint, network_code: code }
    throw stsErrors.error('sts_unavailable', `${endpoint}: no complete answer came (${code})`, { facts, cause: error })
  }
}

export interface StsRefusal {
  readonly endpoint: string
  /** As the body of the answer gives it; null where it is none of this service. */
  readonly code: string | null
  /** Codes of this service that may pass by themselves. */
  readonly transient: RegExp
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** What an answer without credentials means. Messages of the service are left out: they may repeat the token. */
export function stsRefused({ status, retryAfter }: AttestationAnswer, refusal: StsRefusal): AttestdError {
  const { endpoint, transient, now } = refusal
  const code = refusal.code !== null && codeForm.test(refusal.code) ? refusal.code : null
  const pause = retryAfterMs(retryAfter, now)
  const facts = { endpoint, status, upstream_code: code ?? `HTTP_${status}` }
  if (status >= 500 || status === 429 || status === 408 || (code !== null && transient.test(code))) {
    const more = pause === null ? {} : { retry_after_ms: pause }
    const says = `${endpoint} cannot serve at present: ${status} ${facts.upstream_code}`
    return stsErrors.error('sts_unavailable', says, { facts: { ...facts, ...more } })
  }
  if (status < 400 || code === null) {
    return stsErrors.error('sts_answer_invalid', `${endpoint} answered ${status} with what is no answer to this`, {
      facts,
    })
  }
  return stsErrors.error('sts_refused', `${endpoint} refused the role: ${status} ${code}`, { facts })
}

/** What `parse` makes of an answer; null where it does not parse. */
export function parsedOrNull<T>(parse: () => T): T | null {
  try {
    return parse()
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}
