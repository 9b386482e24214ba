import { buildDigestTable, type DigestTable } from './digest-table.ts'
import { referenceValuesId } from './encode-reference-values.ts'
import { requirePatterns } from './path-matcher.ts'
import type {
  BufferReference,
  ExcludeRule,
  GoldenPcrs,
  KeyReference,
  PatternReference,
  ReferenceValues,
} from './reference-values.ts'
import { buildTemplateTable, type TemplateTable } from './template-table.ts'

/** What the records of an IMA log are compared with. All of it is plain data that goes to another thread. */
export interface ImaReferences {
  readonly files: DigestTable
  /** Records that `files` allow, to be known by their hash; left out, all are read, with the same result. */
  readonly templates?: TemplateTable
  readonly patterns: readonly PatternReference[]
  readonly exclude: readonly ExcludeRule[]
  readonly keys: readonly KeyReference[]
  readonly buffers: readonly BufferReference[]
}

/** Reference values as an appraisal of a TPM takes them. */
export interface TpmReferences {
  /** SHA-256 of the canonical form, lower-case hexadecimal: what a result was compared with has this name. */
  readonly id: string
  /** Without golden PCRs nothing is asked of them. */
  readonly pcrs: readonly GoldenPcrs[]
  /** Null: no file, key or buffer is asked about. */
  readonly ima: ImaReferences | null
}

/** Excludes alone ask nothing: with them and no accepted file everything else would be refused by accident. */
function asksAboutIma({ files, patterns, keys, buffers }: ReferenceValues): boolean {
  return files.size + patterns.length + keys.length + buffers.length > 0
}

/**
 * Prepares reference values for appraisals; to be done once for many. `seed`: two random integers below 2³² for the
 * table of files (`buildDigestTable`). Values that name only PCRs ask nothing of an IMA log.
 * Throws `MalformedError` where several documents together have more patterns than a matcher holds.
 */
export function tpmReferences(values: ReferenceValues, seed: readonly [number, number]): TpmReferences {
  const { files, patterns, excludes, keys, buffers, pcrs } = values
  requirePatterns(values, 'reference values')
  const tables = { files: buildDigestTable(files, seed), templates: buildTemplateTable(files) }
  const ima = { ...tables, patterns, exclude: excludes, keys, buffers }
  return { id: referenceValuesId(values), pcrs, ima: asksAboutIma(values) ? ima : null }
}
