import type { DigestSet, ReferenceAlgorithm } from './digest-set.ts'
import type { PathPattern } from './path-pattern.ts'

/**
 * Path of a file or name of a measurement as it stands in the IMA log, one character a byte: names are bytes of any
 * value but NUL (IMA-15), and texts of this kind take one byte a character in memory and compare as the bytes do.
 */
export type MeasuredName = string

/** Files at all matching paths may have one of the digests. */
export interface PatternReference {
  readonly pattern: PathPattern
  readonly digests: DigestSet
}

/** Files at matching paths are not judged. Rules stay visible in the result (IMA-16). */
export interface ExcludeRule {
  readonly pattern: PathPattern
  readonly reason: string | null
}

/** A certificate or key that the kernel may load into a keyring (IMA-17), and whose signatures may count (IMA-18). */
export interface KeyReference {
  /** Name of the keyring as it is measured, such as `.ima`. */
  readonly keyring: string
  /** Of the DER as the kernel measures it, lower-case hexadecimal. */
  readonly sha256: string
  /** The DER itself, base64; null where only its hash is known: then no signature can be verified by it. */
  readonly der: string | null
}

/** What a measured buffer that is no key may hold (IMA-17), by its name, such as `kexec-cmdline`. */
export interface BufferReference {
  readonly name: MeasuredName
  readonly digests: DigestSet
}

export interface GoldenPcr {
  readonly pcr: number
  /** Lower-case hexadecimal; one of them has to be the value. */
  readonly accepted: readonly string[]
}

export interface GoldenBank {
  readonly hash: Extract<ReferenceAlgorithm, 'sha1' | 'sha256' | 'sha384' | 'sha512'>
  /** Ascending. */
  readonly pcrs: readonly GoldenPcr[]
}

/** PCRs of one image, as they all have to be together. */
export interface GoldenPcrs {
  readonly image: string
  readonly banks: readonly GoldenBank[]
}

/** What one or several documents say, each thing once. */
export interface ReferenceValues {
  /** Digests of the file at exactly this path. */
  readonly files: ReadonlyMap<MeasuredName, DigestSet>
  readonly patterns: readonly PatternReference[]
  readonly excludes: readonly ExcludeRule[]
  readonly keys: readonly KeyReference[]
  readonly buffers: readonly BufferReference[]
  readonly pcrs: readonly GoldenPcrs[]
}

/** One line of a document. */
export type ReferenceItem =
  | { readonly kind: 'file'; readonly path: MeasuredName; readonly digests: DigestSet }
  | ({ readonly kind: 'files' } & PatternReference)
  | ({ readonly kind: 'exclude' } & ExcludeRule)
  | ({ readonly kind: 'key' } & KeyReference)
  | ({ readonly kind: 'buffer' } & BufferReference)
  | ({ readonly kind: 'pcrs' } & GoldenPcrs)

/** The first line of a document. It names the document and is no reference value. */
export interface ReferenceHeader {
  readonly name: string
  readonly description: string | null
}

/**
 * A path as IMA logs it: the kernel writes `_` for every blank in a name (tpm.md section 8). Learners of trees and
 * packages need it, else no file with a blank in its name would ever be found.
 */
export function measuredName(path: MeasuredName): MeasuredName {
  return path.replaceAll(' ', '_')
}
