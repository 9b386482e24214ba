import type { ClaimIssuer, ClaimValue, ClaimValueType } from '../claim.ts'

/** What a policy may be about (section 11, `kinds`). */
export const evidenceKinds = ['tdx', 'tpm', 'ima', 'gpu', 'sgx'] as const
export type EvidenceKind = (typeof evidenceKinds)[number]

/** The JSON text that a claim holds (POL-432). */
export interface DocumentShape {
  /** The one member of the object. */
  readonly root: string
  /** Members of each of its items, in words. */
  readonly members: string
}

/** Another name of a claim, because policies of other services use it (POL-433). */
export interface Alias {
  readonly of: string
  /** Null for a value that has no such form: the alias is then absent. */
  readonly convert: (value: ClaimValue) => ClaimValue | null
}

/** One name that policies can rely on (POL-430). */
export interface ClaimEntry {
  /** `<…>` stands for one or more characters: `tpm.pcr.<n>`. */
  readonly name: string
  readonly valueType: ClaimValueType
  /** There can be several claims of this type, with different values. */
  readonly isMany: boolean
  /** The evidence that it comes from; empty: any. */
  readonly kinds: readonly EvidenceKind[]
  readonly issuer: ClaimIssuer
  /** The value must not enter a token (POL-425). */
  readonly isReadOnly: boolean
  /** The value that says that something is in debug mode; null: it says nothing of that kind. */
  readonly debugValue: ClaimValue | null
  readonly document: DocumentShape | null
  readonly alias: Alias | null
  readonly meaning: string
  /** Why no verifier of this project makes it yet; null: it is made. */
  readonly notMade: string | null
}

/** `S`, `I`, `B`: String, Integer, Boolean; with `*` there can be several values. */
export type ValueForm = 'S' | 'S*' | 'I' | 'I*' | 'B' | 'B*'

const valueTypes: Readonly<Record<string, ClaimValueType>> = { S: 'String', I: 'Integer', B: 'Boolean' }

type Details = Partial<Pick<ClaimEntry, 'isReadOnly' | 'debugValue' | 'document' | 'alias' | 'notMade' | 'issuer'>>

/** One line of a table: name, form, meaning, and what is special about it. */
export type ClaimLine = readonly [name: string, form: ValueForm, meaning: string, details?: Details]

const plain = {
  issuer: 'AttestationService',
  isReadOnly: false,
  debugValue: null,
  document: null,
  alias: null,
  notMade: null,
} as const

/** The entries of a table about one kind of evidence. */
export function claimEntries(kinds: readonly EvidenceKind[], lines: readonly ClaimLine[]): readonly ClaimEntry[] {
  return lines.map(([name, form, meaning, details = {}]) => ({
    ...plain,
    name,
    valueType: valueTypes[form.charAt(0)] ?? 'String',
    isMany: form.endsWith('*'),
    kinds,
    meaning,
    ...details,
  }))
}
