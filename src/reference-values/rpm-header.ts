import { toLatin1 } from '../base/bytes.ts'
import { Reader } from '../base/layout-cursor.ts'
import { digestSet, parseDigest, type ReferenceAlgorithm } from './digest-set.ts'
import type { PackagedFile } from './package-file.ts'

const leadMagic = 0xedabeedb
const leadSize = 96
const headerMagic = 0x8eade801
const preambleSize = 16
const entrySize = 16
/** rpm itself takes no header with more (its `HEADER_TAGS_MAX` and `HEADER_DATA_MAX`). */
const limits = { entries: 65_535, data: 256 << 20, files: 4_000_000 }

/** Tags and types of header entries that are read here. */
const tags = {
  fileModes: 1030,
  fileDigests: 1035,
  fileFlags: 1037,
  dirIndexes: 1116,
  baseNames: 1117,
  dirNames: 1118,
  digestAlgorithm: 5011,
} as const
const types = { int16: 3, int32: 4, stringArray: 8 } as const

/** By the numbers of RFC 4880; where a package names none it is MD5, which no reference value can be. */
const algorithms: ReadonlyMap<number, ReferenceAlgorithm | 'md5'> = new Map([
  [1, 'md5'],
  [2, 'sha1'],
  [8, 'sha256'],
  [9, 'sha384'],
  [10, 'sha512'],
  [11, 'sha224'],
])
const md5 = 1

const ghost = 1 << 6
const modeKind = 0o170000
const modeRegular = 0o100000

interface Entry {
  readonly type: number
  readonly offset: number
  readonly count: number
}

/** Entries and data of one header, behind its 16-byte preamble. */
interface Header {
  readonly entries: ReadonlyMap<number, Entry>
  readonly data: Uint8Array
}

/** Sizes in the preamble of a header: magic, reserved, entries u32, bytes of data u32; big endian. */
export function parseRpmPreamble(bytes: Uint8Array): { readonly entries: number; readonly data: number } {
  const reader = new Reader(bytes, 'rpm.header')
  if (reader.integer(4, false) !== headerMagic) throw reader.malformed('does not begin as a header of version 1', 0)
  reader.skip(4)
  const entries = reader.integer(4, false)
  if (entries > limits.entries) throw reader.malformed(`${entries} entries; rpm takes ${limits.entries}`)
  const data = reader.integer(4, false)
  if (data > limits.data) throw reader.malformed(`${data} bytes of data; rpm takes ${limits.data}`)
  return { entries, data }
}

/** Whole length in bytes of the header that begins with this preamble; that of signatures is padded to 8 bytes. */
export function rpmHeaderSize(preamble: Uint8Array, padded: boolean): number {
  const { entries, data } = parseRpmPreamble(preamble)
  const size = preambleSize + entrySize * entries + data
  return padded ? Math.ceil(size / 8) * 8 : size
}

/** The first 96 bytes of a package; all else in them is obsolete. */
export function requireRpmLead(bytes: Uint8Array): void {
  const reader = new Reader(bytes, 'rpm.lead')
  if (reader.integer(4, false) !== leadMagic) throw reader.malformed('is not that of an RPM package', 0)
  const major = reader.integer(1, false)
  if (major !== 3 && major !== 4) throw reader.malformed(`format version ${major}`, 4)
  reader.skip(leadSize - 5)
}

export const rpmSizes = { lead: leadSize, preamble: preambleSize } as const

function parseHeader(bytes: Uint8Array): Header {
  const sizes = parseRpmPreamble(bytes)
  const reader = new Reader(bytes, 'rpm.header')
  reader.skip(preambleSize)
  const entries = new Map<number, Entry>()
  for (let index = 0; index < sizes.entries; index++) {
    const at = reader.offset
    const [tag = 0, type = 0, offset = 0, count = 0] = Array.from({ length: 4 }, () => reader.integer(4, false))
    if (offset > sizes.data || count > sizes.data) throw reader.malformed(`entry ${index} lies outside of the data`, at)
    if (entries.has(tag)) throw reader.malformed(`tag ${tag} is there twice`, at)
    entries.set(tag, { type, offset, count })
  }
  const data = reader.bytes(sizes.data)
  reader.requireEnd()
  return { entries, data }
}

function entryOf({ entries }: Header, tag: number, type: number): Entry | null {
  const entry = entries.get(tag)
  if (entry === undefined) return null
  if (entry.count > limits.files) {
    throw new Reader(new Uint8Array(), `rpm.tag${tag}`).malformed(`${entry.count} values; ${limits.files} are taken`)
  }
  if (entry.type === type) return entry
  throw new Reader(new Uint8Array(), `rpm.tag${tag}`).malformed(`has type ${entry.type}, must have ${type}`)
}

function readerAt({ data }: Header, tag: number, offset: number): Reader {
  const reader = new Reader(data, `rpm.tag${tag}`)
  reader.skip(offset)
  return reader
}

function integers(header: Header, tag: number, size: 2 | 4): number[] {
  const entry = entryOf(header, tag, size === 2 ? types.int16 : types.int32)
  if (entry === null) return []
  const reader = readerAt(header, tag, entry.offset)
  reader.require(size * entry.count)
  return Array.from({ length: entry.count }, () => reader.integer(size, false))
}

function strings(header: Header, tag: number): string[] {
  const entry = entryOf(header, tag, types.stringArray)
  if (entry === null) return []
  const reader = readerAt(header, tag, entry.offset)
  reader.require(entry.count)
  return Array.from({ length: entry.count }, () => {
    const end = header.data.indexOf(0, reader.offset)
    if (end < 0) throw reader.malformed('a text without its end')
    const text = toLatin1(reader.bytes(end - reader.offset))
    reader.skip(1)
    return text
  })
}

interface FileColumns {
  readonly names: readonly string[]
  readonly folders: readonly string[]
  readonly places: readonly number[]
  readonly modes: readonly number[]
  readonly flags: readonly number[]
  readonly digests: readonly string[]
}

function columnsOf(header: Header): FileColumns {
  const columns = {
    names: strings(header, tags.baseNames),
    folders: strings(header, tags.dirNames),
    places: integers(header, tags.dirIndexes, 4),
    modes: integers(header, tags.fileModes, 2),
    flags: integers(header, tags.fileFlags, 4),
    digests: strings(header, tags.fileDigests),
  }
  const count = columns.names.length
  const { folders: _, ...each } = columns
  const uneven = Object.entries(each).find(([, values]) => values.length !== count)
  const reader = new Reader(new Uint8Array(), 'rpm.files')
  if (uneven !== undefined) throw reader.malformed(`${count} names and ${uneven[1].length} ${uneven[0]}`)
  return columns
}

function pathOf({ names, folders, places }: FileColumns, index: number): string {
  const folder = folders[places[index] ?? -1]
  const name = names[index] ?? ''
  if (folder?.startsWith('/') && folder.endsWith('/') && name !== '' && !name.includes('/')) return `${folder}${name}`
  throw new Reader(new Uint8Array(), `rpm.files.${index}`).malformed('has no absolute path')
}

function digestsAt(algorithm: ReferenceAlgorithm | 'md5', hex: string, index: number): string {
  if (algorithm === 'md5') return digestSet([])
  return parseDigest(algorithm, hex, `rpm.files.${index}.digest`)
}

/**
 * The regular files of a package, from its main header: the preamble, entries and data to their last byte. Left out are
 * links, devices, folders and ghosts, which the package names but does not bring. The digests are those that the
 * package declares: its signature is not checked here (`rpmkeys --checksig`), nor whether its content has them.
 * Throws `MalformedError`.
 */
export function parseRpmFiles(bytes: Uint8Array): PackagedFile[] {
  const header = parseHeader(bytes)
  const columns = columnsOf(header)
  const [number = md5] = integers(header, tags.digestAlgorithm, 4)
  const algorithm = algorithms.get(number)
  if (algorithm === undefined) {
    throw new Reader(new Uint8Array(), 'rpm.digestAlgorithm').malformed(`number ${number} is not known`)
  }
  return columns.names.flatMap((_name, index) => {
    const mode = columns.modes[index] ?? 0
    const path = pathOf(columns, index)
    if ((mode & modeKind) !== modeRegular || (columns.flags[index] ?? 0) & ghost) return []
    const digests = digestsAt(algorithm, columns.digests[index] ?? '', index)
    return [{ path, digests, executable: (mode & 0o111) !== 0 }]
  })
}

/** True for the bytes of a package, by its first four. */
export function isRpmPackage(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && new Reader(bytes, 'rpm').integer(4, false) === leadMagic
}
