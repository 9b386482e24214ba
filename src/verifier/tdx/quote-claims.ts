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
export function quoteClaims(quote: SignedQuote): JsonObject {
  return { ...quoteTree(quote), ...quoteCopies(quote) }
}

type SignedQuote = Pick<Quote, 'signedBytes' | 'header' | 'body'>

/** The claims of a quote without the copies of members of its body. */
export function quoteTree(quote: SignedQuote): JsonObject {
  const { header, descriptor, body } = nameFields(quote.signedBytes, quote)
  const fields = { header, ...descriptor, body }
  if (quote.body.kind === 'sgx') return fields
  return { quote: fields, td_attributes: nameAttributes(quote.body.report.tdAttributes) }
}

/** The copies that stand at the top. */
export function quoteCopies({ body }: SignedQuote): { readonly report_data: string; readonly init_data: string } {
  const initData = body.kind === 'sgx' ? body.report.configId : body.report.mrConfigId
  return { report_data: toHex(body.report.reportData), init_data: toHex(initData) }
}
