import { AsnConvert } from '@peculiar/asn1-schema'
import { equalBytes } from '../bytes.ts'
import { MalformedError } from '../errors.ts'
import { requireDer } from './der.ts'

/**
 * Decodes `bytes` as the schema class `type`. Three gates: the bytes are strict DER, the schema matches, and
 * encoding the value again gives the same bytes. So the value says everything that the bytes say: nothing was
 * skipped, repaired (month 13 becomes January) or defaulted. Throws only `MalformedError`.
 */
export function decodeExactly<T>(bytes: Uint8Array, type: new () => T, name: string): T {
  requireDer(bytes, name)
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
    // Every element has at least two bytes, so this is no limit of its own: callers bound the bytes.
    const value = AsnConvert.parse(bytes, type, { berOptions: { maxNodes: bytes.length } })
    return { value, encoded: encodeSchema(value) }
  } catch (cause) {
    // The library throws errors of many kinds for bytes that do not fit; none of them is a bug of ours.
    throw new MalformedError({ path: name }, 'does not have the structure of its type', { cause })
  }
}
