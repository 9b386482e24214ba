import { MalformedError } from '../errors.ts'
import { contentOffset, lengthOf, requireDer } from './der.ts'
import { timeOfDer } from './der-time.ts'
import { dottedIdentifier } from './object-identifier.ts'

/** First octets of elements: class, form and number. */
export const identifiers = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const

/**
 * Opens `bytes` as one element of strict DER (`requireDer`, with its bound). The cursor stands before that element.
 * Throws `MalformedError`, here and in all methods; `path` names the value.
 */
export function openDer(bytes: Uint8Array, path: string, maximumElements = Number.POSITIVE_INFINITY): DerCursor {
  requireDer(bytes, path, maximumElements)
  // A plain view: parts of a Buffer would be Buffers.
  const isPlain = bytes.constructor === Uint8Array
  const view = isPlain ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
  return new DerCursor(view, path, 0, view.length)
}

/**
 * Walks the elements of bytes that are known to be strict DER, in order; every element is asked for by its type, and
 * what is left over is an error (`requireEnd`). Nothing is copied.
 */
export class DerCursor {
  readonly path: string
  readonly #bytes: Uint8Array
  readonly #end: number
  #at: number

  constructor(bytes: Uint8Array, path: string, start: number, end: number) {
    this.path = path
    this.#bytes = bytes
    this.#at = start
    this.#end = end
  }

  /** Offset of the next element from the start of the bytes that were opened. */
  get at(): number {
    return this.#at
  }

  /** Offset behind the last element. */
  get end(): number {
    return this.#end
  }

  get atEnd(): boolean {
    return this.#at >= this.#end
  }

  /** True if the next element has this first octet. */
  meets(identifier: number): boolean {
    return this.next() === identifier
  }

  /** First octet of the next element; -1 at the end. */
  next(): number {
    return this.#at < this.#end ? (this.#bytes[this.#at] ?? -1) : -1
  }

  unstructured(): MalformedError {
    return new MalformedError({ path: this.path, offset: this.#at }, 'does not have the structure of its type')
  }

  /** Another encoding says the same: a default that is written out, a date that no calendar has. */
  uncanonical(): MalformedError {
    return new MalformedError({ path: this.path, offset: this.#at }, 'is not in canonical form')
  }

  requireEnd(): void {
    if (!this.atEnd) throw this.unstructured()
  }

  /** Steps over the next element, of any type or of this one; gives the offset of its content. */
  skip(identifier?: number): number {
    const at = this.#at
    const bytes = this.#bytes
    if (at >= this.#end || (identifier !== undefined && bytes[at] !== identifier)) throw this.unstructured()
    const start = contentOffset(bytes, at)
    this.#at = start + lengthOf(bytes, at + 1)
    return start
  }

  /** The next element with its header, of any type or of this one. */
  element(identifier?: number): Uint8Array {
    const start = this.#at
    this.skip(identifier)
    return this.#bytes.subarray(start, this.#at)
  }

  /** The content octets of the next element. */
  content(identifier: number): Uint8Array {
    const start = this.skip(identifier)
    return this.#bytes.subarray(start, this.#at)
  }

  /** The content octets of the next element as text; their characters were checked with the rest of the DER. */
  text(identifier: number): string {
    const start = this.skip(identifier)
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + start, this.#at - start).toString('utf8')
  }

  /** A cursor over the elements in the next element. */
  enter(identifier: number = identifiers.sequence): DerCursor {
    const start = this.skip(identifier)
    return new DerCursor(this.#bytes, this.path, start, this.#at)
  }

  /** A cursor over the elements in `element`, which this cursor gave. */
  inside(element: Uint8Array): DerCursor {
    const start = element.byteOffset - this.#bytes.byteOffset
    return new DerCursor(this.#bytes, this.path, contentOffset(this.#bytes, start), start + element.length)
  }

  /** Reads all elements that are left. */
  each<T>(read: (cursor: this) => T): T[] {
    const items: T[] = []
    while (!this.atEnd) items.push(read(this))
    return items
  }

  /** In dots. */
  objectIdentifier(): string {
    const start = this.skip(identifiers.objectIdentifier)
    return dottedIdentifier(this.#bytes, start, this.#at)
  }

  /**
   * Steps over the OBJECT IDENTIFIER that comes next if it is `parent` (content octets) and one more arc of 0 to 127, and
   * gives that arc. Else null, and nothing is stepped over.
   */
  arcBelow(parent: Uint8Array): number | null {
    const [bytes, start] = [this.#bytes, this.#at + 2]
    if (this.next() !== identifiers.objectIdentifier || bytes[this.#at + 1] !== parent.length + 1) return null
    for (let at = 0; at < parent.length; at++) if (bytes[start + at] !== parent[at]) return null
    this.#at = start + parent.length + 1
    return bytes[this.#at - 1] ?? null
  }

  boolean(): boolean {
    return this.#bytes[this.skip(identifiers.boolean)] !== 0
  }

  /** BOOLEAN DEFAULT FALSE: absent or TRUE. */
  flag(): boolean {
    if (!this.meets(identifiers.boolean)) return false
    if (!this.boolean()) throw this.uncanonical()
    return true
  }

  /** A BIT STRING of whole octets. */
  octetsOfBits(): Uint8Array {
    const start = this.skip(identifiers.bitString)
    if (this.#bytes[start] !== 0) throw this.uncanonical()
    return this.#bytes.subarray(start + 1, this.#at)
  }

  /** INTEGER (or another type of its form) of 0 to `maximum`, which is below 2^48; else null. */
  smallInteger(maximum: number, identifier: number = identifiers.integer): number | null {
    const start = this.skip(identifier)
    const size = this.#at - start
    if (size === 0 || size > 7 || ((this.#bytes[start] ?? 0) & 0x80) !== 0) return null
    let value = 0
    for (let at = start; at < this.#at; at++) value = value * 256 + (this.#bytes[at] ?? 0)
    return value <= maximum ? value : null
  }

  /** UTCTime or GeneralizedTime: milliseconds since the epoch. */
  time(): number {
    const identifier = this.meets(identifiers.utcTime) ? identifiers.utcTime : identifiers.generalizedTime
    const start = this.skip(identifier)
    const time = timeOfDer(this.#bytes, start, this.#at)
    if (time === null) throw this.uncanonical()
    return time
  }
}
