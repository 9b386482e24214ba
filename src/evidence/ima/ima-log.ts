import type { HashName } from '../tpm/algorithms.ts'
import { ImaCursor } from './ima-cursor.ts'

/** One record of the kernel's measurement list. All byte fields are views of the log. */
export interface ImaRecord {
  /** Position in this part of the log, from 0. */
  readonly index: number
  readonly pcr: number
  /** The template-hash column: redundant data, never an input to a replay (IMA-03). */
  readonly column: Uint8Array
  readonly template: string
  /** What the template hash is computed over: the template data, or the padded form of the legacy template. */
  readonly hashed: Uint8Array
  /** Template data as in the log; for the legacy template the digest and the length-prefixed name. */
  readonly data: Uint8Array
}

export interface ImaLogLimits {
  readonly maxRecords?: number
}

/** Records of one log, or of one part of it. */
export const maximumImaRecords = 4_000_000

function recordAt(cursor: ImaCursor): ImaRecord {
  const { bytes, index, pcr, template, columnAt, columnSize, dataAt, end } = cursor
  const data = bytes.subarray(dataAt, end)
  const hashed = template === 'ima' ? Uint8Array.from(cursor.hashed()) : data
  return { index, pcr, column: bytes.subarray(columnAt, columnAt + columnSize), template, hashed, data }
}

/**
 * Reads a binary IMA log record by record; for many records at speed, `ImaCursor` makes no object for each. Every length
 * is checked against the rest before use; a cut record throws `MalformedError` with its index and byte offset (IMA-01).
 * Nothing is verified.
 */
export function* readImaLog(
  bytes: Uint8Array,
  column: HashName,
  limits: ImaLogLimits = {},
): Generator<ImaRecord, void> {
  const cursor = new ImaCursor(bytes, column, limits.maxRecords ?? maximumImaRecords)
  while (cursor.next()) yield recordAt(cursor)
}

/** All records of a log, for readers that want them at once. */
export function parseImaLog(bytes: Uint8Array, column: HashName = 'sha1', limits: ImaLogLimits = {}): ImaRecord[] {
  return [...readImaLog(bytes, column, limits)]
}
