import { equalBytes } from '../../base/bytes.ts'
import { type Certificate, parseCertificate } from '../../base/pki/certificate.ts'
import { type Chain, checkChain } from '../../base/pki/chain.ts'
import type { ChainProblemCode } from '../../base/pki/chain-problem.ts'
import type { RevocationMode } from '../../base/pki/revocation.ts'
import type { RevocationList } from '../../base/pki/revocation-list.ts'
import type { TrustAnchor } from '../../base/pki/trust-anchor.ts'
import {
  alternativeNameProblem,
  type CertifiedUse,
  parseTpmCertificate,
  type TpmCertificate,
  usageProblem,
} from '../../endorsements/ek-certificate.ts'
import { publicKeyOf, type TpmtPublic } from '../../evidence/tpm/public-area.ts'
import type { Checklist } from '../../results/checklist.ts'
import { attempt } from './each-quote.ts'

/** What certificates of TPM keys are checked against. */
export interface CertificateInputs {
  /** Milliseconds since the epoch. */
  readonly now: number
  /** EKC-01: nothing that comes with the evidence is ever an anchor. */
  readonly anchors: readonly TrustAnchor[]
  /** Possible intermediates that the operator configured, for makers that put none into the TPM. */
  readonly intermediates?: readonly Certificate[]
  /** Configured lists only (SVC-45). */
  readonly crls: readonly RevocationList[]
  readonly revocation: RevocationMode
}

/** The steps of judging a certificate; each is one check. */
export type CertificateStep = 'certificate' | 'match' | 'usage' | 'validity' | 'chain' | 'revocation'

export interface CertifiedKey {
  readonly area: TpmtPublic
  /** DER, filling included. */
  readonly certificate: Uint8Array
  /** DER, as they came with the evidence. */
  readonly chain: readonly Uint8Array[]
  readonly use: CertifiedUse
}

/** A certificate whose checks all passed, with its chain. */
export interface AcceptedCertificate {
  readonly tpm: TpmCertificate
  readonly chain: Chain
}

/** EVD-05. */
const chainLimits = { certificates: 4, size: 4096 }

/** Which check a problem of the chain fails; every other one fails `chain`. */
const stepOf: Readonly<Partial<Record<ChainProblemCode, CertificateStep>>> = {
  unknown_critical_extension: 'certificate',
  name_constraints: 'certificate',
  expired: 'validity',
  not_yet_valid: 'validity',
  revoked: 'revocation',
  crl_absent: 'revocation',
  crl_not_yet_valid: 'revocation',
  crl_stale: 'revocation',
  crl_signature: 'revocation',
  crl_key_usage: 'revocation',
  crl_key_id: 'revocation',
  crl_unsupported: 'revocation',
}

/** DER SubjectPublicKeyInfo of a TPM key. Throws `MalformedError` for a key that is none. */
export function spkiOfKey(area: TpmtPublic): Uint8Array {
  return new Uint8Array(publicKeyOf(area).export({ format: 'der', type: 'spki' }))
}

/**
 * Judges the certificate of a TPM key and its chain (EKC-01 to EKC-08), one check a step; `ids` names the checks.
 * Gives what was accepted, or null if any step failed. What could not be judged stays unreached.
 */
export function judgeKeyCertificate<Id extends string>(
  checklist: Checklist<Id>,
  ids: Readonly<Record<CertificateStep, Id>>,
  key: CertifiedKey,
  inputs: CertificateInputs,
): AcceptedCertificate | null {
  const { value: tpm, problem } = attempt(() => parseTpmCertificate(key.certificate))
  if (tpm === null) {
    checklist.fail(ids.certificate, problem)
    return null
  }
  judge(checklist, ids.match, matchProblem(tpm.certificate, key.area))
  judge(checklist, ids.usage, usageProblem(tpm.certificate, key.use, key.area.type))
  const chain = judgeChain(checklist, ids, tpm, key.chain, inputs)
  const isAccepted = Object.values(ids).every((id) => ['passed', 'waived'].includes(checklist.outcome(id)))
  return chain !== null && isAccepted ? { tpm, chain } : null
}

function judge<Id extends string>(checklist: Checklist<Id>, id: Id, problem: string | null): void {
  checklist.judge(id, problem === null, () => problem ?? '')
}

function matchProblem({ publicKey }: Certificate, area: TpmtPublic): string | null {
  const { value: spki, problem } = attempt(() => spkiOfKey(area))
  if (spki === null) return problem
  return equalBytes(publicKey, spki) ? null : 'it is for another key'
}

function judgeChain<Id extends string>(
  checklist: Checklist<Id>,
  ids: Readonly<Record<CertificateStep, Id>>,
  tpm: TpmCertificate,
  pool: readonly Uint8Array[],
  inputs: CertificateInputs,
): Chain | null {
  const { value, problem } = attempt(() => parsePool(pool))
  if (value === null || value.length > chainLimits.certificates) {
    judge(checklist, ids.certificate, alternativeNameProblem(tpm))
    checklist.fail(ids.chain, problem ?? `${pool.length} certificates came with it, may be ${chainLimits.certificates}`)
    return null
  }
  const chain = checkChain({ leaf: tpm.certificate, pool: value, ...inputs })
  const problems = problemsByStep(chain)
  const named = alternativeNameProblem(tpm)
  judge(checklist, ids.certificate, [...(named ? [named] : []), ...problems.certificate].join('; ') || null)
  // Without an anchor the chain is not known to its end, so no statement about all of it can pass.
  for (const step of ['validity', 'chain', 'revocation'] as const) {
    if (problems[step].length > 0) checklist.fail(ids[step], problems[step].join('; '))
    else if (chain.anchor && step === 'revocation') recordRevocation(checklist, ids.revocation, chain, inputs)
    else if (chain.anchor) checklist.pass(ids[step])
  }
  return chain
}

function recordRevocation<Id extends string>(
  checklist: Checklist<Id>,
  id: Id,
  { revocation: status }: Chain,
  { revocation: mode }: CertificateInputs,
): void {
  if (status === 'fresh') checklist.pass(id)
  else checklist.waive(id, mode === 'off' ? 'revocation is off' : `revocation is optional, and the status is ${status}`)
}

function parsePool(pool: readonly Uint8Array[]): Certificate[] {
  const bounded = pool.slice(0, chainLimits.certificates + 1)
  return bounded.map((der, index) => parseCertificate(der, `ek.chain.${index}`, { maximum: chainLimits.size }))
}

function problemsByStep({ problems }: Chain): Record<'certificate' | 'validity' | 'chain' | 'revocation', string[]> {
  const details = (wanted: CertificateStep) =>
    problems.filter(({ code }) => (stepOf[code] ?? 'chain') === wanted).map(({ detail }) => detail)
  return {
    certificate: details('certificate'),
    validity: details('validity'),
    chain: details('chain'),
    revocation: details('revocation'),
  }
}
