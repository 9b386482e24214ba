import { pauseWithoutToken } from './backoff.ts'
import type { Instant } from './clock-watch.ts'
import type { Flight, FlightOutcome } from './flight.ts'

const transportFailuresToOpen = 5
const badTokensToOpen = 3
const backgroundStartsPerSecond = 3
const eventSpacingMs = 5_000

/** The breaker of one issuer: closed, or open with one probe at a time (BRK-44). */
type Breaker =
  | { readonly kind: 'closed' }
  | { readonly kind: 'open'; readonly probes: number; readonly probeAt: number; readonly probe: Flight | null }

const closed: Breaker = { kind: 'closed' }

/** What the attempts at one issuer have in common: the breaker, and how often they start without anybody waiting. */
export class IssuerGate {
  readonly #drawUnit: () => number
  readonly #observe: (state: Breaker['kind']) => void
  #breaker: Breaker = closed
  #transportFailures = 0
  #badTokens = 0
  #backgroundStarts: readonly number[] = []
  #lastEventAt = Number.NEGATIVE_INFINITY
  #lastAttemptMs = 0

  /** `observe` is told when the breaker has opened or closed. */
  constructor(drawUnit: () => number, observe: (state: Breaker['kind']) => void) {
    this.#drawUnit = drawUnit
    this.#observe = observe
  }

  get isOpen(): boolean {
    return this.#breaker.kind === 'open'
  }

  /** How long the attempt took that ended last: what another full try may be expected to take (BRK-42). */
  get lastAttemptMs(): number {
    return this.#lastAttemptMs
  }

  /** Milliseconds until the breaker lets an attempt through; 0: now. */
  blockedForMs({ boot }: Instant): number {
    if (this.#breaker.kind === 'closed') return 0
    const untilProbe = Math.max(this.#breaker.probeAt - boot, 0)
    return this.#breaker.probe === null ? untilProbe : Math.max(untilProbe, 1_000)
  }

  /** Milliseconds until an attempt may start that nobody waits for (BRK-74); 0: now. */
  backgroundBlockedForMs(instant: Instant): number {
    const oldest = this.#backgroundStarts[0]
    const full = this.#backgroundStarts.length >= backgroundStartsPerSecond && oldest !== undefined
    const crowded = full ? Math.max(oldest + 1_000 - instant.monotonic, 0) : 0
    return Math.max(crowded, this.blockedForMs(instant))
  }

  departed(flight: Flight): void {
    const { background, started } = flight.plan
    if (background) {
      this.#backgroundStarts = [...this.#backgroundStarts, started.monotonic].slice(-backgroundStartsPerSecond)
    }
    if (this.#breaker.kind === 'open') this.#breaker = { ...this.#breaker, probe: flight }
  }

  returned(flight: Flight, outcome: FlightOutcome, instant: Instant): void {
    const probing = this.#breaker.kind === 'open' && this.#breaker.probe === flight
    if (this.#breaker.kind === 'open' && probing) this.#breaker = { ...this.#breaker, probe: null }
    if (outcome.kind === 'superseded') return
    this.#lastAttemptMs = Math.max(instant.monotonic - flight.plan.started.monotonic, 0)
    if (outcome.kind === 'landed') this.#close()
    if (outcome.kind === 'failed') this.#failed(outcome.failure.class, probing, instant)
  }

  #failed(failureClass: string, probing: boolean, instant: Instant): void {
    switch (failureClass) {
      case 'transport':
        this.#transportFailures++
        break
      case 'bad-token':
        this.#badTokens++
        this.#transportFailures = 0
        break
      case 'verdict':
      case 'misconfigured':
      case 'unsupported':
        // The issuer is there and answers.
        this.#close()
        return
      default:
        // A failure on our side says nothing about the issuer: a probe that met it is repeated.
        if (probing) this.#open(instant)
        return
    }
    const tooMany = this.#transportFailures >= transportFailuresToOpen || this.#badTokens >= badTokensToOpen
    if (probing || (tooMany && !this.isOpen)) this.#open(instant)
  }

  #open({ boot }: Instant): void {
    const opens = this.#breaker.kind === 'closed'
    const probes = this.#breaker.kind === 'open' ? this.#breaker.probes + 1 : 1
    this.#breaker = { kind: 'open', probes, probeAt: boot + pauseWithoutToken(probes, this.#drawUnit()), probe: null }
    if (opens) this.#observe('open')
  }

  #close(): void {
    const closes = this.#breaker.kind === 'open'
    this.#breaker = closed
    if (closes) this.#observe('closed')
    this.#transportFailures = 0
    this.#badTokens = 0
  }

  /** An event makes an early attempt worth while: gives the boot time from which on it may be made (BRK-45). Once per event. */
  noteEvent({ boot }: Instant): number {
    if (this.#lastEventAt <= boot) this.#lastEventAt = Math.max(boot, this.#lastEventAt + eventSpacingMs)
    const at = this.#lastEventAt
    if (this.#breaker.kind === 'open')
      this.#breaker = { ...this.#breaker, probeAt: Math.min(this.#breaker.probeAt, at) }
    return at
  }

  /** The clocks went back: what was noted of them means nothing any more (BRK-63). */
  forgetTimes({ boot }: Instant): void {
    this.#backgroundStarts = []
    this.#lastEventAt = Number.NEGATIVE_INFINITY
    if (this.#breaker.kind === 'open') this.#breaker = { ...this.#breaker, probeAt: boot }
  }
}
