import { samePublicBytes, toHex } from '../../base/bytes.ts'
import type { QeIdentity } from '../../endorsements/tdx/qe-identity.ts'
import type { EnclaveTcbLevel } from '../../endorsements/tdx/tcb-level.ts'
import type { Quote } from '../../evidence/tdx/quote.ts'
import type { QuoteChecklist } from './quote-form.ts'
import { matchEnclaveLevel } from './tcb-match.ts'

/** The expected value is not masked: bits that it has outside of the mask can never match (TDX-155). */
function masked(value: Uint8Array, mask: Uint8Array): Uint8Array {
  return value.map((byte, at) => byte & (mask[at] ?? 0))
}

/**
 * Compares the report of the quoting enclave with its identity (TDX-154 to TDX-159). Gives the TCB level of the enclave,
 * null if it has none or is not the expected one.
 */
export function judgeQe(checklist: QuoteChecklist, { body, qe }: Quote, identity: QeIdentity): EnclaveTcbLevel | null {
  const { miscSelect, attributes, mrSigner, isvProdId, isvSvn } = qe.report
  const kind = body.kind === 'sgx' ? 'QE' : 'TD_QE'
  const misc = samePublicBytes(masked(miscSelect, identity.miscSelectMask), identity.miscSelect)
  const flags = samePublicBytes(masked(attributes, identity.attributesMask), identity.attributes)
  const level = matchEnclaveLevel(identity.levels, isvSvn)
  const holds = [
    checklist.judge('tdx.qeIdentity.kind', identity.id === kind, () => `it is ${identity.id}, must be ${kind}`),
    checklist.judge('tdx.qe.miscSelect', misc, () => `MISCSELECT is ${toHex(miscSelect)}`),
    checklist.judge('tdx.qe.attributes', flags, () => `the attributes are ${toHex(attributes)}`),
    checklist.judge(
      'tdx.qe.mrSigner',
      samePublicBytes(mrSigner, identity.mrSigner),
      () => `MRSIGNER is ${toHex(mrSigner)}`,
    ),
    checklist.judge('tdx.qe.product', isvProdId === identity.isvProdId, () => `the product is ${isvProdId}`),
    checklist.judge('tdx.qe.level', level !== null, () => `SVN ${isvSvn} is below every level`, level?.status),
  ]
  return holds.every(Boolean) ? level : null
}
