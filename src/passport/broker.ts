import type { Clock } from '../base/clock.ts'
import { drawUnit, type RandomSource } from '../base/random.ts'
import type { EntryDescription, ServedToken } from '../results/served-token.ts'
import { isUnshared, type TokenDemand, type TokenRequest } from '../results/token-request.ts'
import { Alarm } from './alarm.ts'
import type { BrokerObserver } from './broker-events.ts'
import type { CacheEntry } from './cache-entry.ts'
import { cacheKey } from './cache-key.ts'
import { type ClockEvent, ClockWatch, type Instant } from './clock-watch.ts'
import { type DeclaredRequest, type Purposes, requireDeclarable } from './declared-request.ts'
import { FlightDeck } from './flight-deck.ts'
import {
  forgetEverything,
  type Invalidation,
  invalidateEntries,
  relieveOthers,
  type Stock,
  spreadVerdict,
} from './invalidation.ts'
import { Issuers } from './issuers.ts'
import { type BrokerLimits, defaultBrokerLimits } from './limits.ts'
import { eventJitterMs, startJitterMs } from './refresh-points.ts'
import { refreshOnce } from './refresher.ts'
import { type BrokerStatus, describeEntry, describeStatus } from './status.ts'
import { TokenCache } from './token-cache.ts'
import { TokenDesk } from './token-desk.ts'
import { offerOf, recogniseToken, type TokenOffer } from './token-offer.ts'
import type { TokenSource } from './token-source.ts'

export interface BrokerParts {
  readonly sources: readonly TokenSource[]
  readonly clock: Clock
  /** Chance for jitter; nothing secret comes of it. */
  readonly random: RandomSource
  readonly limits?: Partial<BrokerLimits>
  /** Requests whose tokens are fetched at start and kept fresh without demand. */
  readonly declared?: readonly DeclaredRequest[]
  /** Hears of everything that changes, in the moment in which it does. */
  readonly observe?: BrokerObserver
}

/** The token broker (broker.md): whoever may have a token gets a valid one at once if any exists, and never an expired one. */
export interface Broker {
  /** The token from the cache that `obtainToken` would give without waiting, or null; a use like that (API-91). */
  takeAtHand(request: TokenRequest, demand: TokenDemand): ServedToken | null
  /**
   * A verified token for the request: from the cache without waiting if one there satisfies the demand, else from an attempt
   * that all callers of the same request share. With nonces or `fresh` the token is this caller's alone. Rejects with one
   * of `passportErrors`, with an error of the source about this very request, or with the reason of `signal`.
   */
  obtainToken(request: TokenRequest, demand: TokenDemand, signal: AbortSignal): Promise<ServedToken>
  /** The token at hand, for those who deliver it by themselves; not a use, and starts nothing. Null where there is none. */
  offer(request: TokenRequest): TokenOffer | null
  /** Verifies a token that was delivered by an earlier run; null if it is not to be believed (BRK-117). */
  recogniseToken(token: string, request: TokenRequest): Promise<TokenOffer | null>
  /** State of the entry for a request; not a use, and starts nothing (BRK-73). */
  describe(request: TokenRequest): EntryDescription
  /** Task: fetches declared tokens, refreshes ahead of expiry, watches the clocks. Rejects only with a bug. */
  keepFresh(signal: AbortSignal): Promise<void>
  /** Acts on an event of broker.md section 8, completely before it returns; gives the number of entries concerned (BRK-76). */
  invalidate(invalidation: Invalidation): number
  /**
   * Takes a new configuration at once. Tokens of issuers that are gone or changed are dropped, with what is under way for
   * them; everybody who waits looks again (BRK-142). `declared` replaces the declared requests.
   */
  replaceSources(sources: readonly TokenSource[], declared?: readonly DeclaredRequest[]): void
  /**
   * From the call on no attempt starts; cached tokens stay served. Resolves when no attempt is under way: those that callers
   * wait for get `drainMs` to end (BRK-143).
   */
  drain(): Promise<void>
  status(): BrokerStatus
}

const largeStepMs = 300_000

class TokenBroker implements Broker {
  readonly #clock: Clock
  readonly #limits: BrokerLimits
  readonly #drawUnit: () => number
  readonly #observe: BrokerObserver
  readonly #alarm: Alarm
  readonly #watch: ClockWatch
  readonly #issuers: Issuers
  readonly #cache: TokenCache
  readonly #deck: FlightDeck
  readonly #desk: TokenDesk
  #declared: readonly DeclaredRequest[] = []
  #draining = false
  #clockSafe = true

  constructor(parts: BrokerParts) {
    requireDeclarable(parts.declared ?? [], parts.sources)
    this.#clock = parts.clock
    this.#limits = { ...defaultBrokerLimits, ...parts.limits }
    this.#drawUnit = () => drawUnit(parts.random)
    this.#observe = parts.observe ?? (() => undefined)
    this.#alarm = new Alarm(parts.clock)
    this.#watch = new ClockWatch(parts.clock, this.#limits.builtAtS, (events, at) => this.#clocksMoved(events, at))
    this.#issuers = new Issuers(parts.sources, this.#drawUnit, this.#observe)
    this.#cache = new TokenCache(this.#limits, this.#observe)
    this.#deck = this.#makeDeck()
    this.#desk = this.#makeDesk()
    this.#declare(parts.declared ?? [])
  }

  #makeDeck(): FlightDeck {
    return new FlightDeck({
      gear: {
        limits: this.#limits,
        clock: this.#clock,
        read: () => this.#watch.read(),
        drawUnit: this.#drawUnit,
      },
      watch: this.#watch,
      alarm: this.#alarm,
      observe: this.#observe,
      onLanded: (issuer) => relieveOthers(this.#cache, issuer, this.#watch.read()),
      onVerdict: (issuer, request) => {
        if (this.#limits.onVerdictDenied === 'evict') spreadVerdict(this.#cache, issuer, request, this.#watch.read())
      },
    })
  }

  #makeDesk(): TokenDesk {
    return new TokenDesk({
      issuers: this.#issuers,
      cache: this.#cache,
      deck: this.#deck,
      watch: this.#watch,
      clock: this.#clock,
      alarm: this.#alarm,
      limits: this.#limits,
      drawUnit: this.#drawUnit,
      isDraining: () => this.#draining,
      observe: this.#observe,
    })
  }

  get #stock(): Stock {
    return { issuers: this.#issuers, cache: this.#cache }
  }

  #declare(declared: readonly DeclaredRequest[]): void {
    this.#declared = declared
    const purposes = new Map<string, Purposes>()
    for (const { request, sink } of declared) {
      const key = this.#keyOf(request)
      if (key === null) continue
      const before = purposes.get(key)
      const both = { warm: !sink || before?.warm === true, sink: sink || before?.sink === true }
      purposes.set(key, both)
      this.#cache.declare(key, request, both)
    }
  }

  #keyOf(request: TokenRequest): string | null {
    const issuer = this.#issuers.find(request.issuer)
    return issuer === undefined || isUnshared(request) ? null : cacheKey(request, issuer.source)
  }

  takeAtHand(request: TokenRequest, demand: TokenDemand): ServedToken | null {
    return this.#desk.takeAtHand(request, demand)
  }

  obtainToken(request: TokenRequest, demand: TokenDemand, signal: AbortSignal): Promise<ServedToken> {
    return this.#desk.obtainToken(request, demand, signal)
  }

  offer(request: TokenRequest): TokenOffer | null {
    const instant = this.#watch.read()
    const key = this.#keyOf(request)
    return offerOf(key === null ? undefined : this.#cache.find(key), instant)
  }

  async recogniseToken(token: string, request: TokenRequest): Promise<TokenOffer | null> {
    const source = this.#issuers.find(request.issuer)?.source
    return source === undefined
      ? null
      : recogniseToken(token, request, { source, limits: this.#limits, read: () => this.#watch.read() })
  }

  describe(request: TokenRequest): EntryDescription {
    const instant = this.#watch.read()
    const key = this.#keyOf(request)
    return describeEntry(key === null ? undefined : this.#cache.find(key), instant)
  }

  async keepFresh(signal: AbortSignal): Promise<void> {
    const { boot } = this.#watch.read()
    for (const entry of this.#cache.all()) {
      if (entry.creator === null) entry.postponed(boot + startJitterMs(this.#drawUnit()))
    }
    while (!signal.aborted) {
      this.#deck.throwUnheardBug()
      this.#judgeClock()
      const pause = refreshOnce({
        issuers: this.#issuers,
        cache: this.#cache,
        deck: this.#deck,
        watch: this.#watch,
        isDraining: () => this.#draining,
      })
      await this.#alarm.sleepUnlessAborted(pause, signal)
    }
  }

  #judgeClock(): void {
    const safe = !this.#watch.isUnsafe(this.#watch.read())
    if (safe !== this.#clockSafe) this.#observe({ event: 'clock_judged', safe })
    this.#clockSafe = safe
  }

  invalidate(invalidation: Invalidation): number {
    const entries = invalidateEntries(this.#stock, invalidation, this.#watch.read())
    const { issuer = null, audience = null, kid = null, hard } = invalidation
    this.#observe({ event: 'invalidated', issuer, audience, kid, hard, entries })
    this.#alarm.ring()
    return entries
  }

  replaceSources(sources: readonly TokenSource[], named?: readonly DeclaredRequest[]): void {
    if (named !== undefined) requireDeclarable(named, sources)
    const changed = this.#issuers.replace(sources)
    const names = new Set(changed.map(({ source }) => source.name))
    this.#observe({ event: 'sources_replaced', changed: [...names] })
    for (const issuer of changed) for (const flight of issuer.unshared) flight.cancel()
    const declared = named ?? this.#declared.filter(({ request }) => this.#issuers.find(request.issuer) !== undefined)
    const kept = new Set(declared.map(({ request }) => this.#keyOf(request)))
    for (const entry of this.#cache.all()) {
      const undeclared = entry.creator === null && !kept.has(entry.key)
      if (undeclared || names.has(entry.request.issuer)) this.#cache.drop(entry, 'reload')
    }
    this.#declare(declared)
    this.#alarm.ring()
  }

  async drain(): Promise<void> {
    this.#draining = true
    this.#observe({ event: 'draining' })
    this.#cancelFlights((entry) => entry.waiters === 0)
    this.#alarm.ring()
    const ended = new AbortController()
    const late = this.#clock.sleep(this.#limits.drainMs, ended.signal).catch(() => undefined)
    await Promise.race([this.#allReturned(), late])
    ended.abort('ended')
    this.#cancelFlights(() => true)
    for (const { unshared } of this.#issuers.all()) for (const flight of unshared) flight.cancel()
    await this.#allReturned()
  }

  #cancelFlights(which: (entry: CacheEntry) => boolean): void {
    for (const entry of this.#cache.all()) if (entry.flight !== null && which(entry)) entry.returned()
  }

  async #allReturned(): Promise<void> {
    await Promise.all([...this.#deck.flying].map(({ outcome }) => outcome))
  }

  status(): BrokerStatus {
    const instant = this.#watch.read()
    return describeStatus({
      instant,
      entries: [...this.#cache.all()],
      issuers: [...this.#issuers.all()],
      clockUnsafe: this.#watch.isUnsafe(instant),
      draining: this.#draining,
      flying: this.#deck.flying.size,
      counts: { ...this.#deck.counts, joins: this.#desk.joins },
    })
  }

  /** BRK-63, BRK-64: acts on what happened to the clocks before anybody decides on the new reading. */
  #clocksMoved(events: readonly ClockEvent[], instant: Instant): void {
    for (const { kind, ...step } of events) {
      this.#observe({ event: 'clock', kind, ms: 'ms' in step ? Math.round(step.ms) : 0 })
    }
    if (events.some(({ kind }) => kind === 'snapshot')) forgetEverything(this.#stock, instant)
    const renewAll = events.some((event) => event.kind !== 'wall-step' || Math.abs(event.ms) > largeStepMs)
    for (const { source, gate } of this.#issuers.all()) {
      const at = gate.noteEvent(instant)
      for (const entry of this.#cache.all()) {
        if (entry.request.issuer !== source.name || (!renewAll && entry.held !== null)) continue
        entry.encouraged(at, at + eventJitterMs(this.#drawUnit()))
      }
    }
    this.#alarm.ring()
  }
}

/** Makes a broker. Nothing starts by itself: `keepFresh` is a task to run, `obtainToken` works without it. */
export function createBroker(parts: BrokerParts): Broker {
  return new TokenBroker(parts)
}
