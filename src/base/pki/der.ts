import { MalformedError } from '../errors.ts'
import { derRules, derTags } from './der-rules.ts'

/** Nesting of real certificates is below 12; deeper input only exists to exhaust a recursive parser (TDX-266). */
const maximumDepth = 16

/**
 * Requires that `bytes` are exactly one element in DER (X.690 sections 8 and 10): definite, minimal lengths,
 * nothing behind the element, canonical booleans, integers, bit strings, object identifiers and times, sorted
 * sets. Contents of OCTET STRING, BIT STRING and implicitly tagged primitives are opaque here. General ASN.1
 * libraries accept BER, and two parsers that read BER differently see two certificates under one signature.
 * `maximumElements` bounds the work that a few bytes can ask for: elements may be as short as two bytes.
 * Throws `MalformedError` with the byte offset; `name` begins its field path.
 */
export function requireDer(bytes: Uint8Array, name: string, maximumElements = Number.POSITIVE_INFINITY): void {
  const end = endOfElement({ bytes, name, budget: maximumElements }, 0, bytes.length, 0)
  if (end < bytes.length) throw new MalformedError({ path: name, offset: end }, `${bytes.length - end} bytes left over`)
}

/** Where the content of the element at the start of `bytes` begins and ends by its header; the end may lie behind them. */
function contentSpan(bytes: Uint8Array, name: string): { readonly start: number; readonly end: number } {
  const scan = { bytes, name, budget: Number.POSITIVE_INFINITY }
  requireOctet(scan, 0, bytes.length)
  const start = contentAt(scan, 0, bytes.length)
  return { start, end: start + lengthOf(bytes, 1) }
}

/** Length in bytes of the element at the start of `bytes`, its header included. Its content is not looked at. */
export function measureElement(bytes: Uint8Array, name: string): number {
  return contentSpan(bytes, name).end
}

/**
 * The content of the element at the start of `bytes`, by the header alone: what is in it may be anything. What follows
 * the element is ignored. Throws `MalformedError`.
 */
export function contentOfElement(bytes: Uint8Array, name: string): Uint8Array {
  const { start, end } = contentSpan(bytes, name)
  if (end > bytes.length) throw new MalformedError({ path: name }, `needs ${end} bytes, has ${bytes.length}`)
  return bytes.subarray(start, end)
}

/** What one walk knows of its bytes. Nothing is copied: revocation lists have a hundred thousand elements. */
interface Scan {
  readonly bytes: Uint8Array
  readonly name: string
  /** Elements that may still be read. */
  budget: number
}

function malformed({ name }: Scan, problem: string, offset: number): MalformedError {
  return new MalformedError({ path: name, offset }, problem)
}

function requireOctet(scan: Scan, at: number, end: number): void {
  if (at >= end) throw malformed(scan, 'needs 1 bytes, has 0', at)
}

/** Where the content of the element at `at` begins: behind a length that is definite and minimal. */
function contentAt(scan: Scan, at: number, end: number): number {
  const start = at + 1
  requireOctet(scan, start, end)
  const first = scan.bytes[start] ?? 0
  return first < 0x80 ? start + 1 : contentBehindLongLength(scan, start, end)
}

function contentBehindLongLength(scan: Scan, start: number, end: number): number {
  const octets = (scan.bytes[start] ?? 0) & 0x7f
  if (octets === 0) throw malformed(scan, 'has an indefinite length', start)
  if (octets > 4) throw malformed(scan, 'has a length of more than 4 bytes', start)
  if (start + octets >= end) throw malformed(scan, 'needs 1 bytes, has 0', end)
  const length = lengthOf(scan.bytes, start)
  if (length < 0x80 || length < 256 ** (octets - 1)) throw malformed(scan, 'has a length that is not minimal', start)
  return start + 1 + octets
}

/** The length whose first octet stands at `at`, once `contentAt` has judged its form. */
export function lengthOf(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0
  if (first < 0x80) return first
  let length = 0
  for (let octet = 1; octet <= (first & 0x7f); octet++) length = length * 256 + (bytes[at + octet] ?? 0)
  return length
}

/** Where the content of the element at `at` begins, in bytes that `requireDer` judged. */
export function contentOffset(bytes: Uint8Array, at: number): number {
  const first = bytes[at + 1] ?? 0
  return first < 0x80 ? at + 2 : at + 2 + (first & 0x7f)
}

/** Where the element at `at` ends, in bytes that `requireDer` judged. */
export function endOffset(bytes: Uint8Array, at: number): number {
  return contentOffset(bytes, at) + lengthOf(bytes, at + 1)
}

/** Judges the element at `start`, which must end within `limit`; gives its end. */
function endOfElement(scan: Scan, start: number, limit: number, depth: number): number {
  const { bytes } = scan
  scan.budget -= 1
  if (scan.budget < 0) throw malformed(scan, 'has too many elements', start)
  if (depth > maximumDepth) throw malformed(scan, `nests deeper than ${maximumDepth} levels`, start)
  requireOctet(scan, start, limit)
  const identifier = bytes[start] ?? 0
  requireKnownForm(scan, identifier, start)
  const content = contentAt(scan, start, limit)
  const end = content + lengthOf(bytes, start + 1)
  if (end > limit) throw malformed(scan, `needs ${end - content} bytes, has ${limit - content}`, content)
  if ((identifier & constructed) === 0) requireRule(scan, start, content, end)
  else if (identifier === setIdentifier) requireSortedChildren(scan, content, end, depth + 1)
  else for (let at = content; at < end; ) at = endOfElement(scan, at, end, depth + 1)
  return end
}

const [classes, constructed, number] = [0xc0, 0x20, 0x1f]
const sequenceIdentifier = constructed | derTags.sequence
const setIdentifier = constructed | derTags.set

function requireKnownForm(scan: Scan, identifier: number, start: number): void {
  const tag = identifier & number
  if (tag === number) throw malformed(scan, 'has a tag number above 30', start)
  if ((identifier & classes) !== 0 || identifier === sequenceIdentifier || identifier === setIdentifier) return
  if ((identifier & constructed) !== 0 || tag === derTags.sequence || tag === derTags.set) {
    throw malformed(scan, `tag ${tag} is in the wrong one of primitive and constructed form`, start)
  }
}

function requireSortedChildren(scan: Scan, start: number, end: number, depth: number): void {
  let [before, at] = [start, start]
  while (at < end) {
    const next = endOfElement(scan, at, end, depth)
    if (at > start && Buffer.compare(scan.bytes.subarray(before, at), scan.bytes.subarray(at, next)) > 0) {
      throw malformed(scan, 'set is not sorted', at)
    }
    before = at
    at = next
  }
}

/** Content of other classes than the universal one is opaque. */
function requireRule(scan: Scan, start: number, content: number, end: number): void {
  const identifier = scan.bytes[start] ?? 0
  if ((identifier & classes) !== 0) return
  const rule = derRules[identifier]
  if (!rule) throw malformed(scan, `tag ${identifier} does not occur in certificates`, start)
  const problem = rule(scan.bytes, content, end)
  if (problem !== null) throw malformed(scan, problem, start)
}
