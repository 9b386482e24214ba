import { type Broker, createBroker } from '../../src/passport/broker.ts'
import type { BrokerEvent, BrokerObserver } from '../../src/passport/broker-events.ts'
import type { DeclaredRequest } from '../../src/passport/declared-request.ts'
import type { BrokerLimits } from '../../src/passport/limits.ts'
import type { ServedToken } from '../../src/results/served-token.ts'
import type { TokenDemand, TokenRequest } from '../../src/results/token-request.ts'
import { FakeClock, settled } from './fake-clock.ts'
import { FakeTokenSource, tokenRequest } from './fake-token-source.ts'
import { seededRandom } from './seeded-random.ts'

/** A request that is on its way, or answered. */
export interface Asked {
  readonly promise: Promise<ServedToken>
  served: ServedToken | undefined
  // biome-ignore lint/suspicious/noExplicitAny: whatever was thrown
  error: any
  /** Monotonic time of the answer. */
  answeredAt: number | undefined
  leave(): void
}

export interface RigOptions {
  readonly warm?: readonly TokenRequest[]
  readonly sinks?: readonly TokenRequest[]
  readonly limits?: Partial<BrokerLimits>
  readonly seed?: number
  readonly observe?: BrokerObserver
  /** An issuer of another kind than the usual one. */
  readonly makeSource?: (clock: FakeClock, about: { name: string; usualLifetimeS: number }) => FakeTokenSource
  readonly sources?: readonly (readonly [string, number])[]
}

/** Requests as a configuration declares them. */
export const asDeclared = (requests: readonly TokenRequest[], sink = false): DeclaredRequest[] =>
  requests.map((request) => ({ request, sink }))

/** A broker with clock and issuers that a test moves. */
export class BrokerRig {
  readonly clock = new FakeClock(Date.UTC(2026, 0, 1), 1)
  readonly sources: readonly FakeTokenSource[]
  readonly broker: Broker
  /** Everything that the broker told its observer. */
  readonly events: BrokerEvent[] = []
  readonly #stop = new AbortController()
  /** Ends when `keepFresh` does. */
  keeping: Promise<void> | undefined

  constructor(options: RigOptions = {}) {
    this.sources = (options.sources ?? [['bundled', 900]]).map(
      ([name, usualLifetimeS]) =>
        options.makeSource?.(this.clock, { name, usualLifetimeS }) ??
        new FakeTokenSource(this.clock, { name, usualLifetimeS }),
    )
    this.broker = createBroker({
      sources: this.sources,
      clock: this.clock,
      random: seededRandom(options.seed ?? 1),
      limits: options.limits ?? {},
      declared: [...asDeclared(options.warm ?? [], false), ...asDeclared(options.sinks ?? [], true)],
      observe: (event) => {
        this.events.push(event)
        options.observe?.(event)
      },
    })
  }

  get source(): FakeTokenSource {
    const [first] = this.sources
    if (first === undefined) throw new TypeError('a rig has a source')
    return first
  }

  keepFresh(): this {
    this.keeping = this.broker.keepFresh(this.#stop.signal)
    return this
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('stop'))
    await this.keeping
  }

  /** Sends a request and does not wait for its answer. */
  send(request: Partial<TokenRequest> = {}, demand: Partial<TokenDemand> = {}): Asked {
    const caller = new AbortController()
    const wished = { minValidS: null, timeoutMs: 15_000, caller: 'uid:0', ...demand }
    const promise = this.broker.obtainToken(tokenRequest(request), wished, caller.signal)
    const asked: Asked = {
      promise,
      served: undefined,
      error: undefined,
      answeredAt: undefined,
      leave: () => caller.abort(new Error('the caller left')),
    }
    const answered = () => {
      asked.answeredAt = this.clock.monotonic()
    }
    promise.then(
      (served) => {
        asked.served = served
        answered()
      },
      (error) => {
        asked.error = error
        answered()
      },
    )
    return asked
  }

  /** Sends a request and lets run what is ready; no time passes. */
  async ask(request: Partial<TokenRequest> = {}, demand: Partial<TokenDemand> = {}): Promise<Asked> {
    const asked = this.send(request, demand)
    await settled(1)
    return asked
  }

  eventsOf<E extends BrokerEvent['event']>(event: E): Extract<BrokerEvent, { event: E }>[] {
    return this.events.filter((told): told is Extract<BrokerEvent, { event: E }> => told.event === event)
  }

  state(request: Partial<TokenRequest> = {}): string {
    return this.broker.describe(tokenRequest(request)).state
  }

  /** Requests, timers and attempts that are left: all zero where nothing leaks (I17). */
  leftovers() {
    const { flights, waiters } = this.broker.status()
    return { flights, waiters, sleeping: this.clock.sleeping }
  }
}
