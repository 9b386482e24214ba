import { toBase64 } from '../../base/bytes.ts'
import type { JsonObject, JsonValue } from '../../base/json.ts'
import { containerObject, filledBase64At, malformedMember, optional, parseSimulated } from '../container-members.ts'
import type { TdxEvidence } from './evidence.ts'

const mebibyte = 1024 * 1024

/** Bytes after decoding (SVC-20, SVC-40, SVC-41); `document` counts the bytes or characters of the JSON text. */
export const tdxEvidenceLimits = {
  document: 4 * mebibyte,
  /** Below it no quote can be complete. */
  quoteMinimum: 1020,
  quote: 16_384,
  ccEventLog: 2 * mebibyte,
} as const

function parseQuoteMember(value: JsonValue | undefined): Uint8Array {
  const bytes = filledBase64At(value, 'evidence.quote', tdxEvidenceLimits.quote)
  const { quoteMinimum } = tdxEvidenceLimits
  if (bytes.length < quoteMinimum) {
    throw malformedMember('evidence.quote', `has ${bytes.length} bytes, must have ${quoteMinimum} at least`)
  }
  return bytes
}

/** A log in the older place would be left out of the appraisal, and its sender believes that it counts (SVC-20). */
function refuseOlderLog(value: JsonValue | undefined): void {
  if (value === undefined || value === null || value === '') return
  throw malformedMember(
    'evidence.aa_eventlog',
    'must be absent, null or empty: runtime records belong into cc_eventlog',
  )
}

/**
 * Parses TDX evidence (TDX-040, SVC-20) from its JSON text, its UTF-8 bytes, or the object that `parseJsonObject` made
 * of them: standard base64 in the one form that encoding gives, a quote of 1 020 to 16 384 bytes, a log of at most
 * 2 MiB. Members that are not known are ignored. Neither quote nor log is read, and nothing is verified. Throws only
 * `MalformedError`, whose message begins with the path of the member.
 */
export function parseTdxEvidence(document: string | Uint8Array | JsonObject): TdxEvidence {
  const container = containerObject(document, tdxEvidenceLimits.document, { maxDepth: 8, maxValues: 2048 })
  refuseOlderLog(container['aa_eventlog'])
  return {
    quote: parseQuoteMember(container['quote']),
    ccEventLog: optional(container['cc_eventlog'], (text) =>
      filledBase64At(text, 'evidence.cc_eventlog', tdxEvidenceLimits.ccEventLog),
    ),
    simulated: parseSimulated(container['hints']),
  }
}

/**
 * Writes what `parseTdxEvidence` reads back to the same evidence. With `hints: false` there are exactly the two members
 * that services of others know (SVC-20); otherwise `hints` is written where the quoting stack is a simulator.
 */
export function encodeTdxEvidence(
  { quote, ccEventLog, simulated }: TdxEvidence,
  { hints = true }: { readonly hints?: boolean } = {},
): JsonObject {
  const container: JsonObject = {
    quote: toBase64(quote),
    cc_eventlog: ccEventLog === null ? null : toBase64(ccEventLog),
  }
  return simulated && hints ? { ...container, hints: { simulated: true } } : container
}
