import { parseText } from '../base/bytes.ts'
import { MalformedError } from '../base/errors.ts'
import { type JsonLimits, type JsonObject, parseJsonObject } from '../base/json.ts'

/** The three segments of a compact JWS (RFC 7515 section 7.1), decoded and unverified. */
export interface CompactSegments {
  readonly header: Uint8Array
  readonly payload: Uint8Array
  readonly signature: Uint8Array
}

const compactForm = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/

/**
 * Splits and decodes a token on its text (TOK-70). Refuses what lenient decoders let pass and what therefore makes two
 * texts of one token: white space, padding, the alphabet of plain base64, unused bits that are not zero.
 */
export function parseCompactJws(token: unknown, maxLength: number): CompactSegments {
  if (typeof token !== 'string') throw new MalformedError({ path: 'token' }, 'is not a text')
  if (token.length > maxLength) {
    throw new MalformedError({ path: 'token' }, `has ${token.length} characters, at most ${maxLength} are accepted`)
  }
  const [, header, payload, signature] = compactForm.exec(token) ?? []
  if (header === undefined || payload === undefined || signature === undefined) {
    throw new MalformedError({ path: 'token' }, 'is not three segments of base64url joined by dots')
  }
  return {
    header: parseText(header, 'base64url', 'token.header'),
    payload: parseText(payload, 'base64url', 'token.payload'),
    signature: parseText(signature, 'base64url', 'token.signature'),
  }
}

/**
 * TOK-71. A number beyond the range of a double is read as an infinity: the rule about that claim (TOK-93 for times)
 * refuses it by name.
 */
export const tokenJsonLimits: JsonLimits = { maxDepth: 32, refusePrototypeNames: true, allowOverflow: true }

/** Header or payload of a token as an object without duplicate members (TOK-71). */
export function parseTokenObject(segment: Uint8Array, name: string): JsonObject {
  return parseJsonObject(segment, name, tokenJsonLimits)
}
