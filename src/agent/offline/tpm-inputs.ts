import type { RevocationMode } from '../../base/pki/revocation.ts'
import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import {
  defaultTpmRequirements,
  type TpmEnrolment,
  type TpmInputs,
  type TpmRequirements,
} from '../../verifier/index.ts'
import { appraiseEnrolment, type EnrolmentAppraisal, type EnrolmentCandidate } from '../../verifier/tpm/enrolment.ts'
import type { EkTrust } from '../wiring/trust-files.ts'
import type { OfflineQuestion } from './question.ts'

/** What is known about a TPM before its quote is judged, without a verifier's memory. */
export interface OfflineTpm {
  /** Null where the endorsement key is not to be judged. */
  readonly endorsement: EnrolmentAppraisal | null
  readonly inputs: Omit<TpmInputs, 'now' | 'expected'>
  /** What the appraisal does not show. */
  readonly notes: readonly string[]
}

/** Lists that the operator gives are meant to count, so each issuer then needs a current one; without any nothing is asked. */
const revocationMode = ({ crls }: EkTrust): RevocationMode => (crls.length > 0 ? 'required' : 'off')

function judgeEndorsement({ ak, ek, simulated }: TpmEvidence, question: OfflineQuestion): EnrolmentAppraisal | null {
  const { tpm, simulator, now } = question
  const { ekTrust } = tpm
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
  const nothing = { instanceId: null, counters: null, imaCheckpoint: null }
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

function notesOn({ tpm, simulator }: OfflineQuestion, candidate: EnrolmentCandidate | null): string[] {
  const { akName, ekTrust, allowUnenrolled, references } = tpm
  const notes = [
    'counters of earlier quotes are not known here: that this quote is the newest is shown by the nonce alone',
  ]
  if (references === null) notes.push('no PCR and no file was compared: name --references for what has to run')
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

/** Judges the endorsement key, where that is asked for, and puts together what the quote is to be judged with. */
export function offlineTpm(evidence: TpmEvidence, question: OfflineQuestion): OfflineTpm {
  const { tpm, simulator, requireEventLog } = question
  const endorsement = judgeEndorsement(evidence, question)
  const candidate = endorsement?.candidate ?? null
  const requirements: TpmRequirements = {
    ...defaultTpmRequirements,
    eventLog: requireEventLog ? 'required' : 'optional',
    ima: tpm.requireIma ? 'required' : 'optional',
    withoutMemory: true,
    ...(tpm.allowUnenrolled ? { allowUnenrolled: true } : {}),
  }
  const enrolment = tpm.akName === null ? null : enrolmentBy(tpm.akName, candidate)
  return {
    endorsement,
    inputs: { enrolment, requirements, simulator, references: tpm.references },
    notes: notesOn(question, candidate),
  }
}
