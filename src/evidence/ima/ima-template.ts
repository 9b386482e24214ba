import { isFilledWith, toLatin1 } from '../../base/bytes.ts'
import { Reader } from '../../base/layout-cursor.ts'
import { escapedName } from './escaped-name.ts'
import { type KernelHash, kernelHashOf } from './kernel-hashes.ts'

/** A digest in template data. */
export interface ImaDigest {
  /** What was hashed: the content of the file, or its fs-verity descriptor. */
  readonly of: 'ima' | 'verity'
  readonly algorithm: KernelHash
  /** As long as the algorithm's digests; in a record of a violation it may be 20 zero bytes instead (IMA-05). */
  readonly digest: Uint8Array
}

/**
 * Fields of a record. Null: the template has no such field, or the kernel left it empty because the event has no file.
 * All byte fields are views of the template data.
 */
export interface ImaFields {
  /** `d-ngv2`, `d-ng` or `d`. */
  readonly digest: ImaDigest | null
  /** `n-ng` or `n`, without the NUL behind it. Bytes that the guest chose: show them by `escapedName` only. */
  readonly name: Uint8Array | null
  /** `sig`: empty for a file without signature. */
  readonly signature: Uint8Array | null
  /** `buf`. */
  readonly buffer: Uint8Array | null
  /** `d-modsig`: digest of the file without the signature that is appended to it. */
  readonly modsigDigest: ImaDigest | null
  /** `modsig`: PKCS #7, empty for a file without one. */
  readonly modsig: Uint8Array | null
  readonly evmSignature: Uint8Array | null
  readonly xattrNames: Uint8Array | null
  readonly xattrLengths: readonly number[] | null
  readonly xattrValues: Uint8Array | null
  readonly uid: number | null
  readonly gid: number | null
  readonly mode: number | null
}

/** `problem` says in one sentence why a template cannot be read (IMA-07); it then has no fields. */
export type ImaTemplateReading =
  | { readonly fields: ImaFields; readonly problem: null }
  | { readonly fields: null; readonly problem: string }

const noFields: ImaFields = {
  digest: null,
  name: null,
  signature: null,
  buffer: null,
  modsigDigest: null,
  modsig: null,
  evmSignature: null,
  xattrNames: null,
  xattrLengths: null,
  xattrValues: null,
  uid: null,
  gid: null,
  mode: null,
}

type MutableFields = { -readonly [Name in keyof ImaFields]: ImaFields[Name] }

/** Reads the `size` bytes of one field, to the last of them, into `fields`. */
type FieldReader = (reader: Reader, size: number, fields: MutableFields, violation: boolean) => void

const legacyDigestSize = 20
const legacyNameSize = 256

/** IMA-05: old kernels write 20 zero bytes whatever algorithm they name. */
const isOldViolation = (digest: Uint8Array) => digest.length === legacyDigestSize && isFilledWith(digest, 0)

/** `alg:` NUL and the digest. */
function digestField(reader: Reader, size: number, of: ImaDigest['of'], violation: boolean): ImaDigest {
  const start = reader.offset
  const field = reader.bytes(size)
  const end = field.indexOf(0)
  if (field[end - 1] !== 0x3a) throw reader.malformed('does not begin with the name of an algorithm', start)
  const algorithm = kernelHashOf(toLatin1(field.subarray(0, end - 1)))
  if (algorithm === undefined) throw reader.malformed('names a hash algorithm that is not known', start)
  const digest = field.subarray(end + 1)
  if (digest.length !== algorithm.size && !(violation && isOldViolation(digest))) {
    throw reader.malformed(`a ${algorithm.name} digest of ${digest.length} bytes`, start)
  }
  return { of, algorithm: algorithm.name, digest }
}

const kinds = ['ima', 'verity'] as const

/** `ima:` or `verity:`, then as `d-ng`. */
function typedDigestField(reader: Reader, size: number, violation: boolean): ImaDigest {
  const start = reader.offset
  const text = toLatin1(reader.bytes(Math.min(size, 8)))
  const of = kinds.find((kind) => text.startsWith(`${kind}:`))
  if (of === undefined) throw reader.malformed('is a digest neither of a file nor of fs-verity', start)
  reader.offset = start + of.length + 1
  return digestField(reader, size - of.length - 1, of, violation)
}

/** A name ends in its only NUL: what stands behind an earlier one would be hidden from every reader of the name. */
function nameField(reader: Reader, size: number): Uint8Array {
  const start = reader.offset
  const field = reader.bytes(size)
  if (size === 0 || field.indexOf(0) !== size - 1) throw reader.malformed('does not end in its only NUL', start)
  return field.subarray(0, size - 1)
}

/** The kernel leaves numbers of an inode out where an event has none. */
function numberField(reader: Reader, size: number, bytes: 2 | 4): number | null {
  if (size === 0) return null
  if (size !== bytes) throw reader.malformed(`${size} bytes; must be ${bytes} or none`)
  return reader.integer(bytes, true)
}

function lengthsField(reader: Reader, size: number): number[] {
  if (size % 4 !== 0) throw reader.malformed(`${size} bytes; must be a multiple of 4`)
  return Array.from({ length: size / 4 }, () => reader.integer(4, true))
}

function plainDigestField(reader: Reader, size: number): ImaDigest {
  const algorithm = size === 16 ? 'md5' : 'sha1'
  if (size !== 16 && size !== legacyDigestSize) throw reader.malformed(`a digest of ${size} bytes`)
  return { of: 'ima', algorithm, digest: reader.bytes(size) }
}

const fieldReaders = {
  d: (reader, size, fields) => {
    fields.digest = plainDigestField(reader, size)
  },
  'd-ng': (reader, size, fields, violation) => {
    fields.digest = digestField(reader, size, 'ima', violation)
  },
  'd-ngv2': (reader, size, fields, violation) => {
    fields.digest = typedDigestField(reader, size, violation)
  },
  n: (reader, size, fields) => {
    if (size > legacyNameSize) throw reader.malformed(`a name of ${size} bytes`)
    fields.name = nameField(reader, size)
  },
  'n-ng': (reader, size, fields) => {
    fields.name = nameField(reader, size)
  },
  sig: (reader, size, fields) => {
    fields.signature = reader.bytes(size)
  },
  buf: (reader, size, fields) => {
    fields.buffer = reader.bytes(size)
  },
  'd-modsig': (reader, size, fields, violation) => {
    fields.modsigDigest = size === 0 ? null : digestField(reader, size, 'ima', violation)
  },
  modsig: (reader, size, fields) => {
    fields.modsig = reader.bytes(size)
  },
  evmsig: (reader, size, fields) => {
    fields.evmSignature = reader.bytes(size)
  },
  xattrnames: (reader, size, fields) => {
    fields.xattrNames = reader.bytes(size)
  },
  xattrlengths: (reader, size, fields) => {
    fields.xattrLengths = lengthsField(reader, size)
  },
  xattrvalues: (reader, size, fields) => {
    fields.xattrValues = reader.bytes(size)
  },
  iuid: (reader, size, fields) => {
    fields.uid = numberField(reader, size, 4)
  },
  igid: (reader, size, fields) => {
    fields.gid = numberField(reader, size, 4)
  },
  imode: (reader, size, fields) => {
    fields.mode = numberField(reader, size, 2)
  },
} as const satisfies Record<string, FieldReader>

export type ImaFieldId = keyof typeof fieldReaders

const templates: ReadonlyMap<string, readonly ImaFieldId[]> = new Map([
  ['ima', ['d', 'n']],
  ['ima-ng', ['d-ng', 'n-ng']],
  ['ima-ngv2', ['d-ngv2', 'n-ng']],
  ['ima-sig', ['d-ng', 'n-ng', 'sig']],
  ['ima-sigv2', ['d-ngv2', 'n-ng', 'sig']],
  ['ima-buf', ['d-ng', 'n-ng', 'buf']],
  ['ima-modsig', ['d-ng', 'n-ng', 'sig', 'd-modsig', 'modsig']],
  ['evm-sig', ['d-ng', 'n-ng', 'evmsig', 'xattrnames', 'xattrlengths', 'xattrvalues', 'iuid', 'igid', 'imode']],
])

const isFieldId = (text: string): text is ImaFieldId => Object.hasOwn(fieldReaders, text)

/**
 * Where the fields stand by which a record is judged, in every template of the kernel's own. A record under the name of
 * another template keeps them there, so that no attribute of a file, whose bytes the guest chooses, is read as its digest
 * or as its name, nor its attributes as a buffer that was measured.
 */
function isInPlace(targets: readonly string[]): boolean {
  const [digest, name, buffer] = ['d', 'n', 'buf'].map((target) => targets.indexOf(target))
  const isBuffer = buffer === 2 && targets.length === 3
  return (digest === -1 || digest === 0) && (name === -1 || name === 1) && (buffer === -1 || isBuffer)
}

/**
 * The fields of a template: of one of the kernel's own, or the identifiers in a custom name (`d-ng|n-ng|imode`). Null
 * for a name that is neither, for one that would give a field two values, and for one that has a digest elsewhere than
 * first, a name elsewhere than second, or a buffer elsewhere than third and last.
 */
export function imaFieldIds(template: string): readonly ImaFieldId[] | null {
  const known = templates.get(template)
  if (known) return known
  const ids = template.split('|')
  if (!ids.every(isFieldId)) return null
  const targets = ids.map((id) => (id.startsWith('d-ng') ? 'd' : id === 'n-ng' ? 'n' : id))
  return new Set(targets).size === ids.length && isInPlace(targets) ? ids : null
}

/** The legacy template in the log: digest (20), name length u32, name without a NUL. */
function readLegacyFields(reader: Reader): ImaFields {
  const digest = reader.field('d', () => plainDigestField(reader, legacyDigestSize))
  const name = reader.field('n', () => {
    const bytes = reader.bytes(reader.integer(4, true))
    if (bytes.includes(0)) throw reader.malformed('has a NUL')
    return bytes
  })
  reader.requireEnd()
  return { ...noFields, digest, name }
}

function readFields(reader: Reader, ids: readonly ImaFieldId[], violation: boolean): ImaFields {
  const fields: MutableFields = { ...noFields }
  for (const id of ids) {
    reader.field(id, () => {
      const size = reader.integer(4, true)
      reader.require(size)
      fieldReaders[id](reader, size, fields, violation)
    })
  }
  reader.requireEnd()
  return fields
}

/** What of a record its template data is read by: see `ImaRecord`. */
export interface ImaTemplateData {
  readonly template: string
  readonly data: Uint8Array
}

export interface ImaTemplateOptions {
  /**
   * The record is of a violation: its digest may be 20 zero bytes under any algorithm. No digest covers the data of such
   * a record (IMA-05).
   */
  readonly violation?: boolean
  /** Begins the path of errors: `ima.records.7`. */
  readonly path?: string
}

/**
 * Reads the template data of a record to its last byte (IMA-07, tpm.md section 8): number of fields, digests as long as
 * the algorithm that they name, names that end in their only NUL. A template that is not known gives no fields and a
 * `problem`; data that does not have the form of its template throws `MalformedError` with the offset in the data. The
 * name of the template is covered by no digest: a record without the digest or the name that a rule needs must not pass it.
 */
export function parseImaTemplate(record: ImaTemplateData, options: ImaTemplateOptions = {}): ImaTemplateReading {
  const { template, data } = record
  const { violation = false, path = 'ima' } = options
  const reader = new Reader(data, path)
  if (template === 'ima') return { fields: readLegacyFields(reader), problem: null }
  const ids = imaFieldIds(template)
  if (ids === null) {
    const shown = escapedName(Buffer.from(template.slice(0, 64), 'latin1'))
    return { fields: null, problem: `template ${shown} is not known` }
  }
  return { fields: readFields(reader, ids, violation), problem: null }
}
