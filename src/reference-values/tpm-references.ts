import type { BufferReference, ExcludeRule, GoldenPcrs, KeyReference, PatternReference } from './reference-values.ts'

/**
 * What the records of an IMA log are compared with. `Files` is the table of exact paths and their digests. All of it is
 * plain data that goes to another thread.
 */
export interface ImaReferences<Files> {
  readonly files: Files
  readonly patterns: readonly PatternReference[]
  readonly exclude: readonly ExcludeRule[]
  readonly keys: readonly KeyReference[]
  readonly buffers: readonly BufferReference[]
}

/** Reference values as an appraisal of a TPM takes them. */
export interface TpmReferences<Files> {
  /** SHA-256 of the canonical form, lower-case hexadecimal: what a result was compared with has this name. */
  readonly id: string
  /** Without golden PCRs nothing is asked of them. */
  readonly pcrs: readonly GoldenPcrs[]
  /** Null: no file, key or buffer is asked about. */
  readonly ima: ImaReferences<Files> | null
}
