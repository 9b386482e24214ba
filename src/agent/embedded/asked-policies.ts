import { type AppraisalPolicy, type BundledPolicy, isBundled, type TextPolicy } from './appraisal-policies.ts'
import type { PolicyAnswers } from './evidence-tasks.ts'
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

/** Of evidence that is not affirmed there is no input, and no bundle is asked (POL-430). `now`: milliseconds since the epoch. */
export async function withBundles<Judged extends PolicyAnswers>(
  { bundleInput, ...judged }: Judged,
  bundles: readonly BundledPolicy[],
  now: number,
): Promise<Omit<Judged, 'bundleInput'>> {
  if (bundleInput === undefined || bundles.length === 0) return judged
  const { judgeByBundles } = await import('./bundle-verdicts.ts')
  return { ...judged, policies: [...judged.policies, ...(await judgeByBundles(bundles, bundleInput, now))] }
}
