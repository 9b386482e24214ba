import type { ServedToken } from '../../../src/results/served-token.ts'
import { isUnshared, type TokenDemand, type TokenRequest } from '../../../src/results/token-request.ts'
import { type Asked, BrokerRig, type RigOptions } from '../../support/broker-rig.ts'
import { settled } from '../../support/fake-clock.ts'
import { type FakeTokenSource, type IssuedToken, tokenRequest } from '../../support/fake-token-source.ts'
import type { Probe } from './fault.ts'

interface Known {
  readonly issued: IssuedToken
  readonly endBoot: number
}

const floorMs = 5_000
const keyOf = ({ issuer, audience, ttlS }: TokenRequest) => JSON.stringify([issuer, audience, ttlS])

/**
 * A broker under a fault, and an observer beside it that judges every answer by what the issuers gave and the clocks say. It asks
 * the broker nothing about itself.
 */
export class FaultRoom extends BrokerRig {
  readonly #probe: Probe
  readonly #known = new Map<string, Known>()
  /** By key: tokens of calls up to this number of their issuer are worth nothing any more. */
  readonly #worthless = new Map<string, number>()

  constructor(probe: Probe, options: RigOptions = {}) {
    super(options)
    this.#probe = probe
    for (const source of this.sources) this.#watch(source)
  }

  #watch(source: FakeTokenSource): void {
    source.onAccept = (issued) => {
      const [wall, boot] = [this.clock.now(), this.clock.boottime()]
      const { issuedAt, expiresAt, call } = issued
      if (call.signal.aborted) return
      for (const [token, known] of this.#known) if (this.#leftMs(known) < -3_600_000) this.#known.delete(token)
      const life = Math.min(expiresAt * 1000 - wall, (expiresAt - issuedAt) * 1000)
      this.#known.set(issued.token, { issued, endBoot: boot + life })
    }
    source.onEnd = ({ request }, error) => {
      if ((error as { code?: string } | undefined)?.code === 'UPSTREAM_REFUSED') this.declareWorthless([request])
    }
  }

  /** From now on nothing that was asked for before may be served for these requests; none given: for all. */
  declareWorthless(requests?: readonly TokenRequest[]): void {
    const all = requests ?? [...this.#known.values()].map(({ issued }) => issued.call.request)
    for (const request of all) {
      const calls = this.sources.find(({ name }) => name === request.issuer)?.calls.length ?? 0
      this.#worthless.set(keyOf(request), calls)
    }
  }

  #isWorthless({ issued }: Known, request: TokenRequest): boolean {
    return issued.call.number <= (this.#worthless.get(keyOf(request)) ?? 0)
  }

  #leftMs({ issued, endBoot }: Known): number {
    return Math.min(issued.expiresAt * 1000 - this.clock.now(), endBoot - this.clock.boottime())
  }

  #requiredMs({ issuedAt, expiresAt }: IssuedToken, minValidS: number | null): number {
    if (minValidS === 0) return 1_000
    return Math.max(floorMs, (minValidS ?? Math.min(60, (expiresAt - issuedAt) / 5)) * 1000)
  }

  /** The newest token that the issuer gave for this key and that is good by every check of the broker. */
  #newest(request: TokenRequest): Known | undefined {
    const good = [...this.#known.values()].filter(({ issued }) => {
      const { call, issuedAt, expiresAt, audience } = issued
      return (
        keyOf(call.request) === keyOf(request) &&
        !isUnshared(call.request) &&
        `${audience}` === `${request.audience}` &&
        issuedAt * 1000 <= call.wall + 30_000 &&
        issuedAt >= Math.floor(call.wall / 1000) - 30 &&
        expiresAt - issuedAt >= 10
      )
    })
    return good.sort((left, right) => left.issued.call.number - right.issued.call.number).at(-1)
  }

  /** Whether a token is there that must answer this request at once. */
  #hasAnswer(request: TokenRequest, minValidS: number | null): boolean {
    const known = this.#newest(request)
    if (known === undefined || this.#isWorthless(known, request)) return false
    return this.#leftMs(known) >= this.#requiredMs(known.issued, minValidS) + 10
  }

  #judge(request: TokenRequest, minValidS: number | null, { token, audience }: ServedToken): void {
    const known = this.#known.get(token)
    if (known === undefined || known.issued.refusedWith !== undefined) {
      this.#probe.wrong++
      return
    }
    const { issued } = known
    const right = `${issued.audience}` === `${request.audience}` && `${audience}` === `${request.audience}`
    if (!right || this.#isWorthless(known, request)) this.#probe.wrong++
    const left = this.#leftMs(known)
    if (left <= 0 || left < Math.min(floorMs, this.#requiredMs(issued, minValidS)) - 1) this.#probe.expired++
  }

  /** A reader comes; whatever it is answered, and whenever, is judged. */
  async read(about: Partial<TokenRequest> = {}, demand: Partial<TokenDemand> = {}): Promise<Asked> {
    const request = tokenRequest(about)
    const minValidS = demand.minValidS ?? null
    const must = !isUnshared(request) && this.#hasAnswer(request, minValidS)
    const asked = this.send(about, demand)
    asked.promise.then(
      (served) => {
        this.#probe.answers++
        this.#judge(request, minValidS, served)
      },
      () => undefined,
    )
    await settled(1)
    if (must && asked.served === undefined) this.#probe.blocked++
    return asked
  }

  /** Time passes, and a reader comes again and again who does not wait. Gives how many were served. */
  async live(ms: number, everyMs: number, about: Partial<TokenRequest> = {}): Promise<number> {
    let served = 0
    for (let rest = ms; rest > 0; rest -= everyMs) {
      await this.clock.advance(Math.min(everyMs, rest))
      const asked = await this.read(about, { timeoutMs: 1 })
      if (asked.served !== undefined) served++
      asked.leave()
    }
    return served
  }

  /** Waits for the next token of a request; more than `withinS` is a failure. */
  async recover(withinS: number, about: Partial<TokenRequest> = {}): Promise<void> {
    const from = this.clock.monotonic()
    while (this.clock.monotonic() - from <= withinS * 1000) {
      const asked = await this.read(about, { timeoutMs: 1 })
      if (asked.served !== undefined) {
        this.#probe.recovered(this.clock.monotonic() - from)
        return
      }
      await this.clock.advance(250)
    }
    this.#probe.expect(false, `no token ${withinS} s after the end of the fault`)
  }
}
