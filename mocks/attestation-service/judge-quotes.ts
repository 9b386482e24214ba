import type { Collateral } from '../../src/endorsements/tdx/collateral.ts'
import { appraiseQuote } from '../../src/verifier/tdx/appraise-quote.ts'
import type { TdxTrustAnchor } from '../../src/verifier/tdx/inputs.ts'
import type { EvidenceJudge } from './service.ts'

export interface JudgeOptions {
  /** The only roots that are trusted. One that is marked as a simulator's is taken, and its tokens say so (TOK-04). */
  readonly trustAnchors: readonly TdxTrustAnchor[]
  /** Asked at every request: collateral ages. */
  readonly collateral: () => Collateral
}

/** The real verifier as judge: chain, revocation, signatures, TCB and report data. */
export function judgeQuotes({ trustAnchors, collateral }: JudgeOptions): EvidenceJudge {
  const simulator = trustAnchors.some((anchor) => anchor.simulator === true)
  return (evidence, reportData, now) => {
    const appraisal = appraiseQuote(evidence.quote, {
      collateral: collateral(),
      now,
      trustAnchors,
      reportData,
      simulator,
    })
    const end = appraisal.collateral?.earliestExpirationDate
    return {
      appraisal,
      simulated: appraisal.simulated !== false,
      bounds: end === undefined ? [] : [{ name: 'collateral', at: Math.floor(end / 1000) }],
    }
  }
}
