import type { LineDifference } from '../../base/line-differences.ts'
import type { Certificate } from '../../base/pki/certificate.ts'
import type { PolicyDiagnostic, PolicySigner } from '../../policies/index.ts'

/** Who did something, and when: milliseconds since the epoch. */
export interface AdministeredAct {
  readonly at: number
  readonly by: string
}

/** One version of a policy, without its bytes. */
export interface AdministeredVersion extends AdministeredAct {
  readonly number: number
  readonly form: string
  readonly uploadSha256: string
  readonly policyHash: string
  readonly policyTokenHash: string | null
  readonly digest: string
  readonly signerKeySha256: string | null
  readonly diagnostics: readonly PolicyDiagnostic[]
  readonly previousDigest: string | null
}

/** What became of a policy that was to become active; `loaded: false`: nothing was changed. */
export type AdministeredOutcome =
  | {
      readonly loaded: true
      readonly version: AdministeredVersion
      readonly signer: PolicySigner | null
      readonly changed: boolean
    }
  | { readonly loaded: false; readonly diagnostics: readonly PolicyDiagnostic[] }

export interface AdministeredPolicy {
  readonly version: AdministeredVersion
  readonly upload: Uint8Array
  /** UTF-8 text. */
  readonly policy: Uint8Array
}

/** A change of what is active; null is the shipped default. */
export interface AdministeredActivation extends AdministeredAct {
  readonly action: string
  readonly number: number | null
  readonly previous: number | null
}

/** Where policies are kept (POL-709), as their administration needs it; `by` goes into their history. */
export interface AdministeredPolicies {
  slots(): Promise<readonly string[]>
  active(slot: string): Promise<AdministeredPolicy | null>
  /** Newest first, in pages. */
  versions(slot: string, before?: number): Promise<readonly AdministeredVersion[]>
  activations(slot: string): Promise<readonly AdministeredActivation[]>
  show(slot: string, number: number): Promise<AdministeredPolicy>
  compare(
    slot: string,
    from: number,
    to: number,
  ): Promise<{
    readonly from: AdministeredVersion
    readonly to: AdministeredVersion
    readonly lines: readonly LineDifference[]
  }>
  set(slot: string, upload: Uint8Array, by: string): Promise<AdministeredOutcome>
  restore(slot: string, number: number, by: string): Promise<AdministeredOutcome>
  /** False: the shipped default was active already. */
  reset(slot: string, jws: string, by: string): Promise<boolean>
}

export interface AdministeredSigner {
  /** Lower-case hexadecimal SHA-256 of the SubjectPublicKeyInfo. */
  readonly keySha256: string
  /** DER. */
  readonly certificate: Uint8Array
  readonly added: AdministeredAct
  readonly removed: AdministeredAct | null
}

interface SignerOutcome {
  readonly certificate: Certificate
  readonly changed: boolean
}

/** Who may sign policies (POL-704, POL-708), as the local administrator sees and decides it. */
export interface AdministeredSigners {
  /** All that are or were trusted, in the order in which they came. */
  history(): Promise<readonly AdministeredSigner[]>
  addLocally(der: Uint8Array, by: string): Promise<SignerOutcome>
  removeLocally(der: Uint8Array, by: string): Promise<SignerOutcome>
}
