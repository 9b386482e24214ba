import { abandonable } from '../../base/tasks.ts'
import type { BundledPolicy } from './appraisal-policies.ts'
import type { BundleInput } from './bundle-input.ts'
import type { BundleLane } from './bundle-lane.ts'
import type { JudgedPolicy } from './policy-judge.ts'

export interface BatchVerdictsOptions {
  readonly lane: BundleLane
  /** Of the appraisal of the batch; absent: no request of it is under a bundle. */
  readonly input: BundleInput | undefined
  /** Of the appraisal, in milliseconds since the epoch. */
  readonly now: number
  /** Hears of each verdict once. */
  readonly observe: (judged: JudgedPolicy) => void
}

/**
 * What bundles say of the evidence of one batch. Each is asked when the first request that is under it comes, and once. Only those
 * requests wait for it: neither the other ones of the batch nor the devices do.
 */
export class BatchVerdicts {
  readonly #options: BatchVerdictsOptions
  readonly #verdicts = new Map<string, Promise<JudgedPolicy>>()

  constructor(options: BatchVerdictsOptions) {
    this.#options = options
  }

  /** Rejects with the reason of `signal` when it aborts; the evaluation goes on for the others. Nothing is asked for who has gone. */
  async of(bundles: readonly BundledPolicy[], signal: AbortSignal): Promise<readonly JudgedPolicy[]> {
    signal.throwIfAborted()
    return Promise.all(bundles.map((policy) => abandonable(this.#verdictOf(policy), signal)))
  }

  #verdictOf(policy: BundledPolicy): Promise<JudgedPolicy> {
    const before = this.#verdicts.get(policy.id)
    if (before !== undefined) return before
    const verdict = this.#judge(policy)
    this.#verdicts.set(policy.id, verdict)
    return verdict
  }

  async #judge(policy: BundledPolicy): Promise<JudgedPolicy> {
    const { lane, input, now, observe } = this.#options
    if (input === undefined) throw new TypeError(`policy ${policy.id} is asked, and its input was not made`)
    const judged = await lane.judge(policy, input, now)
    observe(judged)
    return judged
  }
}
