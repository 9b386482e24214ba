import { MalformedError } from '../errors.ts'
import { derRules, derTags } from './der-rules.ts'

/** Nesting of real certificates is below 12; deeper input only exists to exhaust a recursive parser (TDX-266). */
const maximumDepth = 16

const constructedTags = new Set<number>([derTags.sequence, derTags.set])

/**
 * Requires that `bytes` are exactly one element in DER (X.690 sections 8 and 10): definite, minimal lengths,
 * nothing behind the element, canonical booleans, integers, bit strings, object identifiers and times, sorted
 * sets. Contents of OCTET STRING, BIT STRING and implicitly tagged primitives are opaque here. General ASN.1
 * libraries accept BER, and two parsers that read BER differently see two certificates under one signature.
 * `maximumElements` bounds the work that a few bytes can ask for: elements may be as short as two bytes.
 * Throws `MalformedError` with the byte offset; `name` begins its field path.
 */
export function requireDer(bytes: Uint8Array, name: string, maximumElements = Number.POSITIVE_INFINITY): void {
  const scanner = new DerScanner(bytes, name, maximumElements)
  scanner.skipElement(0)
  if (scanner.at < bytes.length) throw scanner.malformed(`${bytes.length - scanner.at} bytes left over`)
}

/** Where the content of the element at the start of `bytes` begins and ends by its header; the end may lie behind them. */
function contentSpan(bytes: Uint8Array, name: string): { readonly start: number; readonly end: number } {
  const scanner = new DerScanner(bytes, name, Number.POSITIVE_INFINITY)
  scanner.octet()
  const length = scanner.length()
  return { start: scanner.at, end: scanner.at + length }
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

/** Walks through bytes without copying them: revocation lists have a hundred thousand elements. */
class DerScanner {
  readonly #bytes: Uint8Array
  readonly #name: string
  /** Elements that may still be read. */
  #budget: number
  /** End of the innermost element that is being read. */
  #end: number
  at = 0

  constructor(bytes: Uint8Array, name: string, budget: number) {
    this.#bytes = bytes
    this.#name = name
    this.#budget = budget
    this.#end = bytes.length
  }

  malformed(problem: string, offset = this.at): MalformedError {
    return new MalformedError({ path: this.#name, offset }, problem)
  }

  octet(): number {
    this.#require(1)
    return this.#bytes[this.at++] ?? 0
  }

  #require(size: number): void {
    const remaining = this.#end - this.at
    if (size > remaining) throw this.malformed(`needs ${size} bytes, has ${remaining}`)
  }

  length(): number {
    const start = this.at
    const first = this.octet()
    if (first < 0x80) return first
    const octets = first & 0x7f
    if (octets === 0) throw this.malformed('has an indefinite length', start)
    if (octets > 4) throw this.malformed('has a length of more than 4 bytes', start)
    let length = 0
    for (let octet = 0; octet < octets; octet++) length = length * 256 + this.octet()
    if (length < 0x80 || length < 256 ** (octets - 1)) throw this.malformed('has a length that is not minimal', start)
    return length
  }

  skipElement(depth: number): void {
    const start = this.at
    this.#budget -= 1
    if (this.#budget < 0) throw this.malformed('has too many elements')
    if (depth > maximumDepth) throw this.malformed(`nests deeper than ${maximumDepth} levels`)
    const identifier = this.octet()
    const tag = identifier & 0x1f
    if (tag === 0x1f) throw this.malformed('has a tag number above 30', start)
    const isUniversal = identifier >> 6 === 0
    const isConstructed = (identifier & 0x20) !== 0
    if (isUniversal && isConstructed !== constructedTags.has(tag)) {
      throw this.malformed(`tag ${tag} is in the wrong one of primitive and constructed form`, start)
    }
    const size = this.length()
    this.#require(size)
    if (isConstructed) this.#skipChildren(this.at + size, isUniversal && tag === derTags.set, depth)
    else {
      if (isUniversal) this.#checkPrimitive(tag, size, start)
      this.at += size
    }
  }

  #skipChildren(end: number, isSet: boolean, depth: number): void {
    const outer = this.#end
    this.#end = end
    let before: Uint8Array | undefined
    while (this.at < end) {
      const start = this.at
      this.skipElement(depth + 1)
      if (!isSet) continue
      const element = this.#bytes.subarray(start, this.at)
      if (before && Buffer.compare(before, element) > 0) throw this.malformed('set is not sorted', start)
      before = element
    }
    this.#end = outer
  }

  #checkPrimitive(tag: number, size: number, start: number): void {
    const rule = derRules[tag]
    if (!rule) throw this.malformed(`tag ${tag} does not occur in certificates`, start)
    const problem = rule(this.#bytes, this.at, this.at + size)
    if (problem !== null) throw this.malformed(problem, start)
  }
}
