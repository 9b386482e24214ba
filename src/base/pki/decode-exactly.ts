import { AsnConvert } from '@peculiar/asn1-schema'
import { equalBytes } from '../bytes.ts'
import { MalformedError } from '../errors.ts'
import { requireDer } from './der.ts'

/**
 * Decodes `bytes` as the schema class `type`. Three gates: the bytes are strict DER, the schema matches, and
 * encoding the value again gives the same bytes. So the value says everything that the bytes say: nothing was
 * skipped, repaired (month 13 becomes January) or defaulted. What peers send is bounded by `maximumElements` as well
 * as by its size. Throws only `MalformedError`.
 */
export function decodeExactly<T>(
  bytes: Uint8Array,
  type: new () => T,
  name: string,
  maximumElements = Number.POSITIVE_INFINITY,
): T {
  requireDer(bytes, name, maximumElements)
  const { value, encoded } = decodeAndEncode(bytes, type, name)
  if (!equalBytes(encoded, bytes)) throw new MalformedError({ path: name }, 'is not in canonical form')
  return value
}

/** The DER of a schema object. */
export function encodeSchema(value: unknown): Uint8Array {
  return new Uint8Array(AsnConvert.serialize(value))
}

function decodeAndEncode<T>(bytes: Uint8Array, type: new () => T, name: string): { value: T; encoded: Uint8Array } {
  try {
    // Every element has at least two bytes, so this is no limit of its own. Octet strings are opaque, as for `requireDer`.
    const value = AsnConvert.parse(bytes, type, { berOptions: { maxNodes: bytes.length, parseEmbedded: false } })
    return { value, encoded: encodeSchema(value) }
  } catch (cause) {
    // The library throws errors of many kinds for bytes that do not fit; none of them is a bug of ours.
    throw new MalformedError({ path: name }, 'does not have the structure of its type', { cause })
  }
}
