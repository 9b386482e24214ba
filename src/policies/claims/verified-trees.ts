import type { EvidenceKind } from './claim-entry.ts'

/** Members are Strings, Booleans, integers, arrays of these, trees, or null and undefined for what is not known. */
export type ClaimTree = Readonly<Record<string, unknown>>

/** Documents by the name of their claim, as values of JSON without fractions (POL-432). */
export type ClaimDocuments = Readonly<Record<string, unknown>>

/**
 * What a verifier found out, before it is claims (POL-431). Everything in it is covered by passed checks: nothing
 * unverified is ever presented with issuer `AttestationService` (POL-430).
 */
export interface VerifiedTrees {
  readonly attestation: {
    /** What the request asked to have appraised: `tdx`, `nvgpu`, `acstdxnvgpu`, `tpm`. */
    readonly type: string
    /** Whole seconds since the epoch. */
    readonly time: number
    /** True if any part is. */
    readonly simulated: boolean
    readonly freshness?: 'challenge' | 'nonce' | 'unbound'
  }
  readonly evidence?: { readonly kinds: readonly EvidenceKind[] }
  readonly tdx?: ClaimTree
  readonly sgx?: ClaimTree
  readonly tpm?: ClaimTree
  readonly ima?: ClaimTree
  /** One tree a device. */
  readonly gpu?: readonly ClaimTree[]
  /** What is said once of all devices. */
  readonly gpuSummary?: ClaimTree
  /** Top-level copies (TDX-250): lower-case hexadecimal. */
  readonly report_data?: string
  readonly init_data?: string
  readonly documents?: ClaimDocuments
}
