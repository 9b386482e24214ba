import type { Clock } from '../base/clock.ts'
import { AttestdError } from '../base/errors.ts'
import { abandonable } from '../base/tasks.ts'
import type { TokenRequest } from '../results/token-request.ts'
import type { Instant } from './clock-watch.ts'
import { passportErrors } from './errors.ts'
import { classifyFailure, type Failure, type Phase } from './failure.ts'
import type { HeldToken } from './held-token.ts'
import type { BrokerLimits } from './limits.ts'
import { requireCompactForm, requireUsable } from './received-token.ts'
import type { TokenSource } from './token-source.ts'

/** How one attempt ended. */
export type FlightOutcome =
  | { readonly kind: 'landed'; readonly held: HeldToken }
  | { readonly kind: 'failed'; readonly failure: Failure }
  /** Nobody may have its result any more: whoever waits looks again (BRK-33). */
  | { readonly kind: 'superseded' }
  /** Not an `AttestdError`: to be thrown, wherever somebody hears it. */
  | { readonly kind: 'bug'; readonly error: unknown }

/** Everything that one attempt needs. */
export interface FlightPlan {
  readonly source: TokenSource
  readonly request: TokenRequest
  readonly started: Instant
  /** Taken when the attempt starts: orders its result among those of the same entry (BRK-33). */
  readonly generation: number
  /** Started by the schedule and not by somebody who waits. */
  readonly background: boolean
  /** Who asked, or for whom the entry was made: quotes go round over callers (API-84). */
  readonly caller: string
}

/** What all attempts share. */
export interface FlightGear {
  readonly limits: BrokerLimits
  readonly clock: Clock
  readonly read: () => Instant
  readonly drawUnit: () => number
  /** Told when a token arrives that nobody may have any more. */
  readonly onLateResult: (plan: FlightPlan) => void
}

const superseded = new TypeError('the attempt was superseded')
const timedOut = new TypeError('the attempt took too long')

/**
 * One attempt to get one token: obtained, verified and judged usable in here, so that waiters see a verified token or
 * a classified error and nothing else (BRK-34). `outcome` never rejects. Cancelling tells the source to stop and ends the
 * attempt at once for everybody here; what the source still brings is dropped (BRK-32, BRK-33).
 */
export class Flight {
  readonly plan: FlightPlan
  readonly outcome: Promise<FlightOutcome>
  readonly #gear: FlightGear
  readonly #stop = new AbortController()
  #phase: Phase = 'obtain'

  constructor(plan: FlightPlan, gear: FlightGear) {
    this.plan = plan
    this.#gear = gear
    this.outcome = this.#fly()
  }

  cancel(): void {
    this.#stop.abort(superseded)
  }

  async #fly(): Promise<FlightOutcome> {
    const ended = new AbortController()
    this.#limitTime(ended.signal)
    try {
      return { kind: 'landed', held: await this.#obtainUsable() }
    } catch (error) {
      return this.#judge(error)
    } finally {
      ended.abort('ended')
    }
  }

  #limitTime(ended: AbortSignal): void {
    const { clock, limits } = this.#gear
    clock.sleep(limits.flightMs, ended).then(
      () => this.#stop.abort(timedOut),
      () => undefined,
    )
  }

  async #obtainUsable(): Promise<HeldToken> {
    const { source, request, started } = this.plan
    const signal = this.#stop.signal
    const token = await abandonable(this.#obtain(), signal)
    requireCompactForm(token)
    this.#phase = 'accept'
    const accepted = await abandonable(source.acceptToken(token, request), signal)
    // The reading may bring news, such as a restored snapshot, that end this attempt.
    const received = this.#gear.read()
    signal.throwIfAborted()
    return requireUsable(token, accepted, {
      request,
      fixedAudience: source.fixedAudience,
      exchange: { asked: started, received },
      limits: this.#gear.limits,
      unit: this.#gear.drawUnit(),
    })
  }

  async #obtain(): Promise<string> {
    const { source, request, caller, background } = this.plan
    const token = await source.obtainToken(request, this.#stop.signal, { caller, background })
    if (this.#stop.signal.aborted) this.#gear.onLateResult(this.plan)
    return token
  }

  #judge(error: unknown): FlightOutcome {
    const { reason } = this.#stop.signal
    if (reason === superseded) {
      if (this.#phase === 'accept') this.#gear.onLateResult(this.plan)
      return { kind: 'superseded' }
    }
    const cause = reason === timedOut ? this.#tooLong() : error
    if (!(cause instanceof AttestdError)) return { kind: 'bug', error: cause }
    return { kind: 'failed', failure: classifyFailure(cause, this.#phase, this.#gear.clock.now()) }
  }

  #tooLong(): AttestdError {
    const seconds = Math.round(this.#gear.limits.flightMs / 1000)
    return passportErrors.error('issuer_unavailable', `issuer '${this.plan.source.name}' gave no token in ${seconds} s`)
  }
}
