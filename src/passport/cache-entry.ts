import type { TokenRequest } from '../results/token-request.ts'
import {
  pauseAfterVerdict,
  pauseAsAsked,
  pauseWhenMisconfigured,
  pauseWithoutToken,
  pauseWithToken,
} from './backoff.ts'
import { type BrokerObserver, type TokenEnd, tokenFacts } from './broker-events.ts'
import type { Instant } from './clock-watch.ts'
import type { Purposes } from './declared-request.ts'
import type { EntryState } from './entry.ts'
import * as states from './entry.ts'
import type { Failure } from './failure.ts'
import type { Flight } from './flight.ts'
import { type HeldToken, heldForFile, leftMs } from './held-token.ts'

/** Attempts for one entry start at least so far apart, whatever causes them: no loop can become tight. */
const attemptSpacingMs = 1_000
const softMergeMs = 1_000
/** Refreshes without a use after which an entry lapses (BRK-71). */
const unusedRefreshes = 2

/** How a failure bears on an entry. */
export interface Setback {
  readonly failure: Failure
  readonly instant: Instant
  readonly unit: number
  /** Whether a verdict against us also ends the service of the token at hand (BRK-47). */
  readonly evictOnVerdict: boolean
}

/**
 * The slot of one key: its state, and what decides when the next attempt for it is made. Whoever changes it decides and
 * changes in one synchronous step; nothing here waits.
 */
export class CacheEntry {
  readonly key: string
  readonly request: TokenRequest
  /** Requests that wait for it. */
  waiters = 0
  #state: EntryState = states.emptyState
  #creator: string | null
  #purposes: Purposes = { warm: false, sink: false }
  readonly #observe: BrokerObserver
  #lastGeneration = 0
  #lastStartAt = Number.NEGATIVE_INFINITY
  #dueAt = Number.NEGATIVE_INFINITY
  #notBefore = Number.NEGATIVE_INFINITY
  #soft: { readonly at: number; readonly generation: number } | null = null
  #vacantFailures = 0
  #lastUseAt: number | null = null
  #refreshesSinceUse = 0
  #lifeMs = 0

  constructor(key: string, request: TokenRequest, creator: string | null, observe: BrokerObserver) {
    this.key = key
    this.request = request
    this.#creator = creator
    this.#observe = observe
  }

  get state(): EntryState {
    return this.#state
  }

  /** Every change of state goes through here. `why`: how the token at hand ends, if it does. */
  #become(state: EntryState, why: TokenEnd): void {
    const before = this.#state
    this.#state = state
    const [held, stored] = [states.heldIn(before), states.heldIn(state)]
    if (held !== stored) {
      if (held !== null) this.#tell('ended', held, states.generationIn(before), why)
      if (stored !== null) this.#tell('stored', stored, states.generationIn(state), why)
    }
    const { request } = this
    if (before.kind !== state.kind)
      this.#observe({ event: 'state_changed', request, from: before.kind, to: state.kind })
  }

  #tell(event: 'stored' | 'ended', held: HeldToken, generation: number, why: TokenEnd): void {
    const { request } = this
    const token = tokenFacts(held, request.issuer, generation)
    this.#observe(event === 'stored' ? { event, request, token } : { event, request, token, why })
  }

  /** Whose share of the cache it counts against; `null` for a declared (warm) entry, which always has demand. */
  get creator(): string | null {
    return this.#creator
  }

  /** The configuration names it from now on, for nothing else than this. A token at hand is renewed as its new use demands. */
  declared(purposes: Purposes): void {
    this.#creator = null
    this.#purposes = purposes
    if (!purposes.sink || this.held === null) return
    const held = heldForFile(this.held)
    this.#state = states.rescheduled(this.state, held)
    this.#dueAt = Math.min(this.#dueAt, held.refreshAtBoot)
  }

  /** What the configuration names it for. */
  get purposes(): Purposes {
    return this.#purposes
  }

  get held(): HeldToken | null {
    return states.heldIn(this.state)
  }

  get flight(): Flight | null {
    return states.flightIn(this.state)
  }

  /** When it was last used, monotonic milliseconds. */
  get lastUseAt(): number {
    return this.#lastUseAt ?? Number.NEGATIVE_INFINITY
  }

  /** Whether it is worth refreshing without anybody waiting (BRK-70, BRK-71). A use counts for two lives at most. */
  hasDemand({ monotonic }: Instant): boolean {
    if (this.#creator === null) return true
    if (this.#lastUseAt === null || this.#refreshesSinceUse >= unusedRefreshes) return false
    return monotonic - this.#lastUseAt < 2 * this.#lifeMs
  }

  /** Counts a use (BRK-72). True when demand is back that was not there. */
  use(instant: Instant): boolean {
    const revived = !this.hasDemand(instant)
    this.#lastUseAt = instant.monotonic
    this.#refreshesSinceUse = 0
    this.#become(states.wanted(this.state), 'replaced')
    return revived
  }

  /** Milliseconds until anybody may start an attempt; not positive: now. */
  blockedForMs({ boot }: Instant): number {
    return Math.max(states.retryAtIn(this.state), this.#lastStartAt + attemptSpacingMs) - boot
  }

  /** Milliseconds until the schedule wants an attempt; infinite while one is under way or nobody would use the result. */
  dueInMs(instant: Instant): number {
    if (this.flight !== null || !this.hasDemand(instant)) return Number.POSITIVE_INFINITY
    return Math.max(this.#scheduledInMs(instant), this.#notBefore - instant.boot, this.blockedForMs(instant))
  }

  #scheduledInMs({ boot, wall }: Instant): number {
    const byWall = this.held === null ? Number.POSITIVE_INFINITY : this.held.refreshAtWall - wall
    return Math.min(this.#dueAt - boot, byWall)
  }

  /** Ends the token at hand if its time is over, and its demand if nobody used it. */
  age(instant: Instant): void {
    if (this.held !== null && leftMs(this.held, instant) <= 0) {
      this.#become(states.expired(this.state), 'expired')
      this.#dueAt = Number.NEGATIVE_INFINITY
    }
    const unused = !this.hasDemand(instant) && this.#scheduledInMs(instant) <= 0
    if (unused) this.#become(states.lapsed(this.state), 'expired')
  }

  /** True when nothing is lost by forgetting it: no token, nobody waits, no pause after a failure to be kept. */
  isForgettable(instant: Instant): boolean {
    if (this.#creator === null || this.waiters > 0 || this.flight !== null || this.held !== null) return false
    return !this.hasDemand(instant) && this.blockedForMs(instant) <= 0
  }

  /** The generation of the flight that starts next (BRK-33). */
  nextGeneration(): number {
    this.#lastGeneration++
    return this.#lastGeneration
  }

  departed(flight: Flight): void {
    this.#become(states.departed(this.state, flight), 'replaced')
    this.#lastStartAt = flight.plan.started.boot
    this.#notBefore = Number.NEGATIVE_INFINITY
  }

  /** The flight is given up, or ended without a result that counts. */
  returned(): void {
    this.flight?.cancel()
    this.#become(states.returned(this.state), 'replaced')
  }

  landed(received: HeldToken, { plan }: Flight): void {
    const refreshed = this.held !== null
    const held = this.#purposes.sink ? heldForFile(received) : received
    this.#become({ kind: 'fresh', held, generation: plan.generation }, 'replaced')
    this.#lifeMs = held.lifeMs
    this.#vacantFailures = 0
    if (refreshed || plan.background) this.#refreshesSinceUse++
    if (this.#soft !== null && plan.generation >= this.#soft.generation) this.#soft = null
    this.#dueAt = Math.min(held.refreshAtBoot, this.#soft?.at ?? Number.POSITIVE_INFINITY)
  }

  failed(setback: Setback): void {
    const { failure, instant, evictOnVerdict } = setback
    const retryAt = instant.boot + this.#pauseAfter(setback)
    const evict = failure.class === 'verdict' && evictOnVerdict
    this.#become(states.disappointed(this.state, failure, retryAt, evict), 'verdict')
    this.#dueAt = Math.min(this.#dueAt, retryAt)
  }

  #pauseAfter({ failure, instant, unit }: Setback): number {
    if (failure.class === 'verdict') return pauseAfterVerdict(unit)
    if (failure.class === 'misconfigured' || failure.class === 'unsupported') return pauseWhenMisconfigured
    const left = this.held === null ? 0 : leftMs(this.held, instant)
    if (left <= 0) this.#vacantFailures++
    if (failure.retryAfterMs !== null) {
      return pauseAsAsked({
        retryAfterMs: failure.retryAfterMs,
        leftMs: left > 0 ? left : null,
        lifeMs: this.held?.lifeMs ?? 0,
      })
    }
    return left > 0 ? pauseWithToken(left, unit) : pauseWithoutToken(this.#vacantFailures, unit)
  }

  /**
   * The token is worth nothing any more, and neither is what a flight under way would bring: it is cut off here, so that no
   * late result can bring the entry back to life (BRK-33).
   */
  emptied(why: TokenEnd): void {
    this.flight?.cancel()
    this.#become(states.emptyState, why)
    this.#dueAt = Number.NEGATIVE_INFINITY
    this.#soft = null
  }

  /**
   * The token stays served, a newer one is wanted from a flight that starts from now on. Until that starts, further events
   * are the same event (BRK-75).
   */
  softened({ boot }: Instant): void {
    const generation = this.#lastGeneration + 1
    if (this.#soft?.generation === generation) return
    this.#soft = { at: boot + softMergeMs, generation }
    this.#dueAt = Math.min(this.#dueAt, this.#soft.at)
  }

  /** An event makes an attempt worth while: callers may cause one from `at` on, the schedule makes one at `ownAt` (BRK-45). */
  encouraged(at: number, ownAt: number): void {
    this.#become(states.pauseCut(this.state, at), 'replaced')
    this.#vacantFailures = 0
    this.postponed(ownAt)
    this.#dueAt = Math.min(this.#dueAt, ownAt)
  }

  /** The schedule starts nothing before `at`; callers who wait are not held back (BRK-24). */
  postponed(at: number): void {
    this.#notBefore = at
  }

  /** The clocks went back: what was noted of them means nothing any more (BRK-63). */
  forgetTimes(): void {
    this.#lastStartAt = Number.NEGATIVE_INFINITY
    this.#notBefore = Number.NEGATIVE_INFINITY
    this.#dueAt = Number.NEGATIVE_INFINITY
  }
}
