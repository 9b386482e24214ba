import type { RevocationMode } from '../../base/pki/revocation.ts'
import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import type { Finding } from '../../results/appraisal.ts'
import { type AkTrust, appraiseTpm, defaultTpmRequirements, type TpmEnrolment } from '../../verifier/index.ts'
import { appraiseEnrolment, type EnrolmentAppraisal, type EnrolmentCandidate } from '../../verifier/tpm/enrolment.ts'
import type { EkTrust } from '../wiring/trust-files.ts'

/** What the operator says and asks; nothing of it comes from the evidence. */
export interface OfflineQuestion {
  /** Milliseconds since the epoch. */
  readonly now: number
  /** The qualifying data that the machine was asked to sign. */
  readonly nonce: Uint8Array
  /** What vouches for endorsement keys; null if the endorsement key is not to be judged. */
  readonly ekTrust: (EkTrust & { readonly pinned: readonly string[] }) | null
  /** Name of the attestation key that the operator enrolled elsewhere, by activation; null if none is named. */
  readonly akName: Uint8Array | null
  readonly allowUnenrolled: boolean
  readonly simulator: boolean
  readonly requireEventLog: boolean
  readonly requireIma: boolean
}

/** What was found, endorsement key first, and what it does not show. */
export interface OfflineAppraisal {
  readonly affirmed: boolean
  readonly akTrust: AkTrust
  readonly findings: readonly Finding[]
  readonly notes: readonly string[]
  readonly claims: Readonly<Record<string, unknown>>
}

/** Lists that the operator gives are meant to count, so each issuer then needs a current one; without any nothing is asked. */
const revocationMode = ({ crls }: EkTrust): RevocationMode => (crls.length > 0 ? 'required' : 'off')

function judgeEndorsement({ ak, ek, simulated }: TpmEvidence, question: OfflineQuestion): EnrolmentAppraisal | null {
  const { ekTrust, simulator, now } = question
  if (ekTrust === null) return null
  const { publicArea, certificate, chain } = ek
  const request = {
    ek: { publicArea: publicArea ?? new Uint8Array(), certificate, chain },
    ak: { publicArea: ak.publicArea },
    instanceId: null,
    simulated,
  }
  return appraiseEnrolment(request, {
    ...ekTrust,
    now,
    revocation: revocationMode(ekTrust),
    simulator,
    ...(simulator ? { simulatorAnchors: ekTrust.anchors } : {}),
    pinnedEks: ekTrust.pinned.map((spkiSha256) => ({ spkiSha256, instanceId: null })),
  })
}

/**
 * The operator's word that a key was enrolled, as far as it goes. Why the key is trusted is known only where its
 * endorsement key was judged here: the quote, signed by the enrolled key, then has to say that it hangs under that one.
 */
function enrolmentBy(akName: Uint8Array, candidate: EnrolmentCandidate | null): TpmEnrolment {
  const nothing = { instanceId: null, counters: null }
  if (candidate === null) {
    const unknown = { ekSpkiSha256: null, ekCertSha256: null, ekNotAfter: null, anchor: null, crlStatus: null }
    const unsaid = { crlFreshUntil: null, simulated: false }
    return { akName, akTrust: 'none', akParent: { under: 'unknown' }, ...unknown, ...unsaid, ...nothing }
  }
  const { trust, ekName, ekSpkiSha256, ekCertSha256, ekNotAfter, anchor } = candidate
  const { crlStatus, crlFreshUntil, simulated } = candidate
  const known = { ekSpkiSha256, ekCertSha256, ekNotAfter, anchor, crlStatus, crlFreshUntil, simulated }
  return { akName, akTrust: trust, akParent: { under: 'ek', ekName }, ...known, ...nothing }
}

const onlyActivation =
  'only an activation (enrolment) proves that the attestation key and the endorsement key are in one TPM'

function notesOn(question: OfflineQuestion, candidate: EnrolmentCandidate | null): string[] {
  const { akName, ekTrust, allowUnenrolled, simulator } = question
  const notes = [
    'counters of earlier quotes are not known here: that this quote is the newest is shown by the nonce alone',
  ]
  if (ekTrust === null) notes.push('the endorsement key was not judged: name --trust-anchors or --pinned-ek')
  if (akName === null) {
    notes.push(`${onlyActivation}; no certificate does, and nothing in this file. --ak-name names an enrolled key`)
    if (allowUnenrolled) notes.push('an attestation key that nobody enrolled may be a file on any computer')
  } else if (candidate === null) {
    notes.push('that the named key is in a TPM rests on your word alone: its endorsement key was not affirmed here')
  } else {
    notes.push(`${onlyActivation}; that it took place for the named key rests on your word`)
  }
  if (simulator) notes.push('simulated TPMs were let through: whoever runs one makes it say anything')
  return notes
}

/**
 * Appraises evidence without a verifier's memory. Affirmed only if the evidence is, and, where it was to be judged, also
 * the endorsement key. The attestation key is believed to be in a TPM (`akTrust`) only if the operator names it and its
 * endorsement key is affirmed. Pure; never throws for bad evidence.
 */
export function appraiseOffline(evidence: TpmEvidence, question: OfflineQuestion): OfflineAppraisal {
  const { now, nonce, akName, allowUnenrolled, simulator, requireEventLog, requireIma } = question
  const endorsement = judgeEndorsement(evidence, question)
  const candidate = endorsement?.candidate ?? null
  const enrolment = akName === null ? null : enrolmentBy(akName, candidate)
  const appraisal = appraiseTpm(evidence, {
    now,
    expected: { qualifyingData: nonce, selection: 'any' },
    enrolment,
    requirements: {
      ...defaultTpmRequirements,
      eventLog: requireEventLog ? 'required' : 'optional',
      ima: requireIma ? 'required' : 'optional',
      withoutMemory: true,
      ...(allowUnenrolled ? { allowUnenrolled } : {}),
    },
    simulator,
  })
  const affirmed = appraisal.affirmed && (endorsement?.affirmed ?? true)
  return {
    affirmed,
    akTrust: affirmed ? (enrolment?.akTrust ?? 'none') : 'none',
    findings: [...(endorsement?.findings ?? []), ...appraisal.findings],
    notes: notesOn(question, candidate),
    claims: affirmed ? appraisal.claims : {},
  }
}
