import type { Clock } from '../base/clock.ts'
import type { AttestdError } from '../base/errors.ts'
import type { Standing } from '../base/fair-queue.ts'
import { abandonable } from '../base/tasks.ts'
import type { ServedToken } from '../results/served-token.ts'
import { isUnshared, type TokenDemand, type TokenRequest } from '../results/token-request.ts'
import type { Alarm } from './alarm.ts'
import { pauseWithoutToken } from './backoff.ts'
import type { BrokerObserver } from './broker-events.ts'
import type { CacheEntry } from './cache-entry.ts'
import { cacheKey } from './cache-key.ts'
import type { ClockWatch, Instant } from './clock-watch.ts'
import { failureIn, generationIn, retryAtIn } from './entry.ts'
import { passportErrors } from './errors.ts'
import { answerTo, type Failure, isRetryable } from './failure.ts'
import type { Flight } from './flight.ts'
import type { FlightDeck } from './flight-deck.ts'
import { type HeldToken, leftMs, requiredMs, servedToken } from './held-token.ts'
import type { Issuer, Issuers } from './issuers.ts'
import type { BrokerLimits } from './limits.ts'
import { Seat } from './seat.ts'
import type { TokenCache } from './token-cache.ts'
import { Waiter } from './waiter.ts'

const tries = 3
/** The spread that API-92 leaves between the life of a token and what a caller may demand of it. */
const attainableMarginS = 5

/** What the desk needs of the broker around it. */
export interface DeskPorts {
  readonly issuers: Issuers
  readonly cache: TokenCache
  readonly deck: FlightDeck
  readonly watch: ClockWatch
  readonly clock: Clock
  readonly alarm: Alarm
  readonly limits: BrokerLimits
  readonly drawUnit: () => number
  readonly isDraining: () => boolean
  readonly observe: BrokerObserver
}

/** One caller's request on its way to an answer. */
interface Errand {
  readonly request: TokenRequest
  readonly demand: TokenDemand
  readonly waiter: Waiter
  /** Attempts that failed while this caller waited. */
  failures: number
  /** Generation of the token that landed while this caller waited; 0 before. */
  landed: number
  waited: boolean
}

/** What an errand does next; decided and begun in one synchronous step (BRK-30). */
type Step =
  | { readonly kind: 'await'; readonly flight: Flight }
  | { readonly kind: 'start' }
  | { readonly kind: 'sleep'; readonly ms: number }

/** Answers callers: from the cache at once where possible, else by joining or starting an attempt, until their deadline. */
export class TokenDesk {
  readonly #ports: DeskPorts
  #joins = 0

  constructor(ports: DeskPorts) {
    this.#ports = ports
  }

  /** Callers who found an attempt under way and joined it. */
  get joins(): number {
    return this.#joins
  }

  /** See `Broker.takeAtHand` (API-91): no waiting, whatever the state of the refresher. */
  takeAtHand(request: TokenRequest, demand: TokenDemand): ServedToken | null {
    if (isUnshared(request)) return null
    const { watch, cache, issuers } = this.#ports
    const instant = watch.read()
    const entry = cache.find(cacheKey(request, issuers.require(request.issuer).source))
    return entry === undefined ? null : this.#serve(entry, demand, instant, false)
  }

  /** See `Broker.obtainToken`. */
  async obtainToken(request: TokenRequest, demand: TokenDemand, signal: AbortSignal): Promise<ServedToken> {
    signal.throwIfAborted()
    const served = this.takeAtHand(request, demand)
    if (served !== null) return served
    const unshared = isUnshared(request)
    const waiter = new Waiter(this.#ports.clock, demand.timeoutMs, signal)
    const errand: Errand = { request, demand, waiter, failures: 0, landed: 0, waited: false }
    try {
      return unshared ? await this.#obtainAlone(errand) : await this.#obtainShared(errand)
    } finally {
      waiter.close()
    }
  }

  /**
   * The decision to serve, always on a reading of the clocks that was taken after all waiting (BRK-35): the token is
   * valid on both clocks and long enough for this demand (API-90).
   */
  #serve(entry: CacheEntry, demand: TokenDemand, instant: Instant, waited: boolean): ServedToken | null {
    const { held } = entry
    if (held === null || leftMs(held, instant) < requiredMs(demand, held.accepted, this.#ports.limits)) return null
    const source = waited ? 'issued' : cacheSource(entry)
    const generation = generationIn(entry.state)
    if (entry.use(instant)) this.#ports.alarm.ring()
    return servedToken(held, source, generation)
  }

  async #obtainShared(errand: Errand): Promise<ServedToken> {
    const { watch, issuers, alarm, deck } = this.#ports
    const seat = new Seat(() => watch.read())
    try {
      for (;;) {
        const instant = watch.read()
        const issuer = issuers.require(errand.request.issuer)
        const entry = seat.take(this.#entryFor(errand, issuer, instant))
        const served = this.#serve(entry, errand.demand, instant, errand.waited)
        if (served !== null) return served
        this.#requireAttainable(errand, issuer, entry, instant)
        const step = this.#nextStep(errand, issuer, entry, instant)
        errand.waited = true
        if (step.kind === 'sleep') await alarm.sleep(step.ms, errand.waiter.signal)
        else if (step.kind === 'await') await this.#await(errand, step.flight, entry, issuer)
        else await this.#await(errand, deck.startShared(entry, issuer, standingOf(errand), instant), entry, issuer)
      }
    } finally {
      seat.leave()
    }
  }

  #entryFor({ request, demand }: Errand, { source }: Issuer, instant: Instant): CacheEntry {
    const { cache } = this.#ports
    const key = cacheKey(request, source)
    const entry = cache.find(key) ?? cache.make(key, request, demand.caller, instant)
    if (entry !== undefined) return entry
    throw passportErrors.error('quote_queue_full', 'every entry that could make room for this request is waited for', {
      facts: { retry_after_ms: 1_000 },
    })
  }

  /** API-92: what no token of this issuer can give is refused, and starts nothing. */
  #requireAttainable(errand: Errand, { source }: Issuer, entry: CacheEntry | null, instant: Instant): void {
    const { minValidS } = errand.demand
    const usual = Math.floor((errand.request.ttlS ?? source.usualLifetimeS) - attainableMarginS)
    if (minValidS !== null && minValidS > usual) throw unattainable(minValidS, usual)
    if (entry === null || entry.held === null || errand.landed === 0) return
    if (generationIn(entry.state) !== errand.landed) return
    // It was issued while this caller waited: another one would be no longer.
    this.#requireLongLife(errand, entry.held, instant)
  }

  /** A token that came with too little left is as good as the issuer's tokens get; one that aged since is no measure of them. */
  #requireLongLife({ demand }: Errand, held: HeldToken, instant: Instant): void {
    const required = requiredMs(demand, held.accepted, this.#ports.limits)
    if (held.lifeMs >= required + attainableMarginS * 1000) return
    throw unattainable(required / 1000, Math.floor(leftMs(held, instant) / 1000))
  }

  #nextStep(errand: Errand, issuer: Issuer, entry: CacheEntry, instant: Instant): Step {
    const best = bestAvailable(entry.held, instant)
    this.#requireOpen(issuer, entry.flight !== null, instant, best)
    if (entry.flight !== null) {
      this.#join(errand.request)
      return { kind: 'await', flight: entry.flight }
    }
    const pause = entry.blockedForMs(instant)
    if (pause <= 0) {
      requireTimely(issuer, errand)
      return { kind: 'start' }
    }
    const failure = failureIn(entry.state)
    const paused = failure !== null && retryAtIn(entry.state) > instant.boot
    const needed = pause + (errand.failures > 0 ? issuer.gate.lastAttemptMs : 0)
    const inTime = needed < errand.waiter.remainingMs()
    if (paused && (!inTime || !isRetryable(failure))) throw refusal(failure, pause, best)
    if (!inTime)
      throw passportErrors.error('deadline_exceeded', 'the next attempt would start after the deadline', {
        facts: { retry_after_ms: Math.ceil(pause), ...best },
      })
    return { kind: 'sleep', ms: pause }
  }

  #join({ issuer, audience }: TokenRequest): void {
    this.#joins++
    this.#ports.observe({ event: 'joined', issuer, audience })
  }

  /** Throws where no attempt may start now, whoever asks. One under way may be joined past an open breaker. */
  #requireOpen(issuer: Issuer, underWay: boolean, instant: Instant, best: Readonly<Record<string, number>>): void {
    const { isDraining, watch } = this.#ports
    if (isDraining()) throw passportErrors.error('draining', 'no new tokens are obtained any more')
    if (underWay) return
    if (watch.isUnsafe(instant)) {
      throw passportErrors.error('clock_unsafe', 'the wall clock is before a moment that has been', { facts: best })
    }
    const blocked = issuer.gate.blockedForMs(instant)
    if (blocked <= 0) return
    throw passportErrors.error('issuer_unavailable', 'the last attempts at this issuer all failed', {
      facts: { retry_after_ms: Math.ceil(blocked), ...best },
    })
  }

  /** Waits for the end of an attempt; throws its failure unless trying again may help (BRK-42). */
  async #await(errand: Errand, flight: Flight, entry: CacheEntry, issuer: Issuer): Promise<void> {
    const outcome = await abandonable(flight.outcome, errand.waiter.signal)
    if (outcome.kind === 'bug') throw outcome.error
    if (outcome.kind === 'landed') errand.landed = flight.plan.generation
    if (outcome.kind !== 'failed') return
    errand.failures++
    if (isRetryable(outcome.failure) && errand.failures < tries) return
    const instant = this.#ports.watch.read()
    const pause = Math.max(entry.blockedForMs(instant), issuer.gate.blockedForMs(instant))
    throw refusal(outcome.failure, pause, bestAvailable(entry.held, instant))
  }

  async #obtainAlone(errand: Errand): Promise<ServedToken> {
    const { watch, issuers, limits } = this.#ports
    for (;;) {
      const issuer = issuers.require(errand.request.issuer)
      const instant = watch.read()
      this.#requireAttainable(errand, issuer, null, instant)
      this.#requireOpen(issuer, false, instant, {})
      const held = await this.#flyAlone(errand, issuer, instant)
      if (held === null) continue
      const now = watch.read()
      if (leftMs(held, now) >= requiredMs(errand.demand, held.accepted, limits)) return servedToken(held, 'issued', 0)
      this.#requireLongLife(errand, held, now)
    }
  }

  /** One attempt for one caller: ends with it when the caller goes away. `null`: look again. */
  async #flyAlone(errand: Errand, issuer: Issuer, instant: Instant): Promise<HeldToken | null> {
    if (issuer.unshared.size >= this.#ports.limits.unsharedFlights) {
      const facts = { retry_after_ms: Math.max(Math.ceil(issuer.gate.lastAttemptMs), 1_000) }
      throw passportErrors.error('quote_queue_full', 'too many requests for tokens of their own', { facts })
    }
    requireTimely(issuer, errand)
    const flight = this.#ports.deck.startUnshared(errand.request, issuer, errand.demand.caller, instant)
    try {
      const outcome = await abandonable(flight.outcome, errand.waiter.signal)
      if (outcome.kind === 'bug') throw outcome.error
      if (outcome.kind === 'landed') return outcome.held
      if (outcome.kind === 'failed') await this.#pauseAlone(errand, issuer, outcome.failure)
      return null
    } finally {
      flight.cancel()
    }
  }

  async #pauseAlone(errand: Errand, issuer: Issuer, failure: Failure): Promise<void> {
    const { drawUnit, clock, alarm, isDraining } = this.#ports
    // Turned away from a full queue: to wait for a place in here would be a queue without a bound (BRK-81).
    if (failure.error.code === 'quote_queue_full') throw refusal(failure, failure.retryAfterMs ?? 0, {})
    errand.failures++
    const backoff = pauseWithoutToken(errand.failures, drawUnit())
    const pause = Math.max(backoff, Math.min(failure.retryAfterMs ?? 0, 120_000))
    const inTime = pause + issuer.gate.lastAttemptMs < errand.waiter.remainingMs()
    if (!isRetryable(failure) || errand.failures >= tries || !inTime) throw refusal(failure, pause, {})
    const end = clock.monotonic() + pause
    for (let rest = pause; rest > 0 && !isDraining(); rest = end - clock.monotonic()) {
      await alarm.sleep(rest, errand.waiter.signal)
    }
  }
}

const standingOf = ({ demand }: Errand): Standing => ({ caller: demand.caller, background: false })

/** BRK-81: who cannot be served in time is told so at once, and when to come again; nothing starts for it. */
function requireTimely({ source }: Issuer, errand: Errand): void {
  const waitMs = source.expectedWaitMs?.(standingOf(errand)) ?? 0
  if (waitMs <= errand.waiter.remainingMs()) return
  throw passportErrors.error('quote_queue_full', 'what waits already takes longer than the time that is granted', {
    facts: { retry_after_ms: Math.ceil(waitMs) },
  })
}

function cacheSource({ state }: CacheEntry): ServedToken['source'] {
  if (state.kind === 'refreshing') return 'cache-refreshing'
  return failureIn(state) === null ? 'cache' : 'cache-degraded'
}

function unattainable(demandedS: number, attainableS: number): AttestdError {
  const detail = `${demandedS} s are demanded, ${attainableS} s can be had`
  return passportErrors.error('min_valid_unattainable', detail, { facts: { max_valid_s: Math.max(attainableS, 0) } })
}

/** API-93: what a caller could have had by demanding less. */
function bestAvailable(held: HeldToken | null, instant: Instant): Readonly<Record<string, number>> {
  const left = held === null ? 0 : Math.floor(leftMs(held, instant) / 1000)
  return left > 0 ? { best_available_valid_s: left } : {}
}

function refusal(failure: Failure, pauseMs: number, best: Readonly<Record<string, number>>): AttestdError {
  const retry = failure.error.retryable ? { retry_after_ms: Math.max(Math.ceil(pauseMs), 0) } : {}
  return answerTo(failure, { ...retry, ...best })
}
