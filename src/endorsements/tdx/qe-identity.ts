import { openSignedDocument } from './signed-document.ts'
import { type EnclaveTcbLevel, readEnclaveTcbLevels } from './tcb-level.ts'

const identityIds = ['QE', 'TD_QE', 'QVE'] as const

/** Which enclave is the maker's quoting enclave: the document `enclaveIdentity` of Intel's PCS, version 2. Nothing is verified. */
export interface QeIdentity {
  readonly id: (typeof identityIds)[number]
  readonly version: 2
  /** Milliseconds since the epoch; both bounds belong to the period. */
  readonly issueDate: number
  readonly nextUpdate: number
  readonly tcbEvaluationDataNumber: number
  /** 4 bytes each, as in the report. */
  readonly miscSelect: Uint8Array
  readonly miscSelectMask: Uint8Array
  /** 16 bytes each, as in the report. */
  readonly attributes: Uint8Array
  readonly attributesMask: Uint8Array
  /** 32 bytes. */
  readonly mrSigner: Uint8Array
  readonly isvProdId: number
  /** At least one, in the order of the document (`sortEnclaveTcbLevels`). */
  readonly levels: readonly EnclaveTcbLevel[]
}

/**
 * Parses the exact text that the maker signed (TDX-152, TDX-179): strict JSON without repeated members, sizes and
 * ranges exact, levels distinct. Members that are not known are ignored. Throws only `MalformedError`.
 */
export function parseQeIdentity(text: string): QeIdentity {
  const document = openSignedDocument(text, 'qeIdentity')
  if (document.integer('version', 65_535) !== 2) throw document.malformed('version', 'is not 2')
  return {
    id: document.oneOf('id', identityIds),
    version: 2,
    issueDate: document.date('issueDate'),
    nextUpdate: document.date('nextUpdate'),
    tcbEvaluationDataNumber: document.integer('tcbEvaluationDataNumber', Number.MAX_SAFE_INTEGER),
    miscSelect: document.bytes('miscselect', 4),
    miscSelectMask: document.bytes('miscselectMask', 4),
    attributes: document.bytes('attributes', 16),
    attributesMask: document.bytes('attributesMask', 16),
    mrSigner: document.bytes('mrsigner', 32),
    isvProdId: document.integer('isvprodid', 65_535),
    levels: readEnclaveTcbLevels(document, 65_535),
  }
}
