import { MalformedError } from '../../base/errors.ts'
import { parseQuote, type Quote } from '../../evidence/tdx/quote.ts'
import type { Checklist } from '../../results/checklist.ts'
import type { QuoteCheckId } from './checks.ts'
import { type QuoteFormCheckId, quoteFormChecks } from './quote-checks.ts'

export type QuoteChecklist = Checklist<QuoteCheckId>

/** Which check a malformed field fails, by the beginning of its path; the first that fits. */
const checkOfField: readonly (readonly [string, QuoteFormCheckId])[] = [
  ['quote.header.version', 'tdx.quote.version'],
  ['quote.header.attestationKeyType', 'tdx.quote.keyType'],
  ['quote.header.teeType', 'tdx.quote.teeType'],
  ['quote.header.qeVendorId', 'tdx.quote.vendor'],
  ['quote.descriptor', 'tdx.quote.body'],
  ['quote.signatureData.qeCertification.type', 'tdx.quote.certification'],
  ['quote.signatureData.certification.type', 'tdx.quote.certification'],
  ['quote.signatureData.qeCertification.data.certification.type', 'tdx.quote.certification'],
  ['quote.signatureData', 'tdx.quote.lengths'],
  ['quote.padding', 'tdx.quote.padding'],
  ['quote', 'tdx.quote.size'],
]

function checkOf({ path }: MalformedError): QuoteFormCheckId {
  const entry = checkOfField.find(([field]) => path.startsWith(field))
  return entry?.[1] ?? 'tdx.quote.size'
}

/** Section 2 of tdx.md. Null if the quote is malformed; the checks behind the failed one then stay unreached. */
export function judgeQuoteForm(checklist: QuoteChecklist, bytes: Uint8Array): Quote | null {
  try {
    const quote = parseQuote(bytes)
    for (const id of Object.keys(quoteFormChecks) as QuoteFormCheckId[]) checklist.pass(id)
    return quote
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    checklist.fail(checkOf(error), error.message)
    return null
  }
}
