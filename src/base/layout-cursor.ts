import { concatBytes } from './bytes.ts'
import { MalformedError } from './errors.ts'

/** One field as it was read: what `attestd inspect` shows. */
export interface TracedField {
  /** Names from the outermost struct to the field. */
  readonly path: readonly string[]
  /** Byte offset from the start of the message. */
  readonly offset: number
  /** Bytes that the field took; -1 if reading it failed. */
  size: number
  /** Undefined if reading it failed. */
  value: unknown
}

/** Walks through bytes; knows the path of the field that is being read. Hot loops may use it directly. */
export class Reader {
  #trace: TracedField[] | undefined
  #bytes: Uint8Array
  #view: DataView
  #path: (string | (() => string))[]
  #end: number
  offset = 0

  /**
   * `name` begins every path; a function is asked when an error needs it, which spares hot loops a text for each item.
   * `trace`, where given, receives every field in the order of reading, parents before their children.
   */
  constructor(bytes: Uint8Array, name: string | (() => string), trace?: TracedField[]) {
    this.#bytes = bytes
    this.#trace = trace
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#path = [name]
    this.#end = bytes.length
  }

  get remaining(): number {
    return this.#end - this.offset
  }

  malformed(problem: string, offset = this.offset): MalformedError {
    return new MalformedError({ path: this.#names().join('.'), offset }, problem)
  }

  #names(): string[] {
    return this.#path.map((name) => (typeof name === 'string' ? name : name()))
  }

  /** Whether `size` bytes remain, and nobody wants to know which fields they are; false for NaN. */
  hasUntraced(size: number): boolean {
    return this.#trace === undefined && size <= this.remaining
  }

  require(size: number): void {
    if (size > this.remaining) throw this.malformed(`needs ${size} bytes, has ${this.remaining}`)
  }

  requireEnd(): void {
    if (this.remaining > 0) throw this.malformed(`${this.remaining} bytes left over`)
  }

  integer(size: 1 | 2 | 4, littleEndian: boolean): number {
    this.require(size)
    const at = this.offset
    this.offset += size
    if (size === 1) return this.#view.getUint8(at)
    return size === 2 ? this.#view.getUint16(at, littleEndian) : this.#view.getUint32(at, littleEndian)
  }

  bigInteger(littleEndian: boolean): bigint {
    this.require(8)
    this.offset += 8
    return this.#view.getBigUint64(this.offset - 8, littleEndian)
  }

  /** A view of the next `size` bytes. */
  bytes(size: number): Uint8Array {
    this.require(size)
    this.offset += size
    return this.#bytes.subarray(this.offset - size, this.offset)
  }

  /** Passes the next `size` bytes without a view of them. */
  skip(size: number): void {
    this.require(size)
    this.offset += size
  }

  /** A view of what was read from `start` up to here. */
  since(start: number): Uint8Array {
    return this.#bytes.subarray(start, this.offset)
  }

  /** Reads with `name` at the end of the path. */
  field<T>(name: string, read: () => T): T {
    this.#path.push(name)
    const traced = this.#begin()
    const value = read()
    if (traced) Object.assign(traced, { size: this.offset - traced.offset, value })
    this.#path.pop()
    return value
  }

  /** As `field`, with what reads. */
  readField<T>(name: string, inner: { read(reader: Reader): T }): T {
    if (this.#trace) return this.field(name, () => inner.read(this))
    this.#path.push(name)
    const value = inner.read(this)
    this.#path.pop()
    return value
  }

  #begin(): TracedField | undefined {
    if (!this.#trace) return undefined
    const traced: TracedField = { path: this.#names().slice(1), offset: this.offset, size: -1, value: undefined }
    this.#trace.push(traced)
    return traced
  }

  /** Reads inside the next `size` bytes, all of which must be consumed. */
  within<T>(size: number, read: () => T): T {
    this.require(size)
    const outer = this.#end
    this.#end = this.offset + size
    const value = read()
    this.requireEnd()
    this.#end = outer
    return value
  }
}

/** Collects bytes; knows the path of the field that is being written. */
export class Writer {
  #parts: Uint8Array[] = []
  #path: string[]

  constructor(name: string) {
    this.#path = [name]
  }

  path(): string {
    return this.#path.join('.')
  }

  misfit(problem: string): RangeError {
    return new RangeError(`${this.path()}: ${problem}`)
  }

  bytes(value: Uint8Array): void {
    this.#parts.push(value)
  }

  integer(value: number, size: 1 | 2 | 4, littleEndian: boolean): void {
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * size)) {
      throw this.misfit(`${value} does not fit into ${size} bytes`)
    }
    const bytes = new Uint8Array(size)
    for (let at = 0; at < size; at++) bytes[littleEndian ? at : size - 1 - at] = value >>> (8 * at)
    this.#parts.push(bytes)
  }

  bigInteger(value: bigint, littleEndian: boolean): void {
    if (value < 0n || value >= 1n << 64n) throw this.misfit(`${value} does not fit into 8 bytes`)
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setBigUint64(0, value, littleEndian)
    this.#parts.push(bytes)
  }

  field(name: string, write: () => void): void {
    this.#path.push(name)
    write()
    this.#path.pop()
  }

  finish(): Uint8Array {
    return concatBytes(...this.#parts)
  }
}
