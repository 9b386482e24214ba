import { toHex } from '../../base/bytes.ts'
import type { JsonObject } from '../../base/json.ts'
import { nameFields } from '../../evidence/tdx/named-fields.ts'
import type { Quote } from '../../evidence/tdx/quote.ts'
import { nameAttributes } from '../../evidence/tdx/td-attributes.ts'

/**
 * What a quote says, as claims: byte fields in lower-case hexadecimal in the byte order of the quote. A TD has
 * `quote.header`, `quote.body`, in version 5 `quote.type` and `quote.size`, and `td_attributes` (TDX-250); an enclave
 * has `header` and `body` at the top (TDX-251). Both have copies, `report_data` and `init_data` (MRCONFIGID, CONFIGID).
 * They are claims of an affirmed appraisal only: nothing is verified here.
 */
export function quoteClaims(quote: Pick<Quote, 'signedBytes' | 'header' | 'body'>): JsonObject {
  const { header, descriptor, body } = nameFields(quote.signedBytes, quote)
  const reportData = toHex(quote.body.report.reportData)
  if (quote.body.kind === 'sgx') {
    return { header, ...descriptor, body, report_data: reportData, init_data: toHex(quote.body.report.configId) }
  }
  const { tdAttributes, mrConfigId } = quote.body.report
  return {
    quote: { header, ...descriptor, body },
    td_attributes: nameAttributes(tdAttributes),
    report_data: reportData,
    init_data: toHex(mrConfigId),
  }
}
