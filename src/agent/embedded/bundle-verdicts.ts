import type { Verdict } from '../../policies/index.ts'
import { type RegoEvaluation, regoError } from '../../policies/rego/rego-evaluation.ts'
import type { TrustName } from '../../policies/rego/trust-claims.ts'
import type { BundledPolicy } from './appraisal-policies.ts'
import type { BundleInput } from './bundle-input.ts'
import type { JudgedPolicy, OpposedTrust } from './policy-judge.ts'

function verdictOf(evaluation: RegoEvaluation): Verdict {
  if (evaluation.verdict === 'deny') return { verdict: 'deny', reason: evaluation.reason }
  if (evaluation.verdict === 'error') return { verdict: 'error', error: evaluation.error }
  const { token, properties } = evaluation
  return { verdict: 'permit', token, properties }
}

/** Names of the trust vector for which a denial was spoken: those that warn, or else those that are not affirmed (POL-964). */
function opposedTrust({ verdict, trust }: RegoEvaluation, required: readonly TrustName[]): OpposedTrust[] {
  if (verdict !== 'deny') return []
  const warned = trust.filter(({ tier }) => tier === 'warning' || tier === 'contraindicated')
  if (warned.length > 0) return warned.map(({ name, tier }) => ({ name, tier }))
  const given = new Map(trust.map(({ name, tier }) => [name, tier]))
  return required.flatMap((name) => {
    const tier = given.get(name) ?? 'absent'
    return tier === 'affirming' || given.size === 0 ? [] : [{ name, tier }]
  })
}

function evaluate(
  { bundle }: BundledPolicy,
  input: BundleInput,
  now: number,
): Promise<RegoEvaluation> | RegoEvaluation {
  return 'unfit' in input ? regoError('POL-606', input.unfit) : bundle.evaluateInputs([input.document], now)
}

/**
 * What a bundle says of an affirmed appraisal, whose input document is `input`, at `now`, milliseconds since the epoch. Never
 * rejects for what a bundle does (POL-961).
 */
export async function judgeByBundle(policy: BundledPolicy, input: BundleInput, now: number): Promise<JudgedPolicy> {
  const evaluation = await evaluate(policy, input, now)
  const opposed = opposedTrust(evaluation, policy.bundle.required)
  return { id: policy.id, evaluation: verdictOf(evaluation), lines: [], missed: [], opposed }
}
