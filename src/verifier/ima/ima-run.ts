import { ImaCursor } from '../../evidence/ima/ima-cursor.ts'
import { maximumImaRecords } from '../../evidence/ima/ima-log.ts'
import { digestText, type HashName, hashAlgorithms } from '../../evidence/tpm/algorithms.ts'
import { writeLatin1 } from '../extended-register.ts'
import type { ImaRegister } from './ima-register.ts'
import type { ImaRegisters } from './ima-registers.ts'
import type { PendingComparison } from './pending-records.ts'

/** What is asked about each record that a quote may cover, before it is known whether it does. */
export interface ImaRecordJudge {
  /**
   * `number`: since the boot. Offsets are in `cursor`. `sha256`: of the template data, as eight words that are good until
   * the next record; null where no bank or column needs it. It means nothing for a violation.
   */
  judge(cursor: ImaCursor, number: number, isViolation: boolean, isQuoted: boolean, sha256: Int32Array | null): void
}

export interface ImaRunInputs {
  readonly data: Uint8Array
  readonly column: HashName
  /** Number of the first record since the boot. */
  readonly from: number
  readonly registers: ImaRegisters
  readonly judge: ImaRecordJudge | null
  /** What was pending, to be compared. */
  readonly pending: PendingComparison | null
}

/**
 * Goes over the records of a log and extends the registers by them (IMA-02 to IMA-06). One loop, and no object for a
 * record: everything it needs is made once, and a million records take little more time than their hashes.
 */
export class ImaRun {
  readonly cursor: ImaCursor
  /** Number of the first record whose column is not the hash of its data (IMA-04); null if all so far are right. */
  wrongColumn: number | null = null
  violations = 0
  isViolation = false
  #inputs: ImaRunInputs
  #column: HashName
  /** Hashes of templates besides that of the column, and the digests of the record by them. */
  #hashes: readonly HashName[]
  #digests: string[]
  /** By the hash of the column. */
  #columnDigest: Uint8Array
  /** Place of SHA-256 in `#hashes`; -1: it is the hash of the column, or none. */
  #sha256At: number
  #sha256: Uint8Array
  /** The same memory. */
  #sha256Words: Int32Array | null
  #hashed: Uint8Array = new Uint8Array()
  #registers: ImaRegisters
  #number: number

  constructor(inputs: ImaRunInputs) {
    const { data, column, registers, from } = inputs
    this.cursor = new ImaCursor(data, column, maximumImaRecords)
    this.#inputs = inputs
    this.#column = column
    this.#columnDigest = new Uint8Array(this.cursor.columnSize)
    this.#registers = registers
    this.#hashes = registers.templateHashes.filter((name) => name !== column)
    this.#digests = this.#hashes.map(() => '')
    this.#sha256At = this.#hashes.indexOf('sha256')
    this.#sha256 = column === 'sha256' ? this.#columnDigest : new Uint8Array(hashAlgorithms.sha256.size)
    this.#sha256Words = column === 'sha256' || this.#sha256At >= 0 ? new Int32Array(this.#sha256.buffer) : null
    this.#number = from - 1
  }

  /** Records so far, since the boot. */
  get records(): number {
    return this.#number + 1
  }

  /** Goes to the next record and checks its column; false at the end. Throws `MalformedError` (IMA-01). */
  next(): boolean {
    const { cursor } = this
    if (!cursor.next()) return false
    this.#number++
    this.isViolation = cursor.isViolation()
    if (this.isViolation) this.violations++
    else {
      this.#hashed = cursor.hashed()
      const digest = digestText(this.#column, this.#hashed)
      if (!cursor.hasColumn(digest, this.#columnDigest)) this.wrongColumn ??= this.#number
    }
    const { pending } = this.#inputs
    if (pending !== null && this.#number < pending.end) pending.see(this.#number, cursor, this.isViolation)
    return true
  }

  /** Extends the registers of the record. */
  extendRegisters(): void {
    this.#hash()
    for (const register of this.#registers.of(this.cursor.pcr)) this.#extendOne(register)
  }

  /**
   * Goes on until every quoted bank is reached (IMA-08), and true then; false at the end of the log, which then leads
   * to none of the quoted values, or is a part that no quote covers yet.
   */
  reach(): boolean {
    const { cursor } = this
    while (this.next()) {
      this.extendRegisters()
      this.#judge()
      if (cursor.pcr === this.#registers.pcr && this.#registers.isReached) return true
    }
    return false
  }

  /**
   * Goes on behind the covered records of IMA as long as a quoted register beside it is not reached (IMA-19): the quote
   * covers these records too. The kernel writes and extends one record after the other, so that none of them stands
   * behind a record of IMA that is not covered.
   */
  reachOthers(): void {
    const { cursor } = this
    const registers = this.#registers
    // From here on the registers of these records are asked about, also those of which no record came before.
    for (const pcr of cursor.pcrsUpTo(registers.pcr)) registers.of(pcr)
    while (registers.strayRegister !== null && cursor.nextPcr !== registers.pcr && this.next()) {
      this.extendRegisters()
      this.#judge()
    }
  }

  #judge(): void {
    const { cursor } = this
    const { judge } = this.#inputs
    if (judge === null) return
    const isQuoted = this.#registers.isQuoted(cursor.pcr)
    judge.judge(cursor, this.#number, this.isViolation, isQuoted, this.#sha256Words)
  }

  #hash(): void {
    if (this.isViolation || this.#hashes.length === 0) return
    for (let at = 0; at < this.#hashes.length; at++) {
      const name = this.#hashes[at]
      if (name !== undefined) this.#digests[at] = digestText(name, this.#hashed)
    }
    const sha256 = this.#digests[this.#sha256At]
    if (sha256 !== undefined) writeLatin1(this.#sha256, sha256, 0)
  }

  #extendOne(register: ImaRegister): void {
    if (this.isViolation) register.extendViolation()
    else if (register.templateHash === this.#column) register.extend(this.#columnDigest)
    else if (register.templateHash === 'sha256') register.extend(this.#sha256)
    else register.extend(this.#digests[this.#hashes.indexOf(register.templateHash)] ?? '')
  }
}
