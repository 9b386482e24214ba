import type { HashName } from '../../evidence/tpm/algorithms.ts'
import type { HierarchyName } from '../../evidence/tpm/public-area.ts'
import type { TpmReferences } from '../../reference-values/tpm-references.ts'
import type { ImaPolicy } from './ima-policy.ts'

/** The counters of one accepted quote (tpm.md section 5), kept for each attestation key. */
export interface TpmCounters {
  readonly resetCount: number
  readonly restartCount: number
  /** Milliseconds of the TPM's clock. */
  readonly clock: bigint
  /** False: the clock may have gone back since the TPM lost power. */
  readonly safe: boolean
}

/** Why the attestation key is believed to live in a genuine TPM; `none`: it is not (tpm.md section 11, ENR-11). */
export type AkTrust = 'ek-certificate' | 'ek-pinned' | 'ak-certificate' | 'td-bound' | 'none'

/**
 * Where the attestation key hangs: under an EK by its Name, or as a primary key of a hierarchy (TPM-13). `unknown`: the
 * key is known by its Name alone. That waives TPM-13 and the validity of the EK certificate, and makes no claim that
 * rests on the parent.
 */
export type AkParent =
  | { readonly under: 'ek'; readonly ekName: Uint8Array }
  | { readonly under: 'hierarchy'; readonly hierarchy: HierarchyName }
  | { readonly under: 'unknown' }

/** What the verifier remembers of an active enrolment (ENR-06). Text fields become claims as they are. */
export interface TpmEnrolment {
  /** Name of the key: u16 hash algorithm, digest of the TPMT_PUBLIC. */
  readonly akName: Uint8Array
  readonly akTrust: AkTrust
  readonly akParent: AkParent
  /** SHA-256 in lower-case hexadecimal. */
  readonly ekSpkiSha256: string | null
  /** SHA-256 in lower-case hexadecimal. */
  readonly ekCertSha256: string | null
  /** Milliseconds since the epoch after which the EK certificate is no longer valid; null without a certificate. */
  readonly ekNotAfter: number | null
  /** Profile name or fingerprint of the trust anchor. */
  readonly anchor: string | null
  /** Only where policy compared it with the subject of the EK certificate (EKC-09). */
  readonly instanceId: string | null
  readonly crlStatus: 'fresh' | 'stale' | 'none' | 'off' | null
  /** Milliseconds since the epoch: after it a `crlStatus` of `fresh` has become `stale`; null where it does not apply. */
  readonly crlFreshUntil: number | null
  /** The TPM was found to be a simulator when it was enrolled; evidence that does not say so changes nothing. */
  readonly simulated: boolean
  /** Of the last accepted quote; null before the first one. */
  readonly counters: TpmCounters | null
  /** How far the IMA log of this boot was judged, as `TpmAppraisal.imaCheckpoint` gave it (IMA-10); null: not at all. */
  readonly imaCheckpoint: Uint8Array | null
}

export interface PcrBankSelection {
  readonly hash: HashName
  readonly pcrs: readonly number[]
}

export interface TpmRequirements {
  /** One of these banks must be quoted with all of `pcrs`. SHA-1 never suffices, listed or not (TPM-24). */
  readonly banks: readonly HashName[]
  readonly pcrs: readonly number[]
  /** `optional`: a log that is absent or does not verify is waived, and says so in the findings and claims. */
  readonly eventLog: 'required' | 'optional'
  readonly ima: 'required' | 'optional'
  /** The register that the kernel's IMA extends; 10 unless the kernel was built otherwise. */
  readonly imaPcr: number
  /**
   * Takes the IMA logs of old kernels, which extend SHA-1 values padded with zeros into every bank (IMA-06). The claim
   * `ima.sha1_padded` then says that the log has the strength of SHA-1.
   */
  readonly acceptSha1Padded?: boolean
  /** What is asked of the content of the IMA log; what is left out has its value of `defaultImaPolicy`. */
  readonly imaPolicy?: Partial<ImaPolicy>
  /** Accepted firmware versions. They can be compared only for keys under the endorsement hierarchy (TPM-29). */
  readonly firmwareVersions: readonly bigint[] | 'any'
  /** Waives TPM-12, TPM-13 and TPM-26 where there is no enrolment; the claims then say `ak_trust: none`. */
  readonly allowUnenrolled?: true
  /**
   * For appraisals outside of a verifier that remembers: waives TPM-26 where no counters are given, and claims nothing of
   * a new boot. Without it an enrolment without counters means that no quote of the key was accepted before.
   */
  readonly withoutMemory?: true
}

/** Everything that an appraisal depends on besides the evidence. */
export interface TpmInputs {
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly expected: {
    /** Recomputed from a challenge that this verifier issued (TPM-20), never taken from the message. */
    readonly qualifyingData: Uint8Array
    /** Least length of the signed qualifying data in bytes; default 8. Empty data is refused in any case (TPM-19). */
    readonly minimumLength?: number
    /** The banks and PCRs that were asked for; `any` where nothing was asked for, which waives the comparison. */
    readonly selection: readonly PcrBankSelection[] | 'any'
  }
  /** The active enrolment of the evidence's key; null if there is none. */
  readonly enrolment: TpmEnrolment | null
  readonly requirements: TpmRequirements
  /** What good looks like; null or left out: nothing is compared, and the findings say so. */
  readonly references?: TpmReferences | null
  /** What the parts of the IMA log before this one lead to, as `stageImaPart` gave it (IMA-24); null: there are none. */
  readonly imaStage?: Uint8Array | null
  /** True only for test verifiers: evidence of simulated TPMs is then waived through (TPM-30). */
  readonly simulator: boolean
}

/** TPM-25: PCR 0 to 7 in SHA-256 or SHA-384, and a verified event log. */
export const defaultTpmRequirements: TpmRequirements = {
  banks: ['sha256', 'sha384'],
  pcrs: [0, 1, 2, 3, 4, 5, 6, 7],
  eventLog: 'required',
  ima: 'optional',
  imaPcr: 10,
  firmwareVersions: 'any',
}
