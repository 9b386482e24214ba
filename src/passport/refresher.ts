import type { CacheEntry } from './cache-entry.ts'
import type { ClockWatch, Instant } from './clock-watch.ts'
import type { FlightDeck } from './flight-deck.ts'
import { leftMs } from './held-token.ts'
import type { Issuers } from './issuers.ts'
import type { TokenCache } from './token-cache.ts'

/** The clocks are read at least so often (BRK-60), which also keeps every timer short (BRK-23). */
const longestPauseMs = 5_000
/** Whatever is due and cannot start is looked at again after this at the earliest. */
const shortestPauseMs = 10

/** In whose name tokens are refreshed that the configuration demands. */
const declaredFor = 'declared'

export interface RefresherPorts {
  readonly issuers: Issuers
  readonly cache: TokenCache
  readonly deck: FlightDeck
  readonly watch: ClockWatch
  readonly isDraining: () => boolean
}

function urgency(entry: CacheEntry, instant: Instant): number {
  return entry.held === null ? Number.NEGATIVE_INFINITY : leftMs(entry.held, instant)
}

/**
 * Looks at every entry once: ends what is over, forgets what nobody needs, starts what is due and may start, the entries
 * without a token first. Gives the milliseconds until the next look.
 */
export function refreshOnce(ports: RefresherPorts): number {
  const instant = ports.watch.read()
  const due: CacheEntry[] = []
  let pause = longestPauseMs
  for (const entry of ports.cache.all()) {
    entry.age(instant)
    if (entry.isForgettable(instant)) ports.cache.drop(entry, 'evicted')
    const dueIn = entry.dueInMs(instant)
    if (dueIn <= 0) due.push(entry)
    else pause = Math.min(pause, dueIn, entry.held === null ? dueIn : leftMs(entry.held, instant))
  }
  due.sort((left, right) => urgency(left, instant) - urgency(right, instant))
  for (const entry of due) pause = Math.min(pause, startIfAllowed(ports, entry, instant))
  return Math.max(pause, shortestPauseMs)
}

/** Starts the refresh, or gives the milliseconds until it may start. */
function startIfAllowed(ports: RefresherPorts, entry: CacheEntry, instant: Instant): number {
  const issuer = ports.issuers.find(entry.request.issuer)
  if (issuer === undefined || ports.isDraining() || ports.watch.isUnsafe(instant)) return longestPauseMs
  const blocked = issuer.gate.backgroundBlockedForMs(instant)
  if (blocked > 0) return blocked
  ports.deck.startShared(entry, issuer, { caller: entry.creator ?? declaredFor, background: true }, instant)
  return longestPauseMs
}
