import type { MalformedError } from '../errors.ts'
import { Reader } from '../layout-cursor.ts'

/** Nesting of real certificates is below 12; deeper input only exists to exhaust a recursive parser (TDX-266). */
const maximumDepth = 16

/** What may still be read; the same for an element and all that is in it. */
interface Budget {
  elements: number
}

const universal = {
  boolean: 1,
  integer: 2,
  bitString: 3,
  octetString: 4,
  null: 5,
  objectIdentifier: 6,
  enumerated: 10,
  utf8String: 12,
  sequence: 16,
  set: 17,
  numericString: 18,
  printableString: 19,
  teletexString: 20,
  ia5String: 22,
  utcTime: 23,
  generalizedTime: 24,
  visibleString: 26,
  universalString: 28,
  bmpString: 30,
} as const

const constructedTags = new Set<number>([universal.sequence, universal.set])

/**
 * Requires that `bytes` are exactly one element in DER (X.690 sections 8 and 10): definite, minimal lengths,
 * nothing behind the element, canonical booleans, integers, bit strings, object identifiers and times, sorted
 * sets. Contents of OCTET STRING, BIT STRING and implicitly tagged primitives are opaque here. General ASN.1
 * libraries accept BER, and two parsers that read BER differently see two certificates under one signature.
 * `maximumElements` bounds what a decoder has to build: elements of two bytes cost it a hundred times their size.
 * Throws `MalformedError` with the byte offset; `name` begins its field path.
 */
export function requireDer(bytes: Uint8Array, name: string, maximumElements = Number.POSITIVE_INFINITY): void {
  const reader = new Reader(bytes, name)
  readElement(reader, 0, { elements: maximumElements })
  reader.requireEnd()
}

/** Length in bytes of the element at the start of `bytes`, its header included. Its content is not looked at. */
export function measureElement(bytes: Uint8Array, name: string): number {
  const reader = new Reader(bytes, name)
  reader.integer(1, false)
  const length = readLength(reader)
  return reader.offset + length
}

function readElement(reader: Reader, depth: number, budget: Budget): void {
  const start = reader.offset
  budget.elements -= 1
  if (budget.elements < 0) throw reader.malformed('has too many elements')
  if (depth > maximumDepth) throw reader.malformed(`nests deeper than ${maximumDepth} levels`)
  const identifier = reader.integer(1, false)
  const tag = identifier & 0x1f
  if (tag === 0x1f) throw reader.malformed('has a tag number above 30', start)
  const isUniversal = identifier >> 6 === 0
  const isConstructed = (identifier & 0x20) !== 0
  if (isUniversal && isConstructed !== constructedTags.has(tag)) {
    throw reader.malformed(`tag ${tag} is in the wrong one of primitive and constructed form`, start)
  }
  const length = readLength(reader)
  if (isConstructed) {
    readChildren(reader, length, isUniversal && tag === universal.set, { depth, budget })
    return
  }
  const content = reader.bytes(length)
  if (isUniversal) requirePrimitive(tag, content, (problem) => reader.malformed(problem, start))
}

function readLength(reader: Reader): number {
  const at = reader.offset
  const first = reader.integer(1, false)
  if (first < 0x80) return first
  const octets = first & 0x7f
  if (octets === 0) throw reader.malformed('has an indefinite length', at)
  if (octets > 4) throw reader.malformed('has a length of more than 4 bytes', at)
  let length = 0
  for (let octet = 0; octet < octets; octet++) length = length * 256 + reader.integer(1, false)
  if (length < 0x80 || length < 256 ** (octets - 1)) throw reader.malformed('has a length that is not minimal', at)
  return length
}

function readChildren(
  reader: Reader,
  length: number,
  isSet: boolean,
  { depth, budget }: { readonly depth: number; readonly budget: Budget },
): void {
  reader.within(length, () => {
    let before: Uint8Array | undefined
    while (reader.remaining > 0) {
      const start = reader.offset
      readElement(reader, depth + 1, budget)
      const size = reader.offset - start
      reader.offset = start
      const element = reader.bytes(size)
      if (isSet && before && Buffer.compare(before, element) > 0) throw reader.malformed('set is not sorted', start)
      before = element
    }
  })
}

type Refuse = (problem: string) => MalformedError
type PrimitiveRule = (content: Uint8Array, refuse: Refuse) => void

const ascii: PrimitiveRule = (content, refuse) => {
  if (content.some((byte) => byte >= 0x80)) throw refuse('string has characters that are not ASCII')
}

const integer: PrimitiveRule = (content, refuse) => {
  const [first, second] = content
  if (first === undefined) throw refuse('integer is empty')
  if (second === undefined) return
  if ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80)) throw refuse('integer is not minimal')
}

const primitiveRules: Readonly<Record<number, PrimitiveRule>> = {
  [universal.boolean]: (content, refuse) => {
    if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) throw refuse('boolean is not 00 or FF')
  },
  [universal.integer]: integer,
  [universal.enumerated]: integer,
  [universal.bitString]: requireBitString,
  [universal.octetString]: () => {},
  [universal.null]: (content, refuse) => {
    if (content.length > 0) throw refuse('null has content')
  },
  [universal.objectIdentifier]: requireObjectIdentifier,
  [universal.utf8String]: (content, refuse) => {
    if (!isUtf8(content)) throw refuse('string is not UTF-8')
  },
  [universal.numericString]: ascii,
  [universal.printableString]: ascii,
  [universal.teletexString]: () => {},
  [universal.ia5String]: ascii,
  [universal.utcTime]: timeRule(/^\d{12}Z$/, 'YYMMDDHHMMSSZ'),
  [universal.generalizedTime]: timeRule(/^\d{14}Z$/, 'YYYYMMDDHHMMSSZ'),
  [universal.visibleString]: ascii,
  [universal.universalString]: () => {},
  [universal.bmpString]: () => {},
}

function requirePrimitive(tag: number, content: Uint8Array, refuse: Refuse): void {
  const rule = primitiveRules[tag]
  if (!rule) throw refuse(`tag ${tag} does not occur in certificates`)
  rule(content, refuse)
}

function requireBitString(content: Uint8Array, refuse: Refuse): void {
  const unused = content[0]
  if (unused === undefined || unused > 7 || (content.length === 1 && unused > 0)) throw refuse('bit string is empty')
  const last = content[content.length - 1] ?? 0
  if (content.length > 1 && (last & ((1 << unused) - 1)) !== 0) throw refuse('bit string has unused bits that are set')
}

/** Bytes; real ones have up to 13, and a decoder takes the square of their number. */
const longestObjectIdentifier = 128

function requireObjectIdentifier(content: Uint8Array, refuse: Refuse): void {
  if (content.length > longestObjectIdentifier) throw refuse('object identifier is longer than 128 bytes')
  if (content.length === 0 || ((content[content.length - 1] ?? 0) & 0x80) !== 0) {
    throw refuse('object identifier is cut')
  }
  content.forEach((byte, at) => {
    const beginsArc = at === 0 || ((content[at - 1] ?? 0) & 0x80) === 0
    if (beginsArc && byte === 0x80) throw refuse('object identifier is not minimal')
  })
}

/** The form that RFC 5280 section 4.1.2.5 leaves: seconds, UTC, no fraction. The calendar is checked on decoding. */
function timeRule(pattern: RegExp, form: string): PrimitiveRule {
  return (content, refuse) => {
    if (!pattern.test(String.fromCharCode(...content.subarray(0, 32)))) throw refuse(`time is not ${form}`)
  }
}

function isUtf8(content: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(content)
    return true
  } catch {
    return false
  }
}
