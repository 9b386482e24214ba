import { equalsLatin1, toLatin1 } from '../../base/bytes.ts'
import { Reader } from '../../base/layout-cursor.ts'
import { type HashName, hashAlgorithms } from '../tpm/algorithms.ts'

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

const maximumTemplateName = 255
const maximumLegacyName = 255
const legacyDigest = 20
const legacyHashed = 256

/** The legacy template `ima` has no data length: digest (20), name length, name; it is hashed padded to 256. */
function readLegacy(reader: Reader): { hashed: Uint8Array; data: Uint8Array } {
  const start = reader.offset
  const digest = reader.bytes(legacyDigest)
  const length = reader.integer(4, true)
  if (length > maximumLegacyName) throw reader.malformed(`file name of ${length} bytes`)
  const name = reader.bytes(length)
  const hashed = new Uint8Array(legacyDigest + legacyHashed)
  hashed.set(digest)
  hashed.set(name, legacyDigest)
  return { hashed, data: reader.since(start) }
}

/** `last`: the name of the record before, which is nearly always the same and then not made again. */
function readTemplateName(reader: Reader, last: string): string {
  const length = reader.integer(4, true)
  if (length === 0 || length > maximumTemplateName) throw reader.malformed(`template name of ${length} bytes`)
  const name = reader.bytes(length)
  return equalsLatin1(name, last) ? last : toLatin1(name)
}

function readRecord(reader: Reader, columnSize: number, before: Pick<ImaRecord, 'index' | 'template'>): ImaRecord {
  const index = before.index + 1
  const pcr = reader.integer(4, true)
  const column = reader.bytes(columnSize)
  const template = readTemplateName(reader, before.template)
  if (template === 'ima') return { index, pcr, column, template, ...readLegacy(reader) }
  const data = reader.bytes(reader.integer(4, true))
  return { index, pcr, column, template, hashed: data, data }
}

/**
 * Reads a binary IMA log record by record (Linux documentation, IMA templates): pcr u32, column digest, template
 * name, template data; little endian. Every length is checked against the rest before use; a cut record throws
 * `MalformedError` with its index and byte offset (IMA-01). Nothing is verified.
 */
export function* readImaLog(
  bytes: Uint8Array,
  column: HashName,
  limits: ImaLogLimits = {},
): Generator<ImaRecord, void> {
  const { maxRecords = 4_000_000 } = limits
  const columnSize = hashAlgorithms[column].size
  let last: Pick<ImaRecord, 'index' | 'template'> = { index: -1, template: '' }
  const reader = new Reader(bytes, () => `ima.records.${last.index + 1}`)
  while (reader.remaining > 0) {
    if (last.index + 1 >= maxRecords) throw reader.malformed(`more than ${maxRecords} records`)
    const record = readRecord(reader, columnSize, last)
    last = record
    yield record
  }
}

/** All records of a log, for readers that want them at once. */
export function parseImaLog(bytes: Uint8Array, column: HashName = 'sha1', limits: ImaLogLimits = {}): ImaRecord[] {
  return [...readImaLog(bytes, column, limits)]
}
