import type { PolicyDiagnostic } from '../../policies/index.ts'

/** What a policy decides about: `type:TdxVm` for an attestation type, `id:site-1` for a policy id (POL-442). */
export type PolicySlot = string

/** Who did something, and when: milliseconds since the epoch, and a name of printable ASCII. */
export interface PolicyAct {
  readonly at: number
  readonly by: string
}

/** One uploaded policy, never changed and never forgotten (POL-709). All but the bytes that were uploaded. */
export interface PolicyVersionFacts extends PolicyAct {
  readonly slot: PolicySlot
  /** From 1 on, without a gap. */
  readonly number: number
  readonly form: 'text' | 'unsigned' | 'signed'
  /** SHA-256 over the uploaded bytes, lower-case hexadecimal. */
  readonly uploadSha256: string
  /** POL-710; the token hash is null for text. */
  readonly policyHash: string
  readonly policyTokenHash: string | null
  /** POL-711: 64 lower-case hexadecimal digits. */
  readonly digest: string
  /** SHA-256 of the SubjectPublicKeyInfo of who signed it; null if nobody did. */
  readonly signerKeySha256: string | null
  /** What was said of it when it came: no errors, for it was loaded. */
  readonly diagnostics: readonly PolicyDiagnostic[]
  /** Digest of the policy that was active then; null for the shipped default. */
  readonly previousDigest: string | null
}

export interface PolicyVersion extends PolicyVersionFacts {
  readonly upload: Uint8Array
}

/** A change of what is active. `number` and `previous` are null for the shipped default. */
export interface PolicyActivation extends PolicyAct {
  readonly slot: PolicySlot
  readonly action: 'set' | 'reset' | 'restored'
  readonly number: number | null
  readonly previous: number | null
}

/** A certificate whose key may sign policies, from when until when. */
export interface SignerRecord {
  /** SHA-256 of its SubjectPublicKeyInfo, lower-case hexadecimal: trust is in a key, not in one certificate of it. */
  readonly keySha256: string
  /** DER. */
  readonly certificate: Uint8Array
  readonly added: PolicyAct
  readonly removed: PolicyAct | null
}

/** What a change rests on. Nothing of it has changed as long as the revision is this one. */
export interface PolicySituation {
  readonly revision: number
  /** Those that are trusted now, in the order in which they came. */
  readonly signers: readonly SignerRecord[]
  /** The active version of the slot that was asked for; null: the shipped default. */
  readonly active: PolicyVersionFacts | null
  /** How many versions that slot has. */
  readonly versions: number
}

export interface PolicyChange {
  /** The revision that this change rests on. */
  readonly expected: number
  readonly version?: PolicyVersion
  readonly activation?: PolicyActivation
  readonly signerAdded?: SignerRecord
  readonly signerRemoved?: { readonly keySha256: string } & PolicyAct
}

/** Versions or activations that are listed at once. */
export const policyPage = 256

/**
 * Where policies and their signers are kept. `commit` makes the whole change or none, durably, and raises the revision:
 * all changes, of whatever slot, are one after the other, so that a policy is never accepted by signers who are trusted
 * no more. It gives false, and changes nothing, where the revision is another one by now.
 */
export interface PolicyStore {
  situation(slot: PolicySlot): Promise<PolicySituation>
  /** The version that is active; null: the shipped default. */
  active(slot: PolicySlot): Promise<PolicyVersion | null>
  version(slot: PolicySlot, number: number): Promise<PolicyVersion | null>
  /** Newest first, those with a smaller number than `before`, at most `policyPage`. */
  versions(slot: PolicySlot, before?: number): Promise<readonly PolicyVersionFacts[]>
  /** The last changes of what is active, newest first, at most `policyPage`. */
  activations(slot: PolicySlot): Promise<readonly PolicyActivation[]>
  /** All slots that ever had a version, sorted. */
  slots(): Promise<readonly PolicySlot[]>
  /** All that are or were trusted, in the order in which they came. */
  signers(): Promise<readonly SignerRecord[]>
  commit(change: PolicyChange): Promise<boolean>
}
