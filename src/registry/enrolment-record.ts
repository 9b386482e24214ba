import { toHex } from '../base/bytes.ts'
import { encodeSizedPublic } from '../evidence/tpm/public-area.ts'
import type { EnrolmentCandidate } from '../verifier/tpm/enrolment.ts'
import type { TpmCounters, TpmEnrolment } from '../verifier/tpm/inputs.ts'

/** Why an enrolment rests; `operator` can only be undone by the operator. */
export type SuspensionReason = 'operator' | 'certificate_expired' | 'certificate_revoked' | 'certificate_untrusted'

/** `superseded` by another AK of the same EK; `released`: the operator gave the EK and its identity free. */
export type RevocationReason = 'superseded' | 'operator' | 'released'

/**
 * ENR-07. An enrolment that waits for its answer is an open challenge and has no record. `revoked` is final.
 * `since` is in milliseconds since the epoch.
 */
export type EnrolmentState =
  | { readonly is: 'active' }
  | { readonly is: 'suspended'; readonly reason: SuspensionReason; readonly since: number }
  | { readonly is: 'revoked'; readonly reason: RevocationReason; readonly since: number }

/** What the verifier remembers of one attestation key (ENR-06). */
export interface EnrolmentRecord {
  /** Names in lower-case hexadecimal: u16 hash algorithm, digest. */
  readonly akName: string
  readonly ekName: string
  /** TPM2B_PUBLIC. */
  readonly akPublic: Uint8Array
  readonly ekPublic: Uint8Array
  readonly ekSpkiSha256: string
  readonly ekCertSha256: string | null
  /** Milliseconds since the epoch. */
  readonly ekNotAfter: number | null
  /** DER, from the EK certificate to the last one below the anchor; for later checks of revocation. */
  readonly certificates: readonly Uint8Array[]
  readonly anchor: string | null
  /** One TPM holds an identity until the operator releases it (ENR-09); null: the EK is bound to none. */
  readonly identity: string | null
  readonly instanceId: string | null
  readonly crlStatus: 'fresh' | 'stale' | 'none' | 'off' | null
  /** Milliseconds since the epoch. */
  readonly crlFreshUntil: number | null
  readonly trust: 'ek-certificate' | 'ek-pinned'
  readonly simulated: boolean
  /** Milliseconds since the epoch. */
  readonly created: number
  readonly lastSeen: number
  /** Of the last accepted quote. */
  readonly counters: TpmCounters | null
  /** IMA checkpoint as the verifier encoded it (IMA-10). */
  readonly checkpoint: Uint8Array | null
  /** Of the last accepted quote, as it says it: 16 lower-case hexadecimal digits; null until one is known (TPM-29). */
  readonly firmwareVersion: string | null
  readonly state: EnrolmentState
}

/** The record of a candidate that answered its challenge, without history (ENR-08). */
export function recordOf(candidate: EnrolmentCandidate, now: number): EnrolmentRecord {
  const { ak, ek, akName, ekName, ...facts } = candidate
  return {
    ...facts,
    akName: toHex(akName),
    ekName: toHex(ekName),
    akPublic: encodeSizedPublic(ak),
    ekPublic: encodeSizedPublic(ek),
    created: now,
    lastSeen: now,
    counters: null,
    checkpoint: null,
    firmwareVersion: null,
    state: { is: 'active' },
  }
}

/** What an appraisal takes of a record. */
export function enrolmentOf(record: EnrolmentRecord): TpmEnrolment {
  const { ekSpkiSha256, ekCertSha256, ekNotAfter, anchor, instanceId, trust } = record
  const { crlStatus, crlFreshUntil, simulated, counters, checkpoint } = record
  return {
    ...{ ekSpkiSha256, ekCertSha256, ekNotAfter, anchor, instanceId },
    ...{ crlStatus, crlFreshUntil, simulated, counters },
    imaCheckpoint: checkpoint,
    akName: bytesOfName(record.akName),
    akTrust: trust,
    akParent: { under: 'ek', ekName: bytesOfName(record.ekName) },
  }
}

function bytesOfName(name: string): Uint8Array {
  return new Uint8Array(Buffer.from(name, 'hex'))
}

/** The record holds the one place of its EK. */
export function isLive({ state }: EnrolmentRecord): boolean {
  return state.is !== 'revoked'
}

/** The record keeps its identity from other TPMs; revoking does not give it free. */
export function holdsIdentity({ state, identity }: EnrolmentRecord): boolean {
  return identity !== null && !(state.is === 'revoked' && state.reason === 'released')
}

/** The same AK, proven again: new facts about its EK, its old history. */
export function renewed(before: EnrolmentRecord, made: EnrolmentRecord): EnrolmentRecord {
  const { created, counters, checkpoint, firmwareVersion } = before
  return { ...made, created, counters, checkpoint, firmwareVersion }
}

export function isReleased({ state }: EnrolmentRecord): boolean {
  return state.is === 'revoked' && state.reason === 'released'
}

export function sameCounters(left: TpmCounters | null, right: TpmCounters | null): boolean {
  if (left === null || right === null) return left === right
  return (
    left.resetCount === right.resetCount &&
    left.restartCount === right.restartCount &&
    left.clock === right.clock &&
    left.safe === right.safe
  )
}
