import type { JsonObject, JsonValue } from '../../base/json.ts'
import { parseQuote } from '../../evidence/tdx/quote.ts'
import { parseTokenObject } from '../../relying-party/compact-jws.ts'
import { flattenTdx, type TcbStatusMembers } from '../../results/tcb-status.ts'
import { quoteClaims } from '../../verifier/tdx/quote-claims.ts'

/** What `tcb-status` of a token about a quote says, by its flat names (TOK-31). */
export type QuotedMembers = Readonly<TcbStatusMembers>

/** Reads what a token about this quote must say. Throws `MalformedError` for bytes that are no quote. */
export function quotedMembers(quote: Uint8Array): QuotedMembers {
  return flattenTdx(quoteClaims(parseQuote(quote)))
}

/** Services may leave out the single flags of the attributes, which stand in the attributes themselves (TOK-106). */
const optionalPrefix = 'tdx.td_attributes.'
const quotePrefix = 'tdx.quote.'

function mismatch(name: string, said: JsonValue | undefined, expected: string | boolean): boolean {
  return said === undefined ? !name.startsWith(optionalPrefix) : said !== expected
}

/**
 * Compares the claim `tcb-status` with the quote that was sent (SVC-15, BRK-107): every value of the quote is there and
 * equal, and the token says nothing of the quote that does not stand in it. Gives the first difference, or undefined.
 */
export function membersProblem(claim: JsonValue | undefined, quoted: QuotedMembers): string | undefined {
  if (typeof claim !== 'string') return 'the token has no text tcb-status'
  const said: JsonObject = parseTokenObject(Buffer.from(claim), 'tcb-status')
  for (const [name, value] of Object.entries(quoted)) {
    if (mismatch(name, said[name], value)) return `${name} is not that of the quote that was sent`
  }
  const unknown = Object.keys(said).find((name) => name.startsWith(quotePrefix) && !Object.hasOwn(quoted, name))
  return unknown === undefined ? undefined : 'the token says more of the quote than stands in it'
}
