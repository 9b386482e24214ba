import { createHash } from 'node:crypto'
import { toHex } from '../../base/bytes.ts'
import { secondOf } from '../../base/pki/whole-second.ts'
import type { TpmAttest } from '../../evidence/tpm/attest.ts'
import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import type { AttestationKey } from './attestation-key.ts'
import type { TpmChecklist } from './each-quote.ts'
import { eventLogClaims } from './event-log-claims.ts'
import { imaClaims } from './ima-claims.ts'
import type { TpmEnrolment } from './inputs.ts'
import type { LogFacts } from './logs.ts'
import type { PcrValues } from './pcr-values.ts'

/** What an affirmed appraisal knows; all of it is covered by passed checks. */
export interface AffirmedTpm {
  readonly key: AttestationKey
  readonly enrolment: TpmEnrolment | null
  /** The last quote of the evidence. */
  readonly attest: TpmAttest
  readonly values: PcrValues
  /** Name of the golden image whose PCRs were quoted; null: none was asked for. */
  readonly image: string | null
  /** Null where there is nothing to compare with. */
  readonly newBoot: boolean | null
  readonly evidence: TpmEvidence
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly logs: LogFacts
}

type Claims = Record<string, unknown>

function keyClaims({ key, enrolment }: AffirmedTpm): Claims {
  const trust = enrolment?.akTrust ?? 'none'
  const spki = key.key?.export({ type: 'spki', format: 'der' })
  return {
    ak_trusted: trust !== 'none',
    ak_trust: trust,
    ak_name: toHex(key.name),
    ...(spki === undefined ? {} : { ak_pub_sha256: createHash('sha256').update(spki).digest('hex') }),
  }
}

/** What was fresh at the enrolment is stale once its lists have ended. */
function crlStatusNow({ crlStatus, crlFreshUntil }: TpmEnrolment, now: number): TpmEnrolment['crlStatus'] {
  const hasEnded = crlFreshUntil !== null && secondOf(now) > crlFreshUntil
  return crlStatus === 'fresh' && hasEnded ? 'stale' : crlStatus
}

function enrolmentClaims({ enrolment, now }: AffirmedTpm): Claims {
  const facts = {
    ek_spki_sha256: enrolment?.ekSpkiSha256,
    ek_cert_sha256: enrolment?.ekCertSha256,
    ek_anchor: enrolment?.anchor,
    crl_status: enrolment && crlStatusNow(enrolment, now),
    instance_id: enrolment?.instanceId,
  }
  return Object.fromEntries(Object.entries(facts).filter(([, fact]) => fact !== null && fact !== undefined))
}

/** True where the TPM signs its counters and firmware version as they are (TPM-29). */
export function isUnderEndorsement(enrolment: TpmEnrolment | null): boolean {
  if (enrolment === null) return false
  const { akParent } = enrolment
  return akParent.under === 'ek' || (akParent.under === 'hierarchy' && akParent.hierarchy === 'endorsement')
}

/** 16 hexadecimal digits. */
export function firmwareText({ firmwareVersion }: TpmAttest): string {
  return firmwareVersion.toString(16).padStart(16, '0')
}

/** Absolute values only where the TPM did not add a constant of its own to them: a policy would compare noise. */
function counterClaims({ attest, enrolment, newBoot }: AffirmedTpm): Claims {
  const absolute = {
    reset_count: attest.resetCount,
    restart_count: attest.restartCount,
    firmware_version: firmwareText(attest),
  }
  return {
    ...(isUnderEndorsement(enrolment) ? absolute : {}),
    clock_safe: attest.safe === 1,
    ...(enrolment === null || newBoot === null ? {} : { new_boot: newBoot }),
  }
}

function pcrClaims(values: PcrValues): Claims {
  const filled = [...values].filter(([, bank]) => bank.size > 0)
  const quoted = new Set(filled.flatMap(([, bank]) => [...bank.keys()]))
  const sha256 = [...(values.get('sha256') ?? [])].sort(([left], [right]) => left - right)
  const pcr = Object.fromEntries(sha256.map(([index, value]) => [String(index), toHex(value)]))
  return {
    quoted_pcrs: [...quoted].sort((left, right) => left - right),
    pcr_bank: filled.map(([hash]) => hash),
    ...(sha256.length === 0 ? {} : { pcr }),
  }
}

/**
 * The claim trees `tpm` and `ima` (POL-431, tpm.md section 11). Of the IMA log only whether it was there and
 * verified: nothing of its content.
 */
export function tpmClaims(checklist: TpmChecklist, affirmed: AffirmedTpm): Claims {
  const { evidence } = affirmed
  const tpm = {
    ...keyClaims(affirmed),
    ...enrolmentClaims(affirmed),
    nonce_matched: checklist.passed('tpm.quote.nonce'),
    // What the TPM signed over: a relying party recomputes it from its request (BRK-91).
    ...(checklist.passed('tpm.quote.nonce') ? { qualifying_data: toHex(affirmed.attest.extraData) } : {}),
    ...pcrClaims(affirmed.values),
    ...(affirmed.image === null ? {} : { image: affirmed.image }),
    ...counterClaims(affirmed),
    ...eventLogClaims(evidence.eventLog !== null, affirmed.logs.eventLog),
  }
  if (evidence.ima === null) return { tpm }
  return { tpm, ima: imaClaims(affirmed.logs.ima) }
}
