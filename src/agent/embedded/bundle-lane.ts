import { FairTurns, type FairTurnsOptions } from '../../base/fair-turns.ts'
import { abandonable } from '../../base/tasks.ts'
import type { BundledPolicy } from './appraisal-policies.ts'
import type { BundleInput } from './bundle-input.ts'
import type { JudgedPolicy } from './policy-judge.ts'

/**
 * Evaluations of bundles, one at a time: each may take 128 MiB, and together they could take all that the service has. They go
 * round over bundles, so that one which always runs into its deadline delays each of the others by one evaluation and no
 * more (POL-961). One for the process.
 */
export class BundleLane {
  readonly #turns: FairTurns
  /** The newest evaluation of each bundle that is under way or waits, by id; never rejects. */
  readonly #newest = new Map<string, Promise<unknown>>()

  constructor(options: FairTurnsOptions) {
    this.#turns = new FairTurns(options)
  }

  /**
   * What a bundle says of `input` at `now`, milliseconds since the epoch. Never rejects for what it does (POL-961), only with
   * what `refuse` gives where there is no place, or with the reason of `signal` if it aborts before the turn.
   */
  judge(policy: BundledPolicy, input: BundleInput, now: number, signal?: AbortSignal): Promise<JudgedPolicy> {
    const { id } = policy
    const work = async () => {
      // Without a bundle nothing of the engine is loaded.
      const { judgeByBundle } = await import('./bundle-verdicts.ts')
      return judgeByBundle(policy, input, now)
    }
    const verdict = this.#turns.take(work, signal, { caller: id, background: false })
    const forget = () => {
      if (this.#newest.get(id) === ended) this.#newest.delete(id)
    }
    const ended: Promise<unknown> = verdict.then(forget, forget)
    this.#newest.set(id, ended)
    return verdict
  }

  /**
   * Resolves when none of the bundles is asked anything. Who waits here before evidence is collected shares it with those
   * who wait as well; else evidence would be collected, and be kept, faster than a slow bundle can judge it.
   */
  async rested(bundles: readonly BundledPolicy[], signal: AbortSignal): Promise<void> {
    for (const { id } of bundles) {
      for (let last = this.#newest.get(id); last !== undefined; last = this.#newest.get(id)) {
        await abandonable(last, signal)
      }
    }
  }
}
