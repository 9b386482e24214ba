import {
  type Claim,
  type CustomClaim,
  type EvidenceKind,
  presentClaims,
  type VerifiedTrees,
} from '../../policies/index.ts'
import { verifiedClaims } from '../../verifier/index.ts'
import { agentErrors } from '../errors.ts'
import type { EvidenceDocument } from '../evidence-document.ts'
import { appraiseOffline, type OfflineAppraisal } from '../offline/appraise-offline.ts'
import type { OfflineQuestion } from '../offline/question.ts'

/** Evidence as policies see it. */
export interface PresentedEvidence {
  readonly appraisal: OfflineAppraisal
  readonly claims: readonly Claim[]
  /** What bundles are given, and when: milliseconds since the epoch. */
  readonly trees: VerifiedTrees
  readonly at: number
  /** `ima` is among them if its log was compared with reference values: a default policy asks that of it. */
  readonly kinds: readonly EvidenceKind[]
}

function kindsOf({ guest, claims }: OfflineAppraisal, question: OfflineQuestion): readonly EvidenceKind[] {
  return [
    ...(guest?.tdx ? ['tdx' as const] : []),
    ...(guest?.tpm ? ['tpm' as const] : []),
    ...(claims['ima'] !== undefined && question.tpm.references !== null ? ['ima' as const] : []),
  ]
}

function requireAffirmed({ affirmed, kind, findings, remedy }: OfflineAppraisal): void {
  if (kind === 'sgx') {
    throw agentErrors.error('EVIDENCE_UNSUPPORTED', 'the quote of an SGX enclave is not presented to policies here')
  }
  if (affirmed) return
  const first = findings.find(({ outcome }) => outcome === 'failed' || outcome === 'unreached')
  const says = `${first?.id}: ${first?.detail ?? 'could not be judged'}; no policy is asked about such evidence`
  const all = 'attestd appraise, with the same options, shows every finding and what mends it'
  throw agentErrors.error('NOT_AFFIRMED', says, { remedy: remedy === null ? all : `${remedy}; ${all}` })
}

/**
 * Appraises evidence as `attestd appraise` does and gives the claims that policies are evaluated on (section 4). Throws
 * `NOT_AFFIRMED`: of evidence that did not pass its checks nothing is ever presented (POL-430).
 */
export function presentEvidence(
  evidence: EvidenceDocument,
  question: OfflineQuestion,
  custom: readonly CustomClaim[] = [],
): PresentedEvidence {
  const appraisal = appraiseOffline(evidence, question)
  requireAffirmed(appraisal)
  const { guest } = appraisal
  if (guest === null) throw new TypeError('an affirmed appraisal of a guest')
  const trees = verifiedClaims(guest, evidence, {
    tee: guest.tee ?? 'tpm',
    // Who asks offline brings the nonce himself, or waives it.
    freshness: question.nonce === 'any' ? 'unbound' : 'nonce',
    now: question.now,
    simulator: false,
    documents: true,
  })
  const claims = presentClaims(trees, { custom })
  return { appraisal, claims, trees, at: question.now, kinds: kindsOf(appraisal, question) }
}
