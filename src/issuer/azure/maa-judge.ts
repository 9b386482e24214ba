import { NewestFew } from '../../base/newest-few.ts'
import {
  type Evaluation,
  type PolicyLimits,
  PreparedPolicy,
  parsePolicy,
  policyDigest,
  presentClaims,
  type Verdict,
  type VerifiedTrees,
} from '../../policies/index.ts'

/** What is asked of a policy of this façade. */
export interface MaaQuestion {
  /** UTF-8. */
  readonly policy: Uint8Array
  readonly trees: VerifiedTrees
  /** Data that the report data of the quote bind; null: none (POL-435). */
  readonly runtimeData: Uint8Array | null
}

/** The verdict of a policy, with the lines of the rules that decided. */
export type MaaVerdict = Verdict & Pick<Evaluation, 'decidedBy'>

const keptPolicies = 8

function verdictOf(evaluation: Evaluation): MaaVerdict {
  const { decidedBy } = evaluation
  if (evaluation.verdict === 'deny') return { verdict: 'deny', reason: evaluation.reason, decidedBy }
  if (evaluation.verdict === 'error') return { verdict: 'error', error: evaluation.error, decidedBy }
  const { token, properties } = evaluation
  return { verdict: 'permit', token, properties, decidedBy }
}

/** Asks policies of this façade, in the profile of Azure. What was asked last is kept ready. */
export class MaaJudge {
  readonly #limits: Partial<PolicyLimits>
  readonly #prepared = new NewestFew<PreparedPolicy | null>(keptPolicies)

  constructor(limits: Partial<PolicyLimits> = {}) {
    this.#limits = limits
  }

  /** Null for a policy that does not load, although it did when it was set: it permits nothing. */
  judge({ policy, trees, runtimeData }: MaaQuestion): MaaVerdict | null {
    const prepared = this.#prepare(policy)
    if (prepared === null) return null
    return verdictOf(prepared.evaluate(presentClaims(trees, runtimeData === null ? {} : { runtimeData })))
  }

  #prepare(policy: Uint8Array): PreparedPolicy | null {
    return this.#prepared.of(policyDigest(policy), () => {
      const parsed = parsePolicy(policy)
      if (parsed.policy === undefined) return null
      return new PreparedPolicy(parsed.policy, { profile: 'maa', limits: this.#limits })
    })
  }
}
