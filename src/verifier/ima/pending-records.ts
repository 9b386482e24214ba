import { createHash } from 'node:crypto'
import { equalBytes } from '../../base/bytes.ts'
import type { ImaCursor } from '../../evidence/ima/ima-cursor.ts'
import type { ImaPending } from './checkpoint.ts'

const violation = Uint8Array.of(1)
const noViolation = Uint8Array.of(0)

/**
 * SHA-256 over records that no quote covers yet. The column is left out, but for whether it says "violation": a log may
 * be read with another column the next time, and the name of a column, which nothing covers, must decide nothing
 * (EVD-07).
 */
export class PendingDigest {
  #hash = createHash('sha256')
  #records = 0

  add({ bytes, start, columnAt, columnSize, end }: ImaCursor, isViolation: boolean): void {
    this.#records++
    this.#hash.update(bytes.subarray(start, columnAt))
    this.#hash.update(isViolation ? violation : noViolation)
    this.#hash.update(bytes.subarray(columnAt + columnSize, end))
  }

  /** Null for no records. */
  finish(): ImaPending | null {
    const records = this.#records
    return records === 0 ? null : { records, sha256: new Uint8Array(this.#hash.digest()) }
  }
}

/** Compares the records that were pending with those that now stand in their place (IMA-09). */
export class PendingComparison {
  #expected: ImaPending
  /** Number of the first of them since the boot. */
  #first: number
  #digest = new PendingDigest()
  /** Number of the record behind the last of them. */
  readonly end: number

  constructor(expected: ImaPending, first: number) {
    this.#expected = expected
    this.#first = first
    this.end = first + expected.records
  }

  see(number: number, cursor: ImaCursor, isViolation: boolean): void {
    if (number >= this.#first && number < this.end) this.#digest.add(cursor, isViolation)
  }

  /** Null if they are the same. */
  problem(): string | null {
    const found = this.#digest.finish()
    const { records, sha256 } = this.#expected
    if (found?.records !== records) return `${records} records were pending, ${found?.records ?? 0} of them are there`
    return equalBytes(found.sha256, sha256) ? null : `the ${records} records that were pending are others now`
  }
}
