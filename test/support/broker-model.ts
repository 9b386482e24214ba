import fc from 'fast-check'
import { type Broker, createBroker } from '../../src/passport/broker.ts'
import { passportErrors } from '../../src/passport/errors.ts'
import type { ServedToken } from '../../src/results/served-token.ts'
import type { TokenRequest } from '../../src/results/token-request.ts'
import { BrokerLedger } from './broker-ledger.ts'
import { asDeclared } from './broker-rig.ts'
import { FakeClock, settled } from './fake-clock.ts'
import {
  type Behaviour,
  FakeTokenSource,
  type IssuedToken,
  type SourceCall,
  tokenRequest,
  upstreamErrors,
} from './fake-token-source.ts'
import { seededRandom } from './seeded-random.ts'

/**
 * The broker against a model of what it must never do (broker.md section 15). The model knows what the issuers did, what callers
 * asked, and the clocks; of the broker it knows what `BrokerLedger` is told. Every step is data, so that a failing run shrinks.
 *
 * Elsewhere: I1 for files in passport/sinks/sink-keeper.test.ts; I3 for devices in attester/tdx/device-turns.test.ts; I12 in
 * policies/caller-policy.test.ts; I14 for the queue of the device in base/fair-queue.test.ts; I18 in
 * passport/journal/journal.test.ts; BRK-04 for the order of eviction in passport/capacity.test.ts.
 */
export type Step =
  | {
      readonly do: 'request'
      readonly key: number
      readonly own: Own
      readonly minValidS: number | null
      readonly timeoutMs: number
    }
  | { readonly do: 'leave'; readonly which: number }
  | { readonly do: 'tick'; readonly ms: number }
  | { readonly do: 'upstream'; readonly issuer: number; readonly behaviour: Behaviour }
  | {
      readonly do: 'invalidate'
      readonly key: number
      readonly by: 'issuer' | 'kid' | 'audience' | 'all'
      readonly hard: boolean
    }
  | { readonly do: 'suspend'; readonly ms: number }
  | { readonly do: 'wall'; readonly ms: number }
  | { readonly do: 'restore'; readonly ms: number }
  | { readonly do: 'reload'; readonly issuer: number }
  | { readonly do: 'drain' }

type Own = 'shared' | 'fresh' | 'nonces'

const issuers = [
  { name: 'one', usualLifetimeS: 300 },
  { name: 'two', usualLifetimeS: 3_600 },
] as const
/** Requests by number: two issuers with three audience sets each; the first of each issuer is declared. */
const keys: readonly TokenRequest[] = issuers.flatMap(({ name }) =>
  [['a'], ['a', 'b'], ['c']].map((audience) => tokenRequest({ issuer: name, audience })),
)
const isWarm = (key: number) => key % 3 === 0
/** Fewer than there are keys that callers make entries for. */
const cacheLimits = { entries: 3, entriesPerCaller: 2 }
const unsharedFlights = 3
const flightMs = 60_000
/** Longest answer of an issuer that is thought to work. */
const soonMs = 1_500

const retryLater = passportErrors.error('issuer_unavailable', 'busy', { facts: { retry_after_ms: 100_000 } })
const failures = [
  passportErrors.error('issuer_unavailable', 'no answer'),
  upstreamErrors.error('UPSTREAM_DOWN', 'no device'),
  upstreamErrors.error('UPSTREAM_REFUSED', 'not compliant'),
  upstreamErrors.error('UPSTREAM_MISSET', 'misset'),
  upstreamErrors.error('UPSTREAM_UNFIT', 'unfit'),
  retryLater,
]
const slowProbe = new Set(['UPSTREAM_REFUSED', 'UPSTREAM_MISSET', 'UPSTREAM_UNFIT'])

const delay = fc.constantFrom(0, 0, 50, 1_500, 8_000)
const behaviour: fc.Arbitrary<Behaviour> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record(
      {
        kind: fc.constant('issue' as const),
        afterMs: delay,
        lifeS: fc.constantFrom(12, 60, 300, 3_600),
        acceptAfterMs: fc.constantFrom(0, 700),
        stubborn: fc.boolean(),
        kid: fc.constantFrom('k1', 'k2'),
      },
      { requiredKeys: ['kind'] },
    ),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('fail' as const), error: fc.constantFrom(...failures), afterMs: delay }),
  },
  { weight: 1, arbitrary: fc.constant<Behaviour>({ kind: 'hang' }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forge' as const), afterMs: delay }) },
  { weight: 1, arbitrary: fc.constant<Behaviour>({ kind: 'issue', audience: ['evil'] }) },
  { weight: 1, arbitrary: fc.constant<Behaviour>({ kind: 'issue', lifeS: 9 }) },
  { weight: 1, arbitrary: fc.constant<Behaviour>({ kind: 'issue', datedS: 40 }) },
  { weight: 1, arbitrary: fc.constant<Behaviour>({ kind: 'issue', datedS: -40, afterMs: 50 }) },
)

const key = fc.nat(keys.length - 1)
const issuer = fc.nat(issuers.length - 1)
const request = fc.record({
  do: fc.constant('request' as const),
  key,
  own: fc.constantFrom<Own>('shared', 'shared', 'shared', 'shared', 'fresh', 'nonces'),
  minValidS: fc.constantFrom(null, null, 0, 1, 30, 100, 250, 2_000, 5_000),
  timeoutMs: fc.constantFrom(1, 200, 2_000, 15_000, 60_000),
})
const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: request },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('leave' as const), which: fc.nat(9) }) },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('tick' as const),
      ms: fc.oneof(fc.nat(2_000), fc.nat(20_000), fc.nat(400_000)),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('upstream' as const), issuer, behaviour }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('invalidate' as const),
      key,
      by: fc.constantFrom('issuer' as const, 'kid' as const, 'audience' as const, 'all' as const),
      hard: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('suspend' as const),
      ms: fc.constantFrom(1_000, 10_000, 400_000, 7_200_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('wall' as const),
      ms: fc.constantFrom(-86_400_000, -3_600_000, -200_000, -60_000, 60_000, 200_000, 400_000, 3_600_000),
    }),
  },
)
const rareSteps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 60, arbitrary: steps },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restore' as const), ms: fc.constantFrom(1, 5_000, 600_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reload' as const), issuer }) },
)

/** A run: seed of the broker's chance, what happens, and what still happens after `drain`. */
export const runs = fc.record({
  seed: fc.nat(0xffff),
  before: fc.array(rareSteps, { maxLength: 150, size: 'max' }),
  after: fc.array(steps, { maxLength: 8, size: 'max' }),
})

/** A token as the model remembers it: usable by the model's own reckoning. */
interface Stored {
  readonly token: string
  readonly issued: IssuedToken
  readonly endWall: number
  readonly endBoot: number
  readonly receivedAtBoot: number
}

interface Open {
  readonly number: number
  readonly key: number
  readonly own: Own
  readonly minValidS: number | null
  readonly deadline: number
  readonly leave: () => void
}

/** Runs steps and collects what must not have happened. */
export class BrokerModel {
  readonly clock = new FakeClock(Date.UTC(2026, 0, 1), 1)
  readonly trace: string[] = []
  readonly violations: string[] = []
  steps = 0
  readonly #ledger: BrokerLedger
  #step: Step | { readonly do: 'start' } = { do: 'start' }
  #sources: FakeTokenSource[]
  readonly #broker: Broker
  readonly #stop = new AbortController()
  readonly #keeping: Promise<void>
  readonly #open = new Map<number, Open>()
  readonly #stored = new Map<number, Stored>()
  readonly #issuedTo = new Map<string, IssuedToken>()
  readonly #own = new Set<string>()
  readonly #lastServed = new Map<
    number,
    { readonly call: number; readonly token: string; readonly generation: number }
  >()
  readonly #callsBefore = new Map<number, number>()
  readonly #lastStart = new Map<number, number>()
  readonly #lastUse = new Map<number, { readonly at: number; readonly lifeMs: number }>()
  /** Monotonic time of the last failure that may pass by itself, by key, and of the last end of any call, by issuer. */
  readonly #lastFailure = new Map<number, number>()
  readonly #lastEnd = new Map<string, number>()
  /** All calls in their order, from 1. */
  readonly #order = new Map<SourceCall, number>()
  /** Keys whose token is to be renewed although it is good: the order of the last call before that (BRK-47, BRK-75). */
  readonly #softened = new Map<number, number>()
  /** Boot time before which the issuer asked not to be called, by key without a token (BRK-43). */
  readonly #notBefore = new Map<number, number>()
  /** Keys whose last attempt did not reach the issuer. */
  readonly #unreached = new Set<number>()
  /** Boot time from which on an attempt is worth while again, by declared key (BRK-46). */
  readonly #relieved = new Map<number, number>()
  /** Boot time since when an issuer answers well and soon, and no clock has moved by itself. */
  readonly #calmSince = new Map<string, number>()
  /** The number of calls when the breaker of an issuer opened. */
  readonly #openedAt = new Map<string, number>()
  /** Shared calls that were cut off in this step. */
  #cut: { readonly key: number; readonly call: SourceCall }[] = []
  #requests = 0
  #draining = false
  #newestIat = 0

  constructor(seed: number) {
    this.#ledger = this.#makeLedger()
    this.#sources = issuers.map((about) => this.#watched(new FakeTokenSource(this.clock, about)))
    this.#broker = createBroker({
      sources: this.#sources,
      clock: this.clock,
      random: seededRandom(seed),
      limits: { ...cacheLimits, unsharedFlights },
      observe: this.#ledger.observe,
      declared: asDeclared(keys.filter((_, key) => isWarm(key))),
    })
    for (const { name } of issuers) this.#calmSince.set(name, this.clock.boottime())
    this.#keeping = this.#broker.keepFresh(this.#stop.signal)
  }

  #makeLedger(): BrokerLedger {
    return new BrokerLedger({
      require: (invariant, holds, detail) => this.#require(invariant, holds, detail),
      keyOf: (request) => this.#keyOf(request),
      step: () => (this.#step.do === 'invalidate' && this.#step.hard ? 'invalidate hard' : this.#step.do),
      leftMs: (key) => {
        const stored = this.#stored.get(key)
        return stored === undefined ? null : this.#left(stored)
      },
      chanceSince: (key, boot) => this.#hadEveryChance(key, boot),
      breaker: (name, isOpen) => (isOpen ? this.#openedAt.set(name, this.#order.size) : this.#openedAt.delete(name)),
      monotonic: () => this.clock.monotonic(),
      boot: () => this.clock.boottime(),
    })
  }

  #watched(source: FakeTokenSource): FakeTokenSource {
    source.onCall = (call) => this.#called(source, call)
    source.onEnd = (call, error) => this.#ended(source, call, error)
    source.onAccept = (issued) => this.#accepted(issued)
    return source
  }

  #require(invariant: string, holds: boolean, detail: () => string): void {
    if (!holds) this.violations.push(`${invariant}: ${detail()}`)
  }

  #keyOf(request: TokenRequest): number {
    if (request.fresh || request.nonces.length > 0) return -1
    return keys.findIndex(
      ({ issuer, audience }) => issuer === request.issuer && `${audience}` === `${request.audience}`,
    )
  }

  #left(stored: Stored): number {
    return Math.min(stored.endWall - this.clock.now(), stored.endBoot - this.clock.boottime())
  }

  #called(source: FakeTokenSource, call: SourceCall): void {
    const key = this.#keyOf(call.request)
    this.trace.push(`${this.clock.monotonic()} call ${source.name} ${key}`)
    this.#order.set(call, this.#order.size + 1)
    this.#require('I15', !this.#draining, () => `call for key ${key} while draining`)
    this.#lastFailure.delete(key)
    this.#relieved.delete(key)
    this.#unreached.delete(key)
    this.#requirePermitted(source, key, call)
    if (key < 0) return
    const same = source.active.filter(({ request }) => this.#keyOf(request) === key)
    this.#require('I3', same.length === 0, () => `second call for key ${key}`)
    const since = call.boot - (this.#lastStart.get(key) ?? Number.NEGATIVE_INFINITY)
    this.#require('I9', since >= 999.999, () => `key ${key} called again after ${since} ms`)
    this.#lastStart.set(key, call.boot)
    this.#requireDemand(key)
  }

  /** BRK-44, BRK-64, I14: an open breaker lets one attempt through, a wrong clock none, and what waits has a bound. */
  #requirePermitted({ name, active }: FakeTokenSource, key: number, call: SourceCall): void {
    const opened = this.#openedAt.get(name)
    const probes = active.filter((other) => opened !== undefined && (this.#order.get(other) ?? 0) > opened)
    this.#require('BRK-44', probes.length === 0, () => `a second probe of ${name}`)
    const behind = this.#newestIat * 1_000 - this.clock.now()
    this.#require('BRK-64', behind <= 300_000, () => `call by a clock that is ${behind} ms behind`)
    if (key < 0) {
      const own = active.filter(({ request }) => this.#keyOf(request) < 0)
      this.#require('I14', own.length < unsharedFlights, () => `${own.length + 1} attempts for single callers`)
      return
    }
    const notBefore = this.#notBefore.get(key) ?? Number.NEGATIVE_INFINITY
    this.#require('BRK-43', call.boot >= notBefore - 1, () => `${name} called ${notBefore - call.boot} ms too soon`)
    this.#notBefore.delete(key)
    call.signal.addEventListener('abort', () => this.#cut.push({ key, call }))
  }

  /** I7: without anybody waiting, and two lives after the last use, nothing is asked for. */
  #requireDemand(key: number): void {
    if (isWarm(key) || [...this.#open.values()].some((open) => open.key === key && open.own === 'shared')) return
    const use = this.#lastUse.get(key)
    const idleFor = use === undefined ? Number.POSITIVE_INFINITY : this.clock.monotonic() - use.at
    this.#require(
      'I7',
      use !== undefined && idleFor <= 2 * use.lifeMs,
      () => `key ${key} asked for, unused for ${idleFor} ms`,
    )
  }

  #ended(source: FakeTokenSource, call: SourceCall, error: unknown): void {
    this.#lastEnd.set(source.name, this.clock.monotonic())
    if (call.signal.aborted || error === undefined) return
    this.#calmSince.delete(source.name)
    const [key, code] = [this.#keyOf(call.request), (error as { code?: string }).code ?? '']
    if (!slowProbe.has(code) && error !== retryLater) this.#lastFailure.set(key, this.clock.monotonic())
    if (code === 'issuer_unavailable') this.#unreached.add(key)
    if (error === retryLater && key >= 0 && !this.#stored.has(key)) {
      this.#notBefore.set(key, this.clock.boottime() + 100_000)
    }
    if (code === 'UPSTREAM_REFUSED') this.#metVerdict(source.name, key)
  }

  /** BRK-47: the verdict also ends the service of the token at hand, and others of this issuer that are old enough are renewed. */
  #metVerdict(name: string, key: number): void {
    this.#stored.delete(key)
    if (key >= 0) this.#ledger.refused(key)
    for (const [other, { issued, receivedAtBoot }] of this.#stored) {
      const old = this.clock.boottime() - receivedAtBoot >= 60_000
      if (keys[other]?.issuer === name && old) this.#softened.set(other, this.#order.get(issued.call) ?? 0)
    }
  }

  /** A working issuer serves one key: it is worth an attempt for the others that it failed (BRK-46). */
  #relieve(name: string): void {
    for (const [key, request] of keys.entries()) {
      if (request.issuer !== name) continue
      this.#notBefore.delete(key)
      if (isWarm(key) && this.#unreached.has(key)) this.#relieved.set(key, this.clock.boottime())
    }
  }

  #hadEveryChance(key: number, boot: number): boolean | null {
    const calm = this.#calmSince.get(keys[key]?.issuer ?? '')
    if (!isWarm(key)) return null
    return calm !== undefined && calm <= boot && !this.#draining && this.#step.do === 'tick'
  }

  #accepted(issued: IssuedToken): void {
    this.#issuedTo.set(issued.token, issued)
    const { call, issuedAt, expiresAt } = issued
    if (call.signal.aborted) return
    const [now, boot] = [this.clock.now(), this.clock.boottime()]
    const life = Math.min(
      expiresAt * 1_000 - now,
      expiresAt * 1_000 - (call.wall + boot - call.boot),
      (expiresAt - issuedAt) * 1_000,
    )
    const usable =
      `${issued.audience}` === `${call.request.audience}` &&
      issuedAt * 1_000 <= now + 30_000 &&
      issuedAt >= Math.floor(call.wall / 1_000) - 30 &&
      life >= 10_000
    if (!usable) return
    this.#newestIat = Math.max(this.#newestIat, issuedAt)
    const key = this.#keyOf(call.request)
    this.#relieve(call.request.issuer)
    if (key < 0) return
    const times = { endWall: expiresAt * 1_000, endBoot: boot + life, receivedAtBoot: boot }
    this.#stored.set(key, { token: issued.token, issued, ...times })
    if ((this.#order.get(call) ?? 0) > (this.#softened.get(key) ?? 0)) this.#softened.delete(key)
    const use = this.#lastUse.get(key)
    if (use !== undefined) this.#lastUse.set(key, { ...use, lifeMs: Math.max(use.lifeMs, life) })
  }

  async run(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      this.steps++
      this.#step = step
      this.#cut = []
      await this.#do(step)
      await settled(1)
      this.#afterStep()
      if (this.violations.length > 0) return
    }
  }

  async #do(step: Step): Promise<void> {
    switch (step.do) {
      case 'request':
        return await this.#request(step)
      case 'leave':
        return [...this.#open.values()][step.which]?.leave()
      case 'tick':
        return await this.clock.advance(step.ms)
      case 'upstream':
        this.#source(step.issuer).behaviour = step.behaviour
        return this.#noteCalm(this.#source(step.issuer))
      case 'invalidate':
        return this.#invalidate(step)
      case 'suspend':
        this.#moved()
        return this.clock.suspend(step.ms)
      case 'wall':
        this.#moved()
        return this.clock.jump(step.ms)
      case 'restore':
        return this.#restore(step.ms)
      case 'reload':
        return this.#reload(step.issuer)
      case 'drain':
        return this.#drain()
    }
  }

  /** Clocks that move by themselves, and what else makes an early attempt worth while, end every promise to wait. */
  #moved(): void {
    this.#notBefore.clear()
    this.#relieved.clear()
    this.#calmSince.clear()
  }

  /** From now on the issuer answers well and soon, if it did not before; a call under way may still end otherwise. */
  #noteCalm({ name, behaviour, active }: FakeTokenSource): void {
    const { kind } = behaviour
    const good = kind === 'issue' && behaviour.audience === undefined && behaviour.datedS === undefined
    const soon = good && (behaviour.lifeS ?? 60) >= 12 && (behaviour.afterMs ?? 0) <= soonMs
    if (!soon || active.length > 0) this.#calmSince.delete(name)
    else if (!this.#calmSince.has(name)) this.#calmSince.set(name, this.clock.boottime())
  }

  #source(index: number): FakeTokenSource {
    const source = this.#sources[index]
    if (source === undefined) throw new TypeError('no such source')
    return source
  }

  async #request(step: Extract<Step, { do: 'request' }>): Promise<void> {
    const wanted = keys[step.key]
    if (wanted === undefined) throw new TypeError('no such key')
    const caller = new AbortController()
    const number = this.#requests++
    const open: Open = {
      ...step,
      number,
      deadline: this.clock.monotonic() + step.timeoutMs,
      leave: () => caller.abort(new Error('left')),
    }
    const satisfying = this.#satisfying(open)
    const calls = this.#order.size
    this.#open.set(number, open)
    const own = { fresh: step.own === 'fresh', nonces: step.own === 'nonces' ? ['nonce-0001'] : [] }
    const demand = { minValidS: step.minValidS, timeoutMs: step.timeoutMs, caller: `uid:${number % 3}` }
    this.#broker.obtainToken({ ...wanted, ...own }, demand, caller.signal).then(
      (served) => this.#served(open, served),
      (error) => {
        this.#require('bug', error.code !== undefined || error.message === 'left', () => String(error))
        this.#answered(open, String(error.code ?? error.message))
        const free = error.code !== 'quote_queue_full' || this.#order.size === calls
        this.#require('I14', free, () => `request ${number} was turned away and cost a call`)
      },
    )
    await settled(1)
    if (satisfying === undefined) return
    this.#require('I5', !this.#open.has(number), () => `request ${number} waits although ${satisfying.token} would do`)
  }

  /** The token that must answer this request at once; with a margin of some ms, for reckoning in fractions. */
  #satisfying(open: Open): Stored | undefined {
    const stored = this.#stored.get(open.key)
    if (open.own !== 'shared' || stored === undefined) return undefined
    return this.#left(stored) >= this.#requiredMs(open, stored.issued) + 5 ? stored : undefined
  }

  #requiredMs({ minValidS }: Open, { issuedAt, expiresAt }: IssuedToken): number {
    if (minValidS === 0) return 1_000
    return 1_000 * Math.max(5, minValidS ?? Math.min(60, (expiresAt - issuedAt) / 5))
  }

  #answered(open: Open, what: string): void {
    const now = this.clock.monotonic()
    this.trace.push(`${now} answer ${open.number} ${what}`)
    this.#require('I6', this.#open.delete(open.number), () => `second answer to request ${open.number}`)
    this.#require(
      'I6',
      now <= open.deadline + 50,
      () => `request ${open.number} answered ${now - open.deadline} ms late`,
    )
  }

  #served(open: Open, served: ServedToken): void {
    this.#answered(open, served.token)
    const issued = this.#issuedTo.get(served.token)
    this.#require(
      'I19',
      issued !== undefined && issued.refusedWith === undefined,
      () => `${served.token} did not verify`,
    )
    if (issued === undefined) return
    const wanted = keys[open.key]?.audience
    this.#require('I2', `${served.audience}` === `${wanted}`, () => `audience ${served.audience} instead of ${wanted}`)
    this.#require('I2', `${issued.audience}` === `${wanted}`, () => `token for ${issued.audience} instead of ${wanted}`)
    if (open.own === 'shared') this.#servedShared(open, served, issued)
    else this.#servedOwn(open, served, issued)
  }

  #servedOwn(open: Open, { token }: ServedToken, issued: IssuedToken): void {
    this.#require('I11', !this.#own.has(token), () => `${token} served twice`)
    this.#own.add(token)
    this.#require('I11', this.#keyOf(issued.call.request) === -1, () => `shared ${token} for request ${open.number}`)
    const left = issued.expiresAt * 1_000 - this.clock.now()
    this.#require('I1', left >= this.#requiredMs(open, issued) - 1, () => `${left} ms left for request ${open.number}`)
  }

  #servedShared(open: Open, served: ServedToken, issued: IssuedToken): void {
    const { key } = open
    const stored = this.#stored.get(key)
    this.#require('I10', stored?.token === served.token, () => `${served.token} instead of ${stored?.token}`)
    if (stored === undefined) return
    this.#requireAsTold(key, served, issued)
    const left = this.#left(stored)
    this.#require('I1', left >= this.#requiredMs(open, issued) - 1, () => `${left} ms left for request ${open.number}`)
    this.#requireOrder(key, served, issued)
    this.#lastUse.set(key, { at: this.clock.monotonic(), lifeMs: (issued.expiresAt - issued.issuedAt) * 1_000 })
  }

  /** What is served is what the broker told of, with its own times (API-98). */
  #requireAsTold(key: number, served: ServedToken, { issuedAt, expiresAt }: IssuedToken): void {
    const kept = this.#ledger.kept(key)
    const told = kept?.jti === served.jti && kept.generation === served.generation
    this.#require('I10', told, () => `${served.jti} is served, ${kept?.jti} was told of`)
    const own = served.issuedAt === issuedAt && served.expiresAt === expiresAt
    this.#require('API-98', own, () => `${served.token} is served with the times of another`)
  }

  #requireOrder(key: number, served: ServedToken, issued: IssuedToken): void {
    const last = this.#lastServed.get(key)
    const call = this.#order.get(issued.call) ?? 0
    this.#require(
      'I4',
      call > (this.#callsBefore.get(key) ?? 0),
      () => `${served.token} is from before an invalidation`,
    )
    this.#lastServed.set(key, { call, token: served.token, generation: served.generation })
    if (last === undefined) return
    const grows =
      served.token === last.token ? served.generation === last.generation : served.generation > last.generation
    this.#require('I4', grows && call >= last.call, () => `generation ${served.generation} after ${last.generation}`)
  }

  #invalidate({ key, by, hard }: Extract<Step, { do: 'invalidate' }>): void {
    const about = keys[key]
    if (about === undefined) throw new TypeError('no such key')
    const which = {
      issuer: { issuer: about.issuer },
      kid: { kid: 'k1' },
      audience: { audience: about.audience[0] ?? '' },
      all: { all: true },
    }[by]
    this.#moved()
    if (!hard) this.#soften(about, by)
    this.#broker.invalidate({ ...which, hard })
    if (!hard) return
    this.#requireEnded('BRK-76', this.#sources, ({ issuer, audience }) => {
      if (by === 'issuer') return issuer === about.issuer
      return by !== 'audience' || audience.includes(about.audience[0] ?? '')
    })
    for (const [index, request] of keys.entries()) {
      const stored = this.#stored.get(index)
      const hit = {
        issuer: request.issuer === about.issuer,
        kid: stored?.issued.kid === 'k1',
        audience: request.audience.includes(about.audience[0] ?? ''),
        all: true,
      }[by]
      if (!hit) continue
      this.#stored.delete(index)
      this.#callsBefore.set(index, this.#order.size)
    }
  }

  /** What may bring just what was declared worthless is cut off too, shared or not. */
  #requireEnded(rule: string, sources: readonly FakeTokenSource[], which: (request: TokenRequest) => boolean): void {
    const going = sources.flatMap(({ active }) => active).filter(({ request }) => which(request))
    this.#require(rule, going.length === 0, () => `${going.length} calls go on that bring what is worthless`)
  }

  /** BRK-75: a newer token is wanted from a call that starts from now on. */
  #soften(about: TokenRequest, by: string): void {
    for (const [key, { issued }] of this.#stored) {
      const { issuer, audience } = keys[key] ?? about
      const hit =
        by === 'all' ||
        (by === 'issuer' && issuer === about.issuer) ||
        (by === 'kid' && issued.kid === 'k1') ||
        (by === 'audience' && audience.includes(about.audience[0] ?? ''))
      if (hit) this.#softened.set(key, this.#order.size)
    }
  }

  #restore(ms: number): void {
    this.#moved()
    this.#softened.clear()
    this.#broker.status()
    this.clock.restore(ms)
    this.#broker.status()
    this.#requireEnded('BRK-63', this.#sources, () => true)
    this.#stored.clear()
    this.#lastStart.clear()
    for (const key of keys.keys()) this.#callsBefore.set(key, this.#order.size)
  }

  #reload(index: number): void {
    const old = this.#source(index)
    const { name, usualLifetimeS, generation } = old
    const source = new FakeTokenSource(this.clock, { name, usualLifetimeS, generation: generation + 1 })
    source.behaviour = old.behaviour
    this.#sources = this.#sources.with(index, this.#watched(source))
    this.#calmSince.delete(name)
    this.#relieved.clear()
    this.#broker.replaceSources(this.#sources)
    this.#requireEnded('BRK-142', [old], () => true)
    this.#noteCalm(source)
    for (const [key, request] of keys.entries()) if (request.issuer === name) this.#forget(key)
  }

  #forget(key: number): void {
    this.#ledger.forget(key)
    this.#softened.delete(key)
    this.#notBefore.delete(key)
    this.#stored.delete(key)
    this.#lastServed.delete(key)
    this.#lastStart.delete(key)
    this.#callsBefore.set(key, this.#order.size)
  }

  #drain(): void {
    this.#broker.drain()
    this.#draining = true
  }

  #afterStep(): void {
    const now = this.clock.monotonic()
    for (const open of this.#open.values()) {
      this.#require('I6', now <= open.deadline + 50, () => `request ${open.number} is not answered`)
    }
    const status = this.#broker.status()
    // Once over is over, whatever the wall clock says later (BRK-62).
    for (const [key, stored] of this.#stored) if (this.#left(stored) <= 0) this.#stored.delete(key)
    for (const [key, request] of keys.entries()) {
      const there = status.entries.some(
        ({ issuer, audience }) => issuer === request.issuer && `${audience}` === `${request.audience}`,
      )
      if (!there) this.#entryGone(key)
    }
    if (status.clock === 'unsafe' || this.#draining) {
      this.#lastFailure.clear()
      this.#relieved.clear()
    }
    this.#require('I17', this.#ledger.flying === status.flights, () => `${this.#ledger.flying} attempts were told of`)
    this.#requireBounds(status.entries.map((entry) => this.#keyOf(tokenRequest(entry))))
    if (this.#newestIat * 1_000 > this.clock.now()) this.#calmSince.clear()
    const open = new Set(status.issuers.filter(({ breaker }) => breaker === 'open').map(({ name }) => name))
    for (const [key, request] of keys.entries()) if (isWarm(key)) this.#requireAttempts(key, request, open)
    for (const key of this.#relieved.keys()) this.#requireRelief(key, open)
  }

  #entryGone(key: number): void {
    this.#stored.delete(key)
    this.#lastServed.delete(key)
    this.#lastStart.delete(key)
    this.#ledger.forget(key)
    this.#softened.delete(key)
    this.#notBefore.delete(key)
    const waiting = [...this.#open.values()].find((open) => open.key === key && open.own === 'shared')
    this.#require('BRK-04', waiting === undefined, () => `request ${waiting?.number} waits for an entry that is gone`)
  }

  /** BRK-04, BRK-48: the cache keeps its bounds and what is declared, and no call is without end. */
  #requireBounds(there: readonly number[]): void {
    const now = this.clock.monotonic()
    const oldest = this.#sources.flatMap(({ active }) => active).find((call) => now - call.monotonic > flightMs + 50)
    this.#require('BRK-48', oldest === undefined, () => `a call goes on after ${now - (oldest?.monotonic ?? 0)} ms`)
    const made = there.filter((key) => !isWarm(key))
    this.#require('BRK-04', made.length <= cacheLimits.entries, () => `${made.length} entries that callers made`)
    const declared = keys.every((_, key) => !isWarm(key) || there.includes(key))
    this.#require('BRK-04', declared, () => 'a declared entry is gone')
    this.#requireUncut(there, now)
  }

  /** BRK-32: a call that somebody waits for, or that is wanted anyway, is cut off by what says so and by nothing else. */
  #requireUncut(there: readonly number[], now: number): void {
    const { do: step } = this.#step
    const ends = this.#draining || step === 'restore' || step === 'reload'
    if (ends || (this.#step.do === 'invalidate' && this.#step.hard)) return
    const wanted = new Set([...this.#open.values()].filter(({ own }) => own === 'shared').map(({ key }) => key))
    const isWanted = (key: number) => there.includes(key) && (isWarm(key) || wanted.has(key))
    const cut = this.#cut.find(({ key, call }) => isWanted(key) && now - call.monotonic < flightMs - 1)
    this.#require('BRK-32', cut === undefined, () => `the call for key ${cut?.key} was cut off in the step ${step}`)
  }

  /** BRK-46: the issuer serves others again; a declared key that it failed is tried soon, not after its own pause. */
  #requireRelief(key: number, open: ReadonlySet<string>): void {
    const since = this.#relieved.get(key)
    const { issuer = '' } = keys[key] ?? {}
    const busy = this.#sources.some(({ name, active }) => name === issuer && active.length > 0)
    if (since === undefined || busy || open.has(issuer) || !this.#unreached.has(key)) return
    const pause = this.clock.boottime() - since
    this.#require('BRK-46', pause <= 8_000, () => `key ${key} is not tried ${pause} ms after its issuer came back`)
  }

  /** I9: while a valid token exists, attempts that may help are at most a minute apart; one a time where the breaker is open. */
  #requireAttempts(key: number, request: TokenRequest, open: ReadonlySet<string>): void {
    const [stored, failedAt] = [this.#stored.get(key), this.#lastFailure.get(key)]
    const busy = this.#sources.some(({ name, active }) => name === request.issuer && active.length > 0)
    if (stored === undefined || failedAt === undefined || busy) return
    if (this.#broker.describe(request).state !== 'degraded') return
    const since = open.has(request.issuer) ? (this.#lastEnd.get(request.issuer) ?? failedAt) : failedAt
    const pause = this.clock.monotonic() - since
    this.#require('I9', pause <= 61_500, () => `no attempt for key ${key} for ${pause} ms`)
  }

  /** I8: the issuers work again and the clock is right; then every declared token is there again. */
  async recover(): Promise<void> {
    if (this.#draining || this.violations.length > 0) return
    for (const source of this.#sources) {
      source.behaviour = { kind: 'issue' }
      source.endHangs()
    }
    const behind = this.#newestIat * 1_000 - this.clock.now()
    this.#moved()
    this.#step = { do: 'tick', ms: 0 }
    this.#cut = []
    if (behind > 0) this.clock.jump(behind)
    await this.clock.advance(9_000)
    const codes = keys.map((request) => this.#broker.describe(request).lastError?.code ?? '')
    const slow = codes.some((code) => /rejected|misconfigured|UNFIT/.test(code))
    await this.clock.advance(slow ? 365_000 : 30_000)
    if (!slow && codes.includes('issuer_unavailable')) await this.clock.advance(90_000)
    for (const [key, request] of keys.entries()) {
      const { state, expiresAt } = this.#broker.describe(request)
      this.#require('I8', !isWarm(key) || expiresAt !== null, () => `key ${key} is ${state} after recovery`)
      const due = isWarm(key) && this.#softened.has(key) && state === 'fresh'
      this.#require('BRK-75', !due, () => `the token of key ${key} was not renewed after its invalidation`)
    }
    this.#afterStep()
  }

  /** I17: when all have left and the broker has stopped, nothing is left of them. */
  async end(): Promise<void> {
    for (const { leave } of [...this.#open.values()]) leave()
    this.#draining = true
    const drained = this.#broker.drain()
    await this.clock.advance(70_000)
    await drained
    this.#stop.abort(new Error('stop'))
    await this.#keeping
    await settled(1)
    const { flights, waiters } = this.#broker.status()
    const left = { flights, waiters, sleeping: this.clock.sleeping, open: this.#open.size }
    this.#require(
      'I17',
      Object.values(left).every((count) => count === 0),
      () => JSON.stringify(left),
    )
  }
}
