import { parsePem } from '../../base/pki/pem.ts'
import { nameOf, parseSizedPublic } from '../../evidence/tpm/public-area.ts'
import type { Appraisal, Finding } from '../../results/appraisal.ts'
import { Checklist } from '../../results/checklist.ts'
import { attempt } from './each-quote.ts'
import { type AkCertificateCheckId, akCertificateChecks } from './enrolment-checks.ts'
import type { AkParent, TpmEnrolment } from './inputs.ts'
import { type CertificateInputs, type CertificateStep, judgeKeyCertificate } from './key-certificate.ts'

/** A key that its provider certified, as evidence shows it (members of `TpmEvidence`). */
export interface CertifiedAk {
  /** TPM2B_PUBLIC. */
  readonly publicArea: Uint8Array
  /** One PEM block. */
  readonly certificate: string
  /** DER, intermediates only. */
  readonly chain: readonly Uint8Array[]
}

export interface AkCertificateInputs extends CertificateInputs {
  /** Where the provider's keys hang; no certificate says it, and TPM-13 compares it. */
  readonly akParent: AkParent
}

export interface AkCertificateAppraisal extends Appraisal {
  readonly findings: readonly Finding<AkCertificateCheckId>[]
  /** Stands for an enrolment where policy allows it (TPM-12); without counters. Null unless affirmed. */
  readonly enrolment: TpmEnrolment | null
}

const steps: Readonly<Record<CertificateStep, AkCertificateCheckId>> = {
  certificate: 'tpm.akCertificate.certificate',
  match: 'tpm.akCertificate.match',
  usage: 'tpm.akCertificate.usage',
  validity: 'tpm.akCertificate.validity',
  chain: 'tpm.akCertificate.chain',
  revocation: 'tpm.akCertificate.revocation',
}

/**
 * Appraises the certificate that a provider gave to an attestation key (EKC-10), which replaces enrolment if policy
 * allows it. Strength and attributes of the key are judged with its quote, and claims are made there. Pure; never throws for bad input.
 */
export function appraiseAkCertificate(ak: CertifiedAk, inputs: AkCertificateInputs): AkCertificateAppraisal {
  const checklist = new Checklist(akCertificateChecks)
  const { value: area, problem } = attempt(() => parseSizedPublic(ak.publicArea, 'ak.public'))
  checklist.judge('tpm.akCertificate.wellFormed', area !== null, () => problem ?? '')
  const pem = attempt(() => parsePem(ak.certificate, 'CERTIFICATE'))
  if (pem.value === null) checklist.fail(steps.certificate, pem.problem)
  const key = area && pem.value ? { area, certificate: pem.value, chain: ak.chain, use: 'attestation' as const } : null
  const accepted = key && judgeKeyCertificate(checklist, steps, key, inputs)
  const findings = checklist.findings()
  if (!checklist.affirmed() || !area || !accepted) return { affirmed: false, findings, claims: {}, enrolment: null }
  const { chain } = accepted
  const akName = nameOf(area)
  const anchor = chain.anchor?.name ?? null
  const enrolment: TpmEnrolment = {
    ...{ akName, akTrust: 'ak-certificate', akParent: inputs.akParent, anchor, crlStatus: chain.revocation },
    ...{ crlFreshUntil: chain.revocationUntil, simulated: false },
    ...{ ekSpkiSha256: null, ekCertSha256: null, ekNotAfter: chain.notAfter },
    ...{ instanceId: null, counters: null, imaCheckpoint: null },
  }
  return { affirmed: true, findings, claims: {}, enrolment }
}
