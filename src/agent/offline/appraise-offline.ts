import { isFilledWith } from '../../base/bytes.ts'
import type { TpmPart } from '../../evidence/composite.ts'
import type { TdxEvidence } from '../../evidence/tdx/evidence.ts'
import type { BindingEdge } from '../../results/acr.ts'
import type { Appraisal, Finding } from '../../results/appraisal.ts'
import { appraiseGuest } from '../../verifier/composite/appraise-guest.ts'
import {
  type AkTrust,
  appraiseQuote,
  appraiseTdx,
  appraiseTpm,
  type GuestAppraisal,
  type QuoteAppraisal,
} from '../../verifier/index.ts'
import { nonceSeed, qualifyingDataOfTpmAlone, reportDataOfTdAlone } from '../evidence-binding.ts'
import type { EvidenceDocument } from '../evidence-document.ts'
import { platformOfQuote } from '../quote-platform.ts'
import type { OfflineQuestion } from './question.ts'
import { fetchHint, notesOnTd, offlineTd } from './td-inputs.ts'
import { type OfflineTpm, offlineTpm } from './tpm-inputs.ts'

/** Evidence of a TPM, of a TD, of a TD beside its TPM, or of an SGX enclave, which only a bare quote can be of. */
export type OfflineKind = 'tpm' | 'tdx' | 'tdx+tpm' | 'sgx'

/** What an appraisal says of a quote, whichever function made it. */
export type QuoteVerdict = Omit<QuoteAppraisal, keyof Appraisal>

/** What was found, endorsement key first, and what it does not show. */
export interface OfflineAppraisal {
  readonly kind: OfflineKind
  readonly affirmed: boolean
  /** Null where there is no TPM. */
  readonly akTrust: AkTrust | null
  /** What was found about the quote of a TD or an enclave; null where there is none. */
  readonly quote: QuoteVerdict | null
  /** Whether the parts belong together; empty where there is one part, or nothing was affirmed. */
  readonly binding: readonly BindingEdge[]
  readonly findings: readonly Finding[]
  readonly notes: readonly string[]
  readonly claims: Readonly<Record<string, unknown>>
  /** The same as `verifiedClaims` takes it; null where nothing is affirmed, and for an enclave. */
  readonly guest: GuestAppraisal | null
  /** What would help most; null where the findings say it. */
  readonly remedy: string | null
}

type GivenEvidence = Omit<EvidenceDocument, 'transcript'>

/** Before anything is verified: which appraisal the bytes are given to, and each of them checks this again. */
const isEnclave = (quote: Uint8Array) => isFilledWith(quote.subarray(4, 8), 0)

export function kindOfEvidence({ form, tdx, tpm }: GivenEvidence): OfflineKind {
  if (tdx === null) return 'tpm'
  if (tpm !== null) return 'tdx+tpm'
  return form === 'quote' && isEnclave(tdx.quote) ? 'sgx' : 'tdx'
}

function requireNonce({ nonce }: OfflineQuestion): Uint8Array {
  if (nonce === 'any') throw new TypeError('evidence of a TPM is only judged against its nonce')
  return nonce
}

/** Of evidence of one part. */
const alone = { binding: [], tdx: null, tpm: null } as const

interface TpmOutcome {
  readonly affirmed: boolean
  readonly akTrust: AkTrust
  readonly findings: readonly Finding[]
}

/** Where it was to be judged, the endorsement key counts as much as the quote. */
function withEndorsement({ endorsement, inputs }: OfflineTpm, appraisal: Appraisal): TpmOutcome {
  const affirmed = appraisal.affirmed && (endorsement?.affirmed ?? true)
  return {
    affirmed,
    akTrust: affirmed ? (inputs.enrolment?.akTrust ?? 'none') : 'none',
    findings: [...(endorsement?.findings ?? []), ...appraisal.findings],
  }
}

function appraiseTpmAlone({ evidence }: TpmPart, question: OfflineQuestion): OfflineAppraisal {
  const tpm = offlineTpm(evidence, question)
  const qualifyingData = qualifyingDataOfTpmAlone({ ...question, nonce: requireNonce(question) })
  const expected = { qualifyingData, selection: 'any' } as const
  const appraisal = appraiseTpm(evidence, { ...tpm.inputs, now: question.now, expected })
  const outcome = withEndorsement(tpm, appraisal)
  const claims = outcome.affirmed ? appraisal.claims : {}
  const { findings, simulated } = appraisal
  const guest = { ...alone, affirmed: true, findings, claims, simulated, tee: 'tpm', tpm: appraisal } as const
  return {
    ...{ kind: 'tpm', ...outcome, claims, quote: null, binding: [], notes: tpm.notes, remedy: null },
    guest: outcome.affirmed ? guest : null,
  }
}

/** What would help most where collateral is missing, and what the appraisal of the quote does not show. */
function adviceOn({ quote }: TdxEvidence, isBare: boolean, question: OfflineQuestion) {
  const hint = fetchHint(platformOfQuote(quote), isBare)
  const remedy = question.td.collateral === null ? `name --collateral: ${hint}` : null
  return { notes: notesOnTd(question, hint), remedy }
}

function appraiseQuoteAlone(tdx: TdxEvidence, evidence: GivenEvidence, question: OfflineQuestion): OfflineAppraisal {
  const kind = kindOfEvidence(evidence)
  const { nonce, now } = question
  const reportData = nonce === 'any' ? nonce : reportDataOfTdAlone({ ...question, nonce })
  const inputs = { ...offlineTd(question), now, reportData }
  const td = kind === 'sgx' ? null : appraiseTdx(tdx, inputs)
  const quote = td ?? appraiseQuote(tdx.quote, inputs)
  const { affirmed, findings, claims, simulated } = quote
  const advice = adviceOn(tdx, evidence.form === 'quote', question)
  const guest = { ...alone, affirmed, findings, claims, simulated, tee: 'tdx', tdx: td } as const
  return {
    ...{ kind, affirmed, findings, claims, quote, akTrust: null, binding: [], ...advice },
    guest: affirmed && td !== null ? guest : null,
  }
}

function appraiseBoth(tdx: TdxEvidence, part: TpmPart, question: OfflineQuestion): OfflineAppraisal {
  const tpm = offlineTpm(part.evidence, question)
  const guest = appraiseGuest(
    { tdx, tpm: part },
    {
      now: question.now,
      seed: nonceSeed(requireNonce(question), question.verifier ?? ''),
      required: ['tdx', 'tpm'],
      tpm: { ...tpm.inputs, selection: 'any' },
      tdx: offlineTd(question),
    },
  )
  const outcome = withEndorsement(tpm, guest)
  const claims = outcome.affirmed ? guest.claims : {}
  const { notes, remedy } = adviceOn(tdx, false, question)
  const { tdx: quote, binding } = guest
  return {
    ...{ kind: 'tdx+tpm', ...outcome, claims, quote, binding, notes: [...notes, ...tpm.notes], remedy },
    guest: outcome.affirmed ? guest : null,
  }
}

/**
 * Appraises evidence without a verifier's memory and without a network. Affirmed only if every part is, all parts belong
 * together and, where it was to be judged, the endorsement key is. The attestation key is believed to be in a TPM
 * (`akTrust`) only if the operator names it and its endorsement key is affirmed. A TD beside a TPM is judged against what
 * follows from `nonceSeed`. Pure; never throws for bad evidence.
 */
export function appraiseOffline(evidence: GivenEvidence, question: OfflineQuestion): OfflineAppraisal {
  const { tdx, tpm } = evidence
  if (tdx !== null && tpm !== null) return appraiseBoth(tdx, tpm, question)
  if (tdx !== null) return appraiseQuoteAlone(tdx, evidence, question)
  if (tpm !== null) return appraiseTpmAlone(tpm, question)
  throw new TypeError('evidence has at least one part')
}
