export type { ReferenceDifferences } from './differences.ts'
export { areEqual, differences } from './differences.ts'
export { encodeReferenceValues, referenceValuesId } from './encode-reference-values.ts'
export { parseImaKeys } from './ima-keys.ts'
export type { ReferenceDocument } from './parse-reference-values.ts'
export { parseReferenceValues, readReferenceValues } from './parse-reference-values.ts'
export { joinReferenceValues } from './reference-collector.ts'
export type {
  BufferReference,
  ExcludeRule,
  GoldenPcrs,
  KeyReference,
  PatternReference,
  ReferenceHeader,
  ReferenceValues,
} from './reference-values.ts'
export type { ImaReferences, TpmReferences } from './tpm-references.ts'
export { tpmReferences } from './tpm-references.ts'
