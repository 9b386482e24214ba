import type { Rate, TokenBuckets } from '../base/token-buckets.ts'
import type { CallerIdentity } from '../policies/caller-identity.ts'
import type { CallerRate, CallerRule } from '../policies/caller-policy.ts'
import { workloadApiErrors } from './errors.ts'
import type { WorkloadLimits } from './limits.ts'

/** Whom a caller is counted as: its unit if that is known, else its uid, else the door it came through (API-81). */
export function callerKey({ unit, uid, listener }: CallerIdentity): string {
  if (unit !== null) return `unit:${unit}`
  return uid === null ? `listener:${listener}` : `uid:${uid}`
}

const rateOf = ({ perMin, burst }: CallerRate): Rate => ({ perS: perMin / 60, burst })

const lower = (left: Rate, right: Rate): Rate => ({
  perS: Math.min(left.perS, right.perS),
  burst: Math.min(left.burst, right.burst),
})

const higher = (left: Rate, right: Rate): Rate => ({
  perS: Math.max(left.perS, right.perS),
  burst: Math.max(left.burst, right.burst),
})

/** Where a limit of section 5 stands. */
export type RateStage = 'accept' | 'request' | 'rule' | 'expensive'

const limitedThings: Readonly<Record<RateStage, string>> = {
  accept: 'new connections',
  request: 'requests',
  rule: 'requests by this rule',
  expensive: 'requests that need a quote',
}

/** The limits of section 5. Each `require…` takes one token or throws `rate_limited` with the time to wait. */
export class RateLimits {
  #buckets: TokenBuckets
  readonly #limited: (stage: RateStage) => void
  #accepts: Rate
  #requests: Rate
  #expensive: Rate

  /** `limited` is told of every refusal. Listeners that share `buckets` count together. */
  constructor(buckets: TokenBuckets, limits: WorkloadLimits, limited: (stage: RateStage) => void = () => undefined) {
    this.#buckets = buckets
    this.#limited = limited
    this.#accepts = { perS: limits.acceptsPerS, burst: limits.acceptBurst }
    this.#requests = { perS: limits.requestsPerS, burst: limits.requestBurst }
    this.#expensive = { perS: limits.expensivePerS, burst: limits.expensiveBurst }
  }

  #requireTaken(stage: RateStage, waitMs: number): void {
    if (waitMs === 0) return
    this.#limited(stage)
    const detail = `too many ${limitedThings[stage]}; one more is allowed in ${waitMs} ms`
    throw workloadApiErrors.error('rate_limited', detail, { facts: { retry_after_ms: waitMs } })
  }

  /** Stage 1, at accept and before identity (API-80). */
  requireAccept(uid: number): void {
    this.#requireTaken('accept', this.#buckets.take(`accept:${uid}`, this.#accepts))
  }

  /** Stage 2, before the request is looked at (API-81). */
  requireRequest(caller: string, raised: CallerRate | null): void {
    this.#requireTaken('request', this.#buckets.take(`request:${caller}`, this.#requestRate(raised)))
  }

  /** The rule's own rate, which only lowers the built-in one unless it says `raise`. */
  requireRule(caller: string, { id, rate }: CallerRule): void {
    if (rate === null) return
    const own = rate.raise ? rateOf(rate) : lower(rateOf(rate), this.#requests)
    this.#requireTaken('rule', this.#buckets.take(`rule:${id}:${caller}`, own))
  }

  /** Work that can touch the quote device: `fresh`, nonces, evidence. */
  requireExpensive(caller: string): void {
    this.#requireTaken('expensive', this.#buckets.take(`expensive:${caller}`, this.#expensive))
  }

  /** Whether a denial may be logged: one line in 10 s for the same caller and reason (BRK-131). */
  mayLogDenial(caller: string, dimension: string): boolean {
    return this.#buckets.take(`denied:${dimension}:${caller}`, { perS: 0.1, burst: 1 }) === 0
  }

  left(caller: string, raised: CallerRate | null): { requests: number; expensive: number } {
    return {
      requests: this.#buckets.left(`request:${caller}`, this.#requestRate(raised)),
      expensive: this.#buckets.left(`expensive:${caller}`, this.#expensive),
    }
  }

  #requestRate(raised: CallerRate | null): Rate {
    return raised ? higher(this.#requests, rateOf(raised)) : this.#requests
  }
}
