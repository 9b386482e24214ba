import { MalformedError } from '../base/errors.ts'

/** Where whole records end, and how many there are. */
export interface WholeRecords {
  /** Bytes. */
  readonly end: number
  readonly records: number
}

export interface RecordShape {
  /** Bytes of the template-hash column. */
  readonly columnSize: number
  /** The first of these records, counted since boot: errors name records as everybody else counts them. */
  readonly from: number
}

const longestTemplateName = 255
const longestLegacyName = 255
const legacyDigest = 20
/** The kernel measures certificates, command lines and tables; a policy of SELinux has some megabytes. */
const longestData = 16 << 20

/** `ima`, little endian and without its length: the one template without a length of its data. */
const isLegacy = (view: DataView, at: number, size: number) =>
  size === 3 && view.getUint8(at) === 0x69 && view.getUint8(at + 1) === 0x6d && view.getUint8(at + 2) === 0x61

function requireAtMost(size: number, most: number, what: string, place: () => string): number {
  if (size <= most) return size
  throw new MalformedError({ path: place() }, `${what} of ${size} bytes`)
}

/** Where the record at `at` ends; -1 where the bytes end before that can be said. */
function endOfRecord(view: DataView, at: number, columnSize: number, place: () => string): number {
  const name = at + 4 + columnSize + 4
  if (name > view.byteLength) return -1
  const nameSize = requireAtMost(view.getUint32(name - 4, true), longestTemplateName, 'template name', place)
  if (nameSize === 0) throw new MalformedError({ path: place() }, 'template name of 0 bytes')
  if (name + nameSize > view.byteLength) return -1
  const legacy = isLegacy(view, name, nameSize)
  const data = name + nameSize + (legacy ? legacyDigest : 0) + 4
  if (data > view.byteLength) return -1
  const [most, what] = legacy ? [longestLegacyName, 'file name'] : [longestData, 'template data']
  return data + requireAtMost(view.getUint32(data - 4, true), most, what, place)
}

/**
 * Walks over the records of a binary IMA log by their lengths alone (tpm.md section 8), for readers that must know
 * where records end and not what is in them: at most `most` records, and none that the bytes do not hold to its end.
 * Throws `MalformedError` for lengths that no record has.
 */
export function wholeRecords(bytes: Uint8Array, { columnSize, from }: RecordShape, most = Infinity): WholeRecords {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let [end, records] = [0, 0]
  const place = () => `ima.records.${from + records}`
  while (records < most && end < bytes.length) {
    const next = endOfRecord(view, end, columnSize, place)
    if (next < 0 || next > bytes.length) break
    end = next
    records++
  }
  return { end, records }
}
