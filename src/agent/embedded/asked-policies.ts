import { type AppraisalPolicy, isBundled, type TextPolicy } from './appraisal-policies.ts'
import type { PolicyQuestion } from './policy-judge.ts'

/** Bundles have threads of their own; the thread of appraisals makes what they are asked about, and goes on. */
export function questionOf(
  asked: readonly AppraisalPolicy[],
  facts: Pick<PolicyQuestion, 'simulator' | 'freshness' | 'statements'>,
): PolicyQuestion | undefined {
  if (asked.length === 0) return undefined
  const policies = asked.filter((policy): policy is TextPolicy => !isBundled(policy))
  return { policies, bundles: policies.length < asked.length, ...facts }
}
