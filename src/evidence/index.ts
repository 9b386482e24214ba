/**
 * What an attester says, as typed messages: bytes to values and back, every length checked, nothing verified. Whether
 * it is true is the verifier's business (`attestd/verifier`).
 */
export {
  type BoundRequest,
  type DeviceEvidence,
  deriveGpuNonce,
  deriveReportData,
  deriveSeed,
  deriveTpmQualifyingData,
  digestDevices,
  encodeTokenRequest,
  hasReportDataTag,
  type SeedInputs,
} from './binding.ts'
export { type EventLog, type LoggedEvent, parseEventLog } from './event-log/event-log.ts'
export { eventTypeName } from './event-log/event-types.ts'
export { escapedName, shownName } from './ima/escaped-name.ts'
export { type ImaRecord, parseImaLog, readImaLog } from './ima/ima-log.ts'
export { type ImaSignature, parseImaSignature } from './ima/ima-signature.ts'
export { type ImaDigest, type ImaFields, type ImaTemplateReading, parseImaTemplate } from './ima/ima-template.ts'
export { parseImaTextLog, readImaTextLog } from './ima/ima-text-log.ts'
export { hashLeaf, type InclusionProof, inclusionPath, treeRoot, verifyInclusion } from './request-tree.ts'
export { hashStructuredData, padReportData, parseRawRuntimeData, type RuntimeDataHash } from './runtime-data.ts'
export { type AaelEvent, encodeAaelData, encodeAaelRecord, parseAaelData } from './tdx/aael.ts'
export { type CcEventLog, composeCcEventLog, parseCcEventLog } from './tdx/cc-event-log.ts'
export { type CcelTable, parseCcelTable } from './tdx/ccel-table.ts'
export type { TdxEvidence } from './tdx/evidence.ts'
export { encodeTdxEvidence, parseTdxEvidence } from './tdx/evidence-json.ts'
export {
  type Certification,
  encodeQuote,
  parseQuote,
  parseSignedPart,
  type Quote,
  type QuoteParts,
  reportDataOf,
} from './tdx/quote.ts'
export type { BodyKind, BodyType, QuoteBody } from './tdx/quote-body.ts'
export { parseSgxReport, type SgxReport } from './tdx/sgx-report.ts'
export type { QuoteHeader, SignedPart } from './tdx/signed-part.ts'
export { parseTcbStatusText, type RebuiltPart } from './tdx/tcb-status.ts'
export type { Rtmrs, TdReport, TdReport15, TdReportExtended } from './tdx/td-report.ts'
export { matchTdReportHashes, parseTdReportStruct, type TdReportStruct } from './tdx/tdreport.ts'
export type { HashName } from './tpm/algorithms.ts'
export { parseTpmAttest, type TpmAttest } from './tpm/attest.ts'
export type { ImaLogPart, TpmEvidence, TpmQuote } from './tpm/evidence.ts'
export { encodeTpmEvidence, parseTpmEvidence } from './tpm/evidence-json.ts'
export type { PcrSelection } from './tpm/pcr-selection.ts'
export { nameOf, parsePublic, parseSizedPublic, publicKeyOf, type TpmtPublic } from './tpm/public-area.ts'
export { parseTpmSignature, type TpmtSignature } from './tpm/signature.ts'
