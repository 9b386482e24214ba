import { Turns } from '../../base/turns.ts'
import { attestationErrors } from '../../issuer/attestation-api/errors.ts'
import type { TdOutcome, TdVerification, TdVerifier } from '../../issuer/attestation-api/ports.ts'
import { type AppraisalPolicy, isBundled } from '../embedded/appraisal-policies.ts'
import { questionOf, withBundles } from '../embedded/asked-policies.ts'
import { builtinPolicy } from '../embedded/builtin-policy.ts'
import type { TdRequirements } from '../embedded/guest.ts'
import { requirePermit } from '../embedded/policy-outcome.ts'
import { boundsOfTd } from '../embedded/td-bounds.ts'
import type { SelectedPolicies } from './selected-policies.ts'
import type { TdAppraisals, TimedAppraisal } from './td-appraisals.ts'

export interface TdVerifierOptions {
  readonly appraisals: Pick<TdAppraisals, 'appraise'>
  readonly policies: Pick<SelectedPolicies, 'select'>
  readonly requirements: TdRequirements
}

/** Evaluations of bundles that wait for their turn. */
const mostWaiting = 16

/** One bundle at a time: each may take 128 MiB, and together they could take all that the service has. */
class BundleTurns {
  readonly #turns = new Turns()
  #waiting = 0

  async take<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    if (this.#waiting >= mostWaiting) {
      throw attestationErrors.error(
        'AS.SERVICE.OVERLOADED',
        `${mostWaiting} requests wait for compiled policies already`,
      )
    }
    this.#waiting += 1
    try {
      return await this.#turns.take(work, signal)
    } finally {
      this.#waiting -= 1
    }
  }
}

/**
 * The verifier behind the attestation API: appraisal, and the policies that a request names (SVC-08). Which policies there are
 * is told to genuine machines alone: the names are looked for once a quote was found to be one (SVC-44).
 */
export function createTdVerifier({ appraisals, policies, requirements }: TdVerifierOptions): TdVerifier {
  const simulator = requirements.simulator === true
  const turns = new BundleTurns()
  return {
    verify: async (request: TdVerification, signal: AbortSignal) => {
      const { quote, ccEventLog, reportData, freshness, statements } = request
      const evidence = { quote, ccEventLog, simulated: false }
      let asked: readonly AppraisalPolicy[] = []
      const ask = async () => {
        asked = await policies.select(request.policyIds)
        return questionOf(asked, { simulator, freshness, statements })
      }
      const { appraisal, at } = await appraisals.appraise({ evidence, reportData, ask }, signal)
      const bundles = asked.filter(isBundled)
      const isAsked = bundles.length > 0 && appraisal.affirmed
      const judged = isAsked ? await turns.take(() => withBundles(appraisal, bundles, at), signal) : appraisal
      return outcomeOf({ appraisal: judged, at }, asked, requirements)
    },
  }
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
  const reported = [builtinPolicy({ tpm: null, td: { requirements } }), ...asked]
  return {
    appraisal,
    appraisedAtS,
    simulated,
    policies: reported.map(({ id, hash }) => ({ id, hash })),
    bounds: [...boundsOfTd(appraisal), ...bounds],
  }
}
