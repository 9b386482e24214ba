import { MalformedError } from '../errors.ts'
import { requireDer } from './der.ts'
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
  const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
  return new DerCursor(view, path, { start: 0, end: view.length })
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

  constructor(bytes: Uint8Array, path: string, { start, end }: { readonly start: number; readonly end: number }) {
    this.path = path
    this.#bytes = bytes
    this.#at = start
    this.#end = end
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

  /** Steps over the next element; gives the start of its content. */
  #skip(): number {
    if (this.#at >= this.#end) throw this.unstructured()
    const first = this.#bytes[this.#at + 1] ?? 0
    const octets = first < 0x80 ? 0 : first & 0x7f
    let length = octets === 0 ? first : 0
    for (let at = 0; at < octets; at++) length = length * 256 + (this.#bytes[this.#at + 2 + at] ?? 0)
    const start = this.#at + 2 + octets
    this.#at = start + length
    return start
  }

  #require(identifier: number): number {
    if (!this.meets(identifier)) throw this.unstructured()
    return this.#skip()
  }

  /** The next element with its header, of any type or of this one. */
  element(identifier?: number): Uint8Array {
    const start = this.#at
    if (identifier === undefined) this.#skip()
    else this.#require(identifier)
    return this.#bytes.subarray(start, this.#at)
  }

  /** The content octets of the next element. */
  content(identifier: number): Uint8Array {
    const start = this.#require(identifier)
    return this.#bytes.subarray(start, this.#at)
  }

  /** A cursor over the elements in the next element. */
  enter(identifier: number = identifiers.sequence): DerCursor {
    const start = this.#require(identifier)
    return new DerCursor(this.#bytes, this.path, { start, end: this.#at })
  }

  /** A cursor over the elements in `element`, which this cursor gave. */
  inside(element: Uint8Array): DerCursor {
    const start = element.byteOffset - this.#bytes.byteOffset
    const view = new DerCursor(this.#bytes, this.path, { start, end: start + element.length })
    return view.enter(view.next())
  }

  /** Reads all elements that are left. */
  each<T>(read: (cursor: this) => T): T[] {
    const items: T[] = []
    while (!this.atEnd) items.push(read(this))
    return items
  }

  /** In dots. */
  objectIdentifier(): string {
    return dottedIdentifier(this.content(identifiers.objectIdentifier))
  }

  boolean(): boolean {
    return this.content(identifiers.boolean)[0] !== 0
  }

  /** BOOLEAN DEFAULT FALSE: absent or TRUE. */
  flag(): boolean {
    if (!this.meets(identifiers.boolean)) return false
    if (!this.boolean()) throw this.uncanonical()
    return true
  }

  /** A BIT STRING of whole octets. */
  octetsOfBits(): Uint8Array {
    const content = this.content(identifiers.bitString)
    if (content[0] !== 0) throw this.uncanonical()
    return content.subarray(1)
  }

  /** INTEGER (or another type of its form) of 0 to `maximum`, which is below 2^48; else null. */
  smallInteger(maximum: number, identifier: number = identifiers.integer): number | null {
    const content = this.content(identifier)
    if (((content[0] ?? 0x80) & 0x80) !== 0 || content.length > 7) return null
    let value = 0
    for (const octet of content) value = value * 256 + octet
    return value <= maximum ? value : null
  }

  /** UTCTime or GeneralizedTime: milliseconds since the epoch. */
  time(): number {
    const identifier = this.meets(identifiers.utcTime) ? identifiers.utcTime : identifiers.generalizedTime
    const time = timeOfDer(this.content(identifier))
    if (time === null) throw this.uncanonical()
    return time
  }
}
