import type { Clock } from '../../src/base/clock.ts'
import type { Collateral } from '../../src/endorsements/tdx/collateral.ts'
import type { TdOutcome, TdVerification, TdVerifier } from '../../src/issuer/attestation-api/ports.ts'
import { appraiseTdx, type TdxTrustAnchor } from '../../src/verifier/index.ts'

export interface DirectTdVerifierOptions {
  readonly clock: Pick<Clock, 'now'>
  readonly trustAnchors: readonly TdxTrustAnchor[]
  readonly collateral: () => Collateral
  /** Default: one policy, `default`, which permits all. */
  readonly policies?: (ids: readonly string[]) => TdOutcome['policies']
}

/** The real appraisal on this thread, with collateral that is there. */
export function directTdVerifier(options: DirectTdVerifierOptions): TdVerifier {
  const { clock, trustAnchors, collateral, policies = () => [{ id: 'default', hash: '0'.repeat(64) }] } = options
  const verify = async ({ quote, ccEventLog, reportData, policyIds }: TdVerification): Promise<TdOutcome> => {
    const simulator = trustAnchors.some((anchor) => anchor.simulator === true)
    const inputs = { collateral: collateral(), now: clock.now(), trustAnchors, reportData, simulator }
    const appraisal = appraiseTdx({ quote, ccEventLog, simulated: false }, inputs)
    return {
      appraisal,
      appraisedAtS: Math.floor(clock.now() / 1000),
      simulated: appraisal.simulated !== false,
      policies: appraisal.affirmed ? policies(policyIds) : [],
      bounds: [],
    }
  }
  return { verify }
}
