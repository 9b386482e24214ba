import type { EntryDescription, LastError } from '../results/served-token.ts'
import type { CacheEntry } from './cache-entry.ts'
import type { Instant } from './clock-watch.ts'
import { failureIn, generationIn } from './entry.ts'
import type { Failure } from './failure.ts'
import { leftMs } from './held-token.ts'
import type { Issuer } from './issuers.ts'

/** Everything about the broker that is not secret: no token, nonce or key (API-110). Times in seconds. */
export interface BrokerStatus {
  /** Every warm token is there with a tenth of its life left, and the clock is believable; token files speak for themselves. */
  readonly ready: boolean
  /** Why not: `warm:<position>:<state>`, `clock_unsafe`, `draining`. */
  readonly reasons: readonly string[]
  readonly clock: 'safe' | 'unsafe'
  readonly draining: boolean
  readonly flights: number
  readonly waiters: number
  readonly issuers: readonly IssuerStatus[]
  readonly entries: readonly EntryStatus[]
  readonly counts: BrokerCounts
}

export interface IssuerStatus {
  readonly name: string
  readonly generation: number
  readonly breaker: 'closed' | 'open'
}

export interface EntryStatus extends EntryDescription {
  readonly issuer: string
  readonly audience: readonly string[]
  /** Declared to be at hand; to be delivered as a file. */
  readonly warm: boolean
  readonly sink: boolean
}

/** Totals since the start. */
export interface BrokerCounts {
  readonly started: number
  readonly landed: number
  readonly failed: number
  readonly lateResultsDropped: number
  readonly joins: number
}

/** What a status is made of. */
export interface StatusInput {
  readonly instant: Instant
  readonly entries: readonly CacheEntry[]
  readonly issuers: readonly Issuer[]
  readonly clockUnsafe: boolean
  readonly draining: boolean
  readonly flying: number
  readonly counts: BrokerCounts
}

export function describeEntry(entry: CacheEntry | undefined, instant: Instant): EntryDescription {
  if (entry === undefined) return { state: 'empty', expiresAt: null, refreshAt: null, generation: 0, lastError: null }
  entry.age(instant)
  const { held, state } = entry
  const failure = failureIn(state)
  return {
    state: state.kind,
    expiresAt: held?.accepted.expiresAt ?? null,
    refreshAt: held === null ? null : Math.floor(held.refreshAtWall / 1000),
    generation: generationIn(state),
    lastError: failure === null ? null : { code: failure.error.code, at: failure.at, ...denialIn(failure) },
  }
}

/** Of a denial by an appraisal policy, which one and why: the same members as in the answer that refused (POL-820). */
function denialIn({ error: { facts } }: Failure): Pick<LastError, 'denial'> {
  const { policy_id: policy, reason, lines = '' } = facts
  if (typeof policy !== 'string' || typeof reason !== 'string') return {}
  return { denial: { policy, reason, lines: String(lines) } }
}

function warmReasons(entries: readonly CacheEntry[], instant: Instant): readonly string[] {
  const warm = entries.filter(({ purposes }) => purposes.warm)
  return warm.flatMap(({ held, state }, position) => {
    const sound = held !== null && leftMs(held, instant) >= 0.1 * held.lifeMs
    return sound ? [] : [`warm:${position}:${held === null ? state.kind : 'expiring'}`]
  })
}

export function describeStatus(input: StatusInput): BrokerStatus {
  const { instant, entries, issuers, clockUnsafe, draining, flying, counts } = input
  const described = entries.map((entry) => ({
    ...describeEntry(entry, instant),
    issuer: entry.request.issuer,
    audience: entry.request.audience,
    ...entry.purposes,
  }))
  const reasons = [
    ...warmReasons(entries, instant),
    ...(clockUnsafe ? ['clock_unsafe'] : []),
    ...(draining ? ['draining'] : []),
  ]
  return {
    ready: reasons.length === 0,
    reasons,
    clock: clockUnsafe ? 'unsafe' : 'safe',
    draining,
    flights: flying,
    waiters: entries.reduce((sum, { waiters }) => sum + waiters, 0),
    issuers: issuers.map(({ source, gate }) => ({
      name: source.name,
      generation: source.generation,
      breaker: gate.isOpen ? 'open' : 'closed',
    })),
    entries: described,
    counts,
  }
}
