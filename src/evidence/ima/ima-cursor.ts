import { toLatin1 } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { type HashName, hashAlgorithms } from '../tpm/algorithms.ts'

const maximumTemplateName = 255
const maximumLegacyName = 255
const legacyDigest = 20
const legacyHashed = 256
const maximumPcr = 23

/**
 * Walks over a binary IMA log (Linux documentation, IMA templates): pcr u32, column digest, template name, template
 * data; little endian. A log may have a million records: the cursor makes nothing for a record, and tells by offsets
 * where its parts are. All members are of the record that `next` went to. Nothing is verified.
 */
export class ImaCursor {
  readonly bytes: Uint8Array
  /** Of `bytes`. */
  readonly view: DataView
  readonly columnSize: number
  #column: HashName
  /** Position in this part of the log, from 0. */
  index = -1
  start = 0
  end = 0
  pcr = 0
  columnAt = 0
  templateAt = 0
  /** One character a byte. */
  template = ''
  /** Template data; for the legacy template the digest and the name with its length. */
  dataAt = 0
  #headSize: number
  #maxRecords: number
  #isLegacy = false
  #legacy = new Uint8Array(legacyDigest + legacyHashed)

  constructor(bytes: Uint8Array, column: HashName, maxRecords: number) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#column = column
    this.columnSize = hashAlgorithms[column].size
    this.#headSize = 8 + this.columnSize
    this.#maxRecords = maxRecords
  }

  /**
   * Goes to the next record; false at the end. Every length is checked against the rest before use; a cut record throws
   * `MalformedError` with its index and byte offset (IMA-01).
   */
  next(): boolean {
    const at = this.end
    if (at === this.bytes.length) return false
    this.index++
    if (this.index >= this.#maxRecords) throw this.malformed(`more than ${this.#maxRecords} records`, at)
    if (this.bytes.length - at < this.#headSize) this.#requireHead(at)
    this.start = at
    this.columnAt = at + 4
    this.templateAt = at + this.#headSize
    this.pcr = this.view.getUint32(at, true)
    if (this.pcr > maximumPcr) throw this.malformed(`PCR ${this.pcr} is above ${maximumPcr}`, at)
    this.dataAt = this.#readTemplateName(this.templateAt)
    if (this.#isLegacy) this.#readLegacy()
    else this.#readData()
    return true
  }

  /** Of the record behind this one; null where the log has none. */
  get nextPcr(): number | null {
    return this.bytes.length - this.end < 4 ? null : this.view.getUint32(this.end, true)
  }

  /** Of all records behind this one and in front of the next one of `pcr`; stays where it is. */
  pcrsUpTo(pcr: number): ReadonlySet<number> {
    const found = new Set<number>()
    const ahead = this.#copy()
    while (ahead.nextPcr !== pcr && ahead.next()) found.add(ahead.pcr)
    return found
  }

  /** What the template hash is computed over; for the legacy template good until the next call. */
  hashed(): Uint8Array {
    return this.#isLegacy ? this.#paddedLegacy() : this.bytes.subarray(this.dataAt, this.end)
  }

  /** IMA-05: a violation shows as an all-zero column. */
  isViolation(): boolean {
    const end = this.columnAt + this.columnSize
    for (let at = this.columnAt; at < end; at += 4) if (this.view.getInt32(at) !== 0) return false
    return true
  }

  /** Whether the column is this digest, one character a byte, of its size; writes the digest to `copy` on the way. */
  hasColumn(digest: string, copy: Uint8Array): boolean {
    const at = this.columnAt
    let difference = 0
    for (let i = 0; i < this.columnSize; i++) {
      const byte = digest.charCodeAt(i)
      copy[i] = byte
      difference |= byte ^ this.view.getUint8(at + i)
    }
    return difference === 0
  }

  malformed(problem: string, offset: number): MalformedError {
    return new MalformedError({ path: `ima.records.${this.index}`, offset }, problem)
  }

  #copy(): ImaCursor {
    const copy = new ImaCursor(this.bytes, this.#column, this.#maxRecords)
    copy.index = this.index
    copy.end = this.end
    return copy
  }

  #require(at: number, size: number): void {
    const rest = this.bytes.length - at
    if (size > rest) throw this.malformed(`needs ${size} bytes, has ${rest}`, at)
  }

  /** Names the field at which the log ends. */
  #requireHead(at: number): void {
    this.#require(at, 4)
    this.#require(at + 4, this.columnSize)
    this.#require(at + 4 + this.columnSize, 4)
  }

  /** Gives the end of the name. It is nearly always that of the record before, and then not made again. */
  #readTemplateName(at: number): number {
    const length = this.view.getUint32(at - 4, true)
    if (length === 0 || length > maximumTemplateName) throw this.malformed(`template name of ${length} bytes`, at)
    this.#require(at, length)
    if (!this.#isSameTemplate(at, length)) {
      this.template = toLatin1(this.bytes.subarray(at, at + length))
      this.#isLegacy = this.template === 'ima'
    }
    return at + length
  }

  #isSameTemplate(at: number, length: number): boolean {
    const last = this.template
    if (last.length !== length) return false
    for (let i = 0; i < length; i++) if (this.bytes[at + i] !== last.charCodeAt(i)) return false
    return true
  }

  #readData(): void {
    const at = this.dataAt
    this.#require(at, 4)
    const size = this.view.getUint32(at, true)
    this.#require(at + 4, size)
    this.dataAt = at + 4
    this.end = at + 4 + size
  }

  /** The legacy template has no data length: digest (20), name length, name; it is hashed padded to 256. */
  #readLegacy(): void {
    this.#require(this.dataAt, legacyDigest)
    const at = this.dataAt + legacyDigest
    this.#require(at, 4)
    const length = this.view.getUint32(at, true)
    if (length > maximumLegacyName) throw this.malformed(`file name of ${length} bytes`, at + 4)
    this.#require(at + 4, length)
    this.end = at + 4 + length
  }

  #paddedLegacy(): Uint8Array {
    const nameAt = this.dataAt + legacyDigest + 4
    this.#legacy.fill(0)
    this.#legacy.set(this.bytes.subarray(this.dataAt, this.dataAt + legacyDigest))
    this.#legacy.set(this.bytes.subarray(nameAt, this.end), legacyDigest)
    return this.#legacy
  }
}
