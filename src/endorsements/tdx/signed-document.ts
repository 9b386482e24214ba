import { MalformedError } from '../../base/errors.ts'
import { isJsonObject, type JsonLimits, parseJsonObject, parseUtf8 } from '../../base/json.ts'
import { parsePlainJson } from '../../base/plain-json.ts'
import { Members } from './members.ts'

/** Characters of one signed document (TDX-179). */
export const longestSignedDocument = 1_048_576

/** Real documents have up to 510 values, 30 in one list (TDX-271). Numbers that are no integers are none (3.8.9). */
const documentLimits = {
  maxDepth: 32,
  maxItems: 1_000,
  maxValues: 20_000,
  fractionsAsNaN: true,
} as const satisfies JsonLimits

/** The top-level object of a signed document: strict JSON of at most 1 MiB (TDX-179). Throws `MalformedError`. */
export function openSignedDocument(text: string, path: string): Members {
  if (text.length > longestSignedDocument) throw new MalformedError({ path }, 'is longer than 1 MiB')
  // What the maker writes is plain. Everything else, and what is wrong with it, is for the strict reader.
  const plain = parsePlainJson(text, documentLimits)
  return new Members(isJsonObject(plain) ? plain : parseJsonObject(text, path, documentLimits), path)
}

export interface SignedObject {
  /** The signed text, byte for byte as it was received. */
  readonly text: string
  /** Raw r and s, 64 bytes as 128 lower-case hexadecimal digits. */
  readonly signature: string
}

/**
 * Cuts the signed object out of the body of an answer `{"tcbInfo":{…},"signature":"…"}` or
 * `{"enclaveIdentity":{…},"signature":"…"}` (TDX-202): the text between the offsets of the member's value, never one
 * that was serialised again, because the signature is over these bytes. The body holds these two members alone, in any
 * order; what stands beside them is not signed. Throws `MalformedError`.
 */
export function cutSignedObject(body: Uint8Array, member: 'tcbInfo' | 'enclaveIdentity'): SignedObject {
  if (body.length > 2 * longestSignedDocument) throw new MalformedError({ path: member }, 'is longer than 2 MiB')
  const text = parseUtf8(body, member)
  const document = parseJsonObject(text, member, documentLimits)
  const members = new Members(document, 'body')
  for (const name of Object.keys(document)) {
    if (name !== member && name !== 'signature') throw members.malformed(name.slice(0, 64), 'is not expected')
  }
  members.object(member)
  const [start, end] = spanOfObject(text)
  return { text: text.slice(start, end), signature: members.hex('signature', 64) }
}

/**
 * Where the one value that is an object begins and ends. The text has been parsed: braces outside of strings are
 * structure, and the first one below the top level opens the value.
 */
function spanOfObject(text: string): readonly [number, number] {
  let depth = 0
  let start = 0
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '"') at = endOfString(text, at)
    else if (character === '{' && ++depth === 2) start = at
    else if (character === '}' && depth-- === 2) return [start, at + 1]
  }
  throw new TypeError('a parsed body has an object in it')
}

/** Position of the quotation mark that ends the string which begins at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at
}
