import type { Collateral } from '../../endorsements/tdx/collateral.ts'
import type { TpmReferences } from '../../reference-values/tpm-references.ts'
import type { AcceptableTcbStatus, TdxReferences, TdxTrustAnchor } from '../../verifier/index.ts'
import type { EkTrust } from '../wiring/trust-files.ts'

/** What the operator says of a TPM; it is asked only where the evidence has one. */
export interface TpmQuestion {
  /** What vouches for endorsement keys; null if the endorsement key is not to be judged. */
  readonly ekTrust: (EkTrust & { readonly pinned: readonly string[] }) | null
  /** Name of the attestation key that the operator enrolled elsewhere, by activation; null if none is named. */
  readonly akName: Uint8Array | null
  readonly allowUnenrolled: boolean
  readonly requireIma: boolean
  /** Null: PCRs and measured files are compared with nothing. */
  readonly references: TpmReferences | null
}

/** What the operator says of a TD or an SGX enclave. */
export interface TdQuestion {
  /** Null: revocation and TCB are not judged, and nothing is affirmed (TDX-099). */
  readonly collateral: Collateral | null
  readonly trustAnchors: readonly TdxTrustAnchor[]
  /** Null: nothing is compared. */
  readonly references: TdxReferences | null
  /** Null: those of `defaultTdxPolicy`. */
  readonly tcbStatuses: readonly AcceptableTcbStatus[] | null
  readonly allowDebug: boolean
}

/** What the operator says and asks; nothing of it comes from the evidence. */
export interface OfflineQuestion {
  /** Milliseconds since the epoch. */
  readonly now: number
  /** What the machine was asked to sign; `any` waives the comparison, for a TD or an enclave alone. */
  readonly nonce: Uint8Array | 'any'
  /** As in `AskedNonce`; a TD beside a TPM always answers through a transcript, for '' where this is null. */
  readonly verifier: string | null
  readonly simulator: boolean
  readonly requireEventLog: boolean
  readonly tpm: TpmQuestion
  readonly td: TdQuestion
}
