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
export { type ImaRecord, parseImaLog, readImaLog } from './ima/ima-log.ts'
export { hashLeaf, type InclusionProof, inclusionPath, treeRoot, verifyInclusion } from './request-tree.ts'
export type { HashName } from './tpm/algorithms.ts'
export { parseTpmAttest, type TpmAttest } from './tpm/attest.ts'
export type { ImaLogPart, TpmEvidence, TpmQuote } from './tpm/evidence.ts'
export { encodeTpmEvidence, parseTpmEvidence } from './tpm/evidence-json.ts'
export type { PcrSelection } from './tpm/pcr-selection.ts'
export { nameOf, parsePublic, parseSizedPublic, publicKeyOf, type TpmtPublic } from './tpm/public-area.ts'
export { parseTpmSignature, type TpmtSignature } from './tpm/signature.ts'
