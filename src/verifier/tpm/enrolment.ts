import { sha256Hex } from '../../base/pki/signed-object.ts'
import type { TrustAnchor } from '../../base/pki/trust-anchor.ts'
import type { EnrolmentRequest } from '../../evidence/tpm/enrolment.ts'
import { nameOf, parseSizedPublic, type TpmtPublic } from '../../evidence/tpm/public-area.ts'
import type { Appraisal, Finding } from '../../results/appraisal.ts'
import { Checklist } from '../../results/checklist.ts'
import { checkAkKey } from './ak-key.ts'
import { attempt } from './each-quote.ts'
import { ekTemplateProblem } from './ek-key.ts'
import { type EnrolmentCheckId, enrolmentChecks } from './enrolment-checks.ts'
import {
  type AcceptedCertificate,
  type CertificateInputs,
  type CertificateStep,
  judgeKeyCertificate,
  spkiOfKey,
} from './key-certificate.ts'

/** An EK that the operator trusts by itself: the alternative for machines without a certificate (EKC-11). */
export interface PinnedEk {
  /** SHA-256 of the DER SubjectPublicKeyInfo, lower-case hexadecimal. */
  readonly spkiSha256: string
  /** The instance that the operator says has this EK. */
  readonly instanceId: string | null
}

export interface EnrolmentInputs extends CertificateInputs {
  /** The instance id that policy requires (EKC-09); null: none is required. */
  readonly expectedInstance?: string | null
  /** True only for test verifiers: simulated TPMs are then waived through (TPM-30). */
  readonly simulator: boolean
  /** Anchors of simulators. What they issued is simulated, whatever the request says. */
  readonly simulatorAnchors?: readonly TrustAnchor[]
  readonly pinnedEks?: readonly PinnedEk[]
}

/** A TPM whose request passed all checks. Nothing is proven yet: public parts can be copied by anybody. */
export interface EnrolmentCandidate {
  readonly ak: TpmtPublic
  /** u16 hash algorithm, digest. */
  readonly akName: Uint8Array
  readonly ek: TpmtPublic
  readonly ekName: Uint8Array
  /** SHA-256 of the DER SubjectPublicKeyInfo, lower-case hexadecimal. */
  readonly ekSpkiSha256: string
  /** SHA-256 of the certificate, lower-case hexadecimal; null for a pinned EK. */
  readonly ekCertSha256: string | null
  /** Milliseconds since the epoch: the first end of a validity in the chain; null for a pinned EK. */
  readonly ekNotAfter: number | null
  /** DER, from the EK certificate to the last one below the anchor. */
  readonly certificates: readonly Uint8Array[]
  /** Name of the anchor. */
  readonly anchor: string | null
  /** What ties the EK to one instance: the only common name of its certificate, or what the operator pinned. */
  readonly identity: string | null
  /** The identity, if policy required it and it was the required one (EKC-09). */
  readonly instanceId: string | null
  readonly crlStatus: 'fresh' | 'stale' | 'none' | 'off' | null
  /** Milliseconds since the epoch: the first end of the lists behind a `crlStatus` of `fresh`; else null. */
  readonly crlFreshUntil: number | null
  readonly trust: 'ek-certificate' | 'ek-pinned'
  readonly simulated: boolean
}

export interface EnrolmentAppraisal extends Appraisal {
  readonly findings: readonly Finding<EnrolmentCheckId>[]
  /** Null unless affirmed. */
  readonly candidate: EnrolmentCandidate | null
}

type EnrolmentChecklist = Checklist<EnrolmentCheckId>

/** Why the EK is trusted, and what is known of it. */
type Trust =
  | { readonly by: 'certificate'; readonly accepted: AcceptedCertificate }
  | { readonly by: 'pin'; readonly pin: PinnedEk }

const certificateSteps: Readonly<Record<CertificateStep, EnrolmentCheckId>> = {
  certificate: 'tpm.ek.certificate',
  match: 'tpm.ek.match',
  usage: 'tpm.ek.usage',
  validity: 'tpm.ek.validity',
  chain: 'tpm.ek.chain',
  revocation: 'tpm.ek.revocation',
}

/**
 * Appraises a request to enrol an attestation key (ENR-01; EKC-01 to EKC-09, TPM-10, TPM-11, TPM-30). An affirmed
 * request may be challenged with `makeCredential`; only the answer proves that both keys are in one TPM.
 * A pinned EK is taken as it is, and its certificate is not looked at. Pure; never throws for a bad request.
 */
export function appraiseEnrolment(request: EnrolmentRequest, inputs: EnrolmentInputs): EnrolmentAppraisal {
  const checklist: EnrolmentChecklist = new Checklist(enrolmentChecks)
  const ak = judgeAk(checklist, request.ak.publicArea)
  const ek = judgeEk(checklist, request.ek.publicArea)
  const trust = ek === null ? null : judgeTrust(checklist, request, ek, inputs)
  const simulated = isSimulated(request, trust, inputs)
  if (trust !== null || simulated) judgeHardware(checklist, simulated, inputs)
  if (trust !== null) judgeInstance(checklist, identityOf(trust), request, inputs)
  const affirmed = checklist.affirmed()
  const findings = checklist.findings()
  if (!affirmed || ak === null || ek === null || trust === null) {
    return { affirmed: false, findings, claims: {}, candidate: null }
  }
  const candidate = candidateOf({ ak, ek, trust, simulated }, inputs)
  return { affirmed, findings, claims: claimsOf(candidate), candidate }
}

function judgeAk(checklist: EnrolmentChecklist, publicArea: Uint8Array): TpmtPublic | null {
  const area = parseArea(checklist, 'tpm.enrolment.akWellFormed', publicArea, 'ak.public')
  if (area === null) return null
  const problems = checkAkKey(area)
  checklist.judge('tpm.enrolment.akStrength', problems.publicArea === null, () => problems.publicArea ?? '')
  checklist.judge('tpm.enrolment.akAttributes', problems.attributes === null, () => problems.attributes ?? '')
  return area
}

/** Null also for an area that is no key: nothing about its certificate can be said. */
function judgeEk(checklist: EnrolmentChecklist, publicArea: Uint8Array): TpmtPublic | null {
  const area = parseArea(checklist, 'tpm.ek.wellFormed', publicArea, 'ek.public')
  if (area === null) return null
  const problem = ekTemplateProblem(area)
  return checklist.judge('tpm.ek.template', problem === null, () => problem ?? '') ? area : null
}

function parseArea(
  checklist: EnrolmentChecklist,
  id: EnrolmentCheckId,
  publicArea: Uint8Array,
  path: string,
): TpmtPublic | null {
  const { value, problem } = attempt(() => parseSizedPublic(publicArea, path))
  if (value === null) checklist.fail(id, problem)
  else checklist.pass(id)
  return value
}

function judgeTrust(
  checklist: EnrolmentChecklist,
  { ek }: EnrolmentRequest,
  area: TpmtPublic,
  inputs: EnrolmentInputs,
): Trust | null {
  const spkiSha256 = sha256Hex(spkiOfKey(area))
  const pin = inputs.pinnedEks?.find((pinned) => pinned.spkiSha256 === spkiSha256)
  if (pin) {
    for (const id of Object.values(certificateSteps)) checklist.waive(id, 'pinnedEks holds this endorsement key')
    return { by: 'pin', pin }
  }
  if (ek.certificate === null) {
    checklist.fail('tpm.ek.certificate', 'there is no certificate, and the endorsement key is not pinned')
    return null
  }
  const key = { area, certificate: ek.certificate, chain: ek.chain, use: 'endorsement' as const }
  // Simulators are recognised by their anchor, so it takes part in any mode; what it issued fails its own check.
  const anchors = [...inputs.anchors, ...(inputs.simulatorAnchors ?? [])]
  const accepted = judgeKeyCertificate(checklist, certificateSteps, key, { ...inputs, anchors })
  return accepted === null ? null : { by: 'certificate', accepted }
}

function isSimulated({ simulated }: EnrolmentRequest, trust: Trust | null, inputs: EnrolmentInputs): boolean {
  const anchor = trust?.by === 'certificate' ? trust.accepted.chain.anchor : null
  return simulated || (anchor !== null && (inputs.simulatorAnchors ?? []).includes(anchor))
}

function judgeHardware(checklist: EnrolmentChecklist, simulated: boolean, { simulator }: EnrolmentInputs): void {
  if (!simulated) checklist.pass('tpm.ek.hardware')
  else if (simulator) checklist.waive('tpm.ek.hardware', 'the verifier runs in simulator mode')
  else checklist.fail('tpm.ek.hardware', 'the TPM is simulated')
}

function identityOf(trust: Trust): string | null {
  return trust.by === 'pin' ? trust.pin.instanceId : trust.accepted.tpm.commonName
}

/** The id that the guest declares must hold as well: a record with it would block its true owner (ENR-09). */
function judgeInstance(
  checklist: EnrolmentChecklist,
  identity: string | null,
  { instanceId }: EnrolmentRequest,
  { expectedInstance = null }: EnrolmentInputs,
): void {
  const id = 'tpm.ek.instance'
  if (expectedInstance === null && instanceId === null) {
    checklist.waive(id, 'expectedInstance names no instance, and the request declares none')
  } else if (expectedInstance !== null && identity !== expectedInstance) {
    checklist.fail(id, 'the endorsement key is not bound to the instance that is expected')
  } else if (instanceId !== null && identity !== instanceId) {
    checklist.fail(id, 'the endorsement key is not bound to the instance that the request declares')
  } else checklist.pass(id)
}

interface Accepted {
  readonly ak: TpmtPublic
  readonly ek: TpmtPublic
  readonly trust: Trust
  readonly simulated: boolean
}

function candidateOf({ ak, ek, trust, simulated }: Accepted, inputs: EnrolmentInputs): EnrolmentCandidate {
  const identity = identityOf(trust)
  const base = {
    ...{ ak, akName: nameOf(ak), ek, ekName: nameOf(ek), identity, simulated },
    ekSpkiSha256: sha256Hex(spkiOfKey(ek)),
    instanceId: inputs.expectedInstance === undefined || inputs.expectedInstance === null ? null : identity,
  }
  if (trust.by === 'pin') {
    const nothing = { ekCertSha256: null, ekNotAfter: null, anchor: null, crlStatus: null, crlFreshUntil: null }
    return { ...base, ...nothing, certificates: [], trust: 'ek-pinned' }
  }
  const { tpm, chain } = trust.accepted
  return {
    ...base,
    ekCertSha256: tpm.certificate.fingerprint,
    ekNotAfter: chain.notAfter,
    certificates: chain.certificates.map(({ der }) => der),
    anchor: chain.anchor?.name ?? null,
    crlStatus: chain.revocation,
    crlFreshUntil: chain.revocationUntil,
    trust: 'ek-certificate',
  }
}

/** Claims of tpm.md section 11 as far as a request supports them: `ak_trusted` needs the answer to a challenge. */
function claimsOf(candidate: EnrolmentCandidate): Record<string, unknown> {
  const { ekSpkiSha256, ekCertSha256, anchor, crlStatus, instanceId } = candidate
  return {
    tpm: {
      ek_spki_sha256: ekSpkiSha256,
      ...(ekCertSha256 === null ? {} : { ek_cert_sha256: ekCertSha256 }),
      ...(anchor === null ? {} : { ek_anchor: anchor }),
      ...(crlStatus === null ? {} : { crl_status: crlStatus }),
      ...(instanceId === null ? {} : { instance_id: instanceId }),
    },
  }
}
