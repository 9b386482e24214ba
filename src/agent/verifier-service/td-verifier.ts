import type { Clock } from '../../base/clock.ts'
import { attestationErrors } from '../../issuer/attestation-api/errors.ts'
import type { TdOutcome, TdVerification, TdVerifier } from '../../issuer/attestation-api/ports.ts'
import { type AppraisalPolicy, type BundledPolicy, isBundled } from '../embedded/appraisal-policies.ts'
import { questionOf } from '../embedded/asked-policies.ts'
import { builtinPolicy } from '../embedded/builtin-policy.ts'
import type { BundleInput } from '../embedded/bundle-input.ts'
import { BundleLane } from '../embedded/bundle-lane.ts'
import type { TdRequirements } from '../embedded/guest.ts'
import type { JudgedPolicy } from '../embedded/policy-judge.ts'
import { requirePermit } from '../embedded/policy-outcome.ts'
import { boundsOfTd } from '../embedded/td-bounds.ts'
import type { SelectedPolicies } from './selected-policies.ts'
import type { TdAppraisals, TimedAppraisal } from './td-appraisals.ts'

export interface TdVerifierOptions {
  readonly appraisals: Pick<TdAppraisals, 'appraise'>
  readonly policies: Pick<SelectedPolicies, 'select'>
  readonly requirements: TdRequirements
  readonly clock: Pick<Clock, 'monotonic'>
}

/** Evaluations of bundles that wait for their turn. */
const mostWaiting = 16

/** A bundle that many ask has the places that nobody else wants. */
function laneOf(clock: Pick<Clock, 'monotonic'>): BundleLane {
  const says = `${mostWaiting} requests wait for compiled policies already`
  return new BundleLane({
    clock,
    capacity: mostWaiting,
    refuse: () => attestationErrors.error('AS.SERVICE.OVERLOADED', says),
  })
}

/**
 * The verifier behind the attestation API: appraisal, and the policies that a request names (SVC-08). Which policies there are
 * is told to genuine machines alone: the names are looked for once a quote was found to be one (SVC-44).
 */
export function createTdVerifier({ appraisals, policies, requirements, clock }: TdVerifierOptions): TdVerifier {
  const simulator = requirements.simulator === true
  const lane = laneOf(clock)
  return {
    verify: async (request: TdVerification, signal: AbortSignal) => {
      const { quote, ccEventLog, reportData, freshness, statements } = request
      const evidence = { quote, ccEventLog, simulated: false }
      let selected: readonly AppraisalPolicy[] | null = null
      const ask = async () => {
        selected = await policies.select(request.policyIds)
        return questionOf(selected, { simulator, freshness, statements })
      }
      const isNamed = request.policyIds.length > 0
      const { appraisal, at } = await appraisals.appraise({ evidence, reportData, isNamed, ask }, signal)
      const asked = requireAsked(selected, appraisal.affirmed)
      const { bundleInput, ...appraised } = appraisal
      const bundles = appraisal.affirmed ? asked.filter(isBundled) : []
      const judged = await judgeByEach(lane, bundles, { bundleInput, at }, signal)
      const answered = { ...appraised, policies: [...appraised.policies, ...judged] }
      return outcomeOf({ appraisal: answered, at }, asked, requirements)
    },
  }
}

/** Evidence that was refused asks no policy; what is affirmed without having asked would get a token that none permitted. */
function requireAsked(selected: readonly AppraisalPolicy[] | null, affirmed: boolean): readonly AppraisalPolicy[] {
  if (selected === null && affirmed) throw new TypeError('evidence was affirmed, and its policies were not asked')
  return selected ?? []
}

/** One after another, each in a turn of its own. Of evidence that is not affirmed there is no input, and no bundle is asked (POL-430). */
async function judgeByEach(
  lane: BundleLane,
  bundles: readonly BundledPolicy[],
  { bundleInput, at }: { readonly bundleInput: BundleInput | undefined; readonly at: number },
  signal: AbortSignal,
): Promise<readonly JudgedPolicy[]> {
  const judged: JudgedPolicy[] = []
  for (const policy of bundles) {
    if (bundleInput === undefined) throw new TypeError(`policy ${policy.id} is asked, and its input was not made`)
    judged.push(await lane.judge(policy, bundleInput, at, signal))
  }
  return judged
}

/** Throws `AS.POLICY.DENIED` where a policy does not permit. */
function outcomeOf(
  { appraisal, at }: TimedAppraisal,
  asked: readonly AppraisalPolicy[],
  requirements: TdRequirements,
): TdOutcome {
  const appraisedAtS = Math.floor(at / 1000)
  // TOK-04: a verifier in simulator mode lets anything through, so that nothing of it passes for real.
  const simulated = requirements.simulator === true || appraisal.simulated !== false
  if (!appraisal.affirmed) return { appraisal, appraisedAtS, simulated, policies: [], bounds: [] }
  const { bounds } = requirePermit(asked, appraisal.policies, appraisedAtS)
  const reported = [builtinPolicy({ tpm: null, td: { requirements } }, asked), ...asked]
  return {
    appraisal,
    appraisedAtS,
    simulated,
    policies: reported.map(({ id, hash }) => ({ id, hash })),
    bounds: [...boundsOfTd(appraisal), ...bounds],
  }
}
