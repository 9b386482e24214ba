import { AttestdError, MalformedError } from '../base/errors.ts'
import { type JsonObject, parseJsonObject } from '../base/json.ts'
import { abandonable } from '../base/tasks.ts'
import { clipText } from './describe-value.ts'
import { relyingPartyErrors } from './errors.ts'
import { type PublicKeySet, parseKeySet } from './public-keys.ts'
import type { TokenClock } from './token-clock.ts'

/** What a server answered to one request. */
export interface KeyAnswer {
  readonly status: number
  /** The `Location` header, as it came. */
  readonly location?: string
  /** At most `maxBytes`, without content coding. */
  readonly body: Uint8Array
}

/** One HTTP exchange. Tests and hosts with their own HTTP client bring one; `createKeyTransport` is the usual one. */
export interface KeyTransport {
  /**
   * Sends one GET without credentials and gives the answer as it is: redirects are not followed. Verifies the server's
   * certificate. Rejects when the body is longer than `maxBytes` or when `signal` aborts.
   */
  get(url: URL, limits: { readonly maxBytes: number; readonly signal: AbortSignal }): Promise<KeyAnswer>
}

/** How the keys of an issuer are reached. */
export interface KeyAccess {
  readonly transport: KeyTransport
  readonly clock: TokenClock
  /** Allows plain http to this host itself, for development and tests (TOK-82). */
  readonly allowLoopbackHttp: boolean
}

/** TOK-82. */
export const keyLimits = { maxBytes: 65_536, timeoutMs: 5_000, redirects: 3 } as const

const loopbackHost = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])$/

export function isLoopbackHttp(url: URL): boolean {
  return url.protocol === 'http:' && loopbackHost.test(url.hostname)
}

function unavailable(url: URL | string, problem: string, cause?: unknown): AttestdError {
  const place = clipText(String(url))
  return relyingPartyErrors.error('keys_unavailable', `${place}: ${problem}`, {
    facts: { url: place },
    ...(cause === undefined ? {} : { cause }),
  })
}

function requireSecure(text: string, access: KeyAccess, base?: URL): URL {
  const url = URL.canParse(text, base?.href) ? new URL(text, base) : undefined
  if (url === undefined) throw unavailable(text, 'is not a URL')
  if (url.username !== '' || url.password !== '') throw unavailable(url.origin, 'the URL carries credentials')
  if (url.protocol === 'https:' || (access.allowLoopbackHttp && isLoopbackHttp(url))) return url
  throw unavailable(url, 'keys are fetched over https only; http needs allowLoopbackHttp and an address of this host')
}

/** Follows redirects as far as they stay on the scheme, host and port that the operator trusts. */
async function exchange(start: URL, access: KeyAccess, signal: AbortSignal): Promise<KeyAnswer> {
  let url = start
  for (let hop = 0; hop <= keyLimits.redirects; hop++) {
    const answer = await access.transport.get(url, { maxBytes: keyLimits.maxBytes, signal })
    if (answer.status < 300 || answer.status > 399 || answer.location === undefined) return answer
    const next = requireSecure(answer.location, access, url)
    if (next.origin !== start.origin) throw unavailable(start, `redirects to another host: ${next.origin}`)
    url = next
  }
  throw unavailable(start, `redirects more than ${keyLimits.redirects} times`)
}

/** Runs `work` for at most the time limit; the limit holds even if the transport ignores its signal. */
async function withinTime<T>(clock: TokenClock, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const limit = new AbortController()
  const done = new AbortController()
  const expire = () => limit.abort(new Error(`no complete answer within ${keyLimits.timeoutMs} ms`))
  clock.sleep(keyLimits.timeoutMs, done.signal).then(expire, () => undefined)
  try {
    return await abandonable(work(limit.signal), limit.signal)
  } finally {
    done.abort()
  }
}

async function obtainAnswer(url: URL, access: KeyAccess): Promise<KeyAnswer> {
  try {
    return await withinTime(access.clock, (signal) => exchange(url, access, signal))
  } catch (error) {
    // Whatever a transport throws means that nothing came: fetch, for one, reports a refused connection as TypeError.
    if (error instanceof AttestdError) throw error
    throw unavailable(url, clipText(error instanceof Error ? error.message : 'the transport failed'), error)
  }
}

async function obtainDocument(url: URL, access: KeyAccess): Promise<JsonObject> {
  const { status, body } = await obtainAnswer(url, access)
  if (status !== 200) throw unavailable(url, `answered with status ${status}`)
  if (body.length > keyLimits.maxBytes) throw unavailable(url, `answered with more than ${keyLimits.maxBytes} bytes`)
  return readDocument(url, () => parseJsonObject(body, 'document', { refusePrototypeNames: true }))
}

function readDocument<T>(url: URL, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof MalformedError) throw unavailable(url, clipText(error.message), error)
    throw error
  }
}

/**
 * Obtains the key set of an issuer by OpenID Connect Discovery 1.0: the document under the issuer's own URL, which must
 * name the issuer byte for byte, then the key set that it points to. Each within 5 s and 64 KiB, over https, on one
 * host (TOK-82). Everything that goes wrong is `keys_unavailable` with the URL and the reason.
 */
export async function obtainKeySet(issuer: string, access: KeyAccess): Promise<PublicKeySet> {
  const place = requireSecure(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, access)
  const discovery = await obtainDocument(place, access)
  if (discovery['issuer'] !== issuer) throw unavailable(place, 'the document belongs to another issuer')
  const uri = discovery['jwks_uri']
  if (typeof uri !== 'string') throw unavailable(place, 'the document names no jwks_uri')
  const url = requireSecure(uri, access)
  const document = await obtainDocument(url, access)
  return readDocument(url, () => parseKeySet(document))
}
