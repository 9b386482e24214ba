import type { LineDifference } from '../../base/line-differences.ts'
import type { Certificate } from '../../base/pki/certificate.ts'
import type { PolicyDiagnostic, PolicySigner } from '../../policies/index.ts'
import type { PolicySlot, PolicyVersionFacts } from './policy-store.ts'

/** What became of a policy that was to become active. */
export type PolicyOutcome =
  | {
      readonly loaded: true
      readonly version: PolicyVersionFacts
      readonly signer: PolicySigner | null
      /** False: exactly these bytes were active already, and nothing was written. */
      readonly changed: boolean
    }
  /** The text has errors; what was active before still is. */
  | { readonly loaded: false; readonly diagnostics: readonly PolicyDiagnostic[] }

/** A policy as it was uploaded, with what it decodes to. */
export interface StoredPolicy {
  readonly version: PolicyVersionFacts
  readonly upload: Uint8Array
  /** The text, UTF-8. */
  readonly policy: Uint8Array
  /** The compact JWS as it was uploaded; null for text. */
  readonly jws: string | null
  readonly signer: PolicySigner | null
}

export interface PolicyComparison {
  readonly from: PolicyVersionFacts
  readonly to: PolicyVersionFacts
  readonly lines: readonly LineDifference[]
}

export interface SignerOutcome {
  /** The certificate that the change is about. */
  readonly certificate: Certificate
  /** False: it was so before, and nothing was written. */
  readonly changed: boolean
}

/** For the audit log: every change, once it is durable. Digests are those of POL-711; null is the shipped default. */
export type PolicyEvent = { readonly at: number; readonly by: string } & (
  | {
      readonly event: 'policy.set' | 'policy.reset' | 'policy.restored'
      readonly slot: PolicySlot
      readonly before: string | null
      readonly after: string | null
    }
  | { readonly event: 'policy.signer.added' | 'policy.signer.removed'; readonly keySha256: string }
)
