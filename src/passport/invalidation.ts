import type { TokenRequest } from '../results/token-request.ts'
import type { CacheEntry } from './cache-entry.ts'
import { sameSet } from './cache-key.ts'
import type { Instant } from './clock-watch.ts'
import { failureIn } from './entry.ts'
import type { Issuer, Issuers } from './issuers.ts'
import type { TokenCache } from './token-cache.ts'

/** Which entries an event concerns: all given members must fit; none given concerns nothing. */
export interface Invalidation {
  readonly issuer?: string
  readonly kid?: string
  readonly audience?: string
  readonly all?: boolean
  /** `true`: the tokens are worth nothing any more. `false`: they are renewed soon and served meanwhile. */
  readonly hard: boolean
}

/** What the broker remembers, for those who change all of it at once. */
export interface Stock {
  readonly issuers: Issuers
  readonly cache: TokenCache
}

const verdictSpreadMs = 60_000

/** Whether a request may bring a token that the invalidation is about; its `kid` is known only when it is there. */
function mayBring({ issuer, audience, kid, all }: Invalidation, request: TokenRequest): boolean {
  if (!all && issuer === undefined && audience === undefined && kid === undefined) return false
  if (issuer !== undefined && request.issuer !== issuer) return false
  return audience === undefined || request.audience.includes(audience)
}

function concerns(invalidation: Invalidation, { request, held }: CacheEntry): boolean {
  const { kid } = invalidation
  return mayBring(invalidation, request) && (kid === undefined || held?.accepted.kid === kid)
}

/**
 * Acts on an event of broker.md section 8, completely and in one step (BRK-76). What is under way and may bring just what was
 * declared worthless is cut off too. Gives the number of entries whose token or schedule it changed.
 */
export function invalidateEntries({ issuers, cache }: Stock, invalidation: Invalidation, instant: Instant): number {
  let count = 0
  const softened: CacheEntry[] = []
  for (const entry of cache.all()) {
    if (concerns(invalidation, entry)) {
      count++
      if (invalidation.hard) entry.emptied('invalidated')
      else softened.push(entry)
    } else if (invalidation.hard && mayBring(invalidation, entry.request)) entry.returned()
  }
  if (invalidation.hard) supersedeUnshared(issuers, (request) => mayBring(invalidation, request))
  for (const issuer of issuers.all()) soften(softened.filter(isOf(issuer)), issuer, instant)
  return count
}

const isOf =
  ({ source }: Issuer) =>
  ({ request }: CacheEntry) =>
    request.issuer === source.name

function soften(entries: readonly CacheEntry[], { gate }: Issuer, instant: Instant): void {
  for (const entry of entries) entry.softened(instant)
  const failing = entries.filter(({ state }) => failureIn(state) !== null)
  if (failing.length === 0) return
  const at = gate.noteEvent(instant)
  for (const entry of failing) entry.encouraged(at, at)
}

function supersedeUnshared(issuers: Issuers, which: (request: TokenRequest) => boolean): void {
  for (const { unshared } of issuers.all()) {
    for (const flight of unshared) if (which(flight.plan.request)) flight.cancel()
  }
}

/**
 * BRK-47: a token must not outlive the knowledge that we no longer comply. What was issued under the same policies is asked for
 * again soon; each such token decides for itself, and not more often than once a minute.
 */
export function spreadVerdict(cache: TokenCache, { source }: Issuer, verdictOn: TokenRequest, instant: Instant): void {
  for (const entry of cache.all()) {
    const { request, held } = entry
    if (request.issuer !== source.name || !sameSet(request.policyIds, verdictOn.policyIds)) continue
    if (held !== null && instant.boot - held.receivedAtBoot >= verdictSpreadMs) entry.softened(instant)
  }
}

/** BRK-46: an issuer that serves one entry again is worth an attempt for the others that it failed. */
export function relieveOthers(cache: TokenCache, { source }: Issuer, { boot }: Instant): void {
  for (const entry of cache.all()) {
    if (entry.request.issuer !== source.name || failureIn(entry.state)?.class !== 'transport') continue
    entry.encouraged(boot, boot)
  }
}

/**
 * A restored snapshot: boot time can no longer vouch for any token, and another copy of this guest may hold the nonces and
 * challenges that are under way. Fails closed (BRK-63).
 */
export function forgetEverything({ issuers, cache }: Stock, instant: Instant): void {
  for (const { gate } of issuers.all()) gate.forgetTimes(instant)
  supersedeUnshared(issuers, () => true)
  for (const entry of cache.all()) {
    entry.emptied('snapshot')
    entry.forgetTimes()
  }
}
