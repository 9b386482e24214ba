import { hash } from 'node:crypto'
import { equalsLatin1, isFilledWith, toBase64, toHex, toLatin1 } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { escapedName, shownName } from '../../evidence/ima/escaped-name.ts'
import type { ImaRecord } from '../../evidence/ima/ima-log.ts'
import { keyIdText, parseImaSignature } from '../../evidence/ima/ima-signature.ts'
import { type ImaDigest, type ImaFields, parseImaTemplate } from '../../evidence/ima/ima-template.ts'
import { digestText, type HashName } from '../../evidence/tpm/algorithms.ts'
import type { KeyReference } from '../../reference-values/reference-values.ts'
import type { ImaKeyRing } from '../../verifier/ima/ima-key-ring.ts'
import { type ImaSignatureVerdict, judgeImaSignature } from '../../verifier/ima/ima-signatures.ts'
import { heading, type InspectedField, shownValue } from './inspection.ts'

/** IMA-05: the column of a violation is all zero. */
export const isViolation = ({ column }: ImaRecord): boolean => isFilledWith(column, 0)

/** The fields of a record, or one sentence that says why it has none. */
export type ReadRecord = { readonly fields: ImaFields } | { readonly fields: null; readonly problem: string }

export function readRecord(record: ImaRecord): ReadRecord {
  try {
    const { fields, problem } = parseImaTemplate(record, { violation: isViolation(record), path: 'data' })
    return fields === null ? { fields, problem } : { fields }
  } catch (error) {
    if (error instanceof MalformedError) return { fields: null, problem: error.message }
    throw error
  }
}

/** True where the column is not the hash of what was measured (IMA-04). */
export function hasWrongColumn(record: ImaRecord, column: HashName): boolean {
  return !isViolation(record) && !equalsLatin1(record.column, digestText(column, record.hashed))
}

/** A key as the log shows it; a list of these makes a ring of keys that nobody vouches for. */
export function shownKey(record: ImaRecord): KeyReference | null {
  if (!record.template.includes('buf') || isViolation(record)) return null
  const { fields } = readRecord(record)
  if (fields?.name == null || fields.buffer === null) return null
  const { name, buffer } = fields
  return { keyring: toLatin1(name), sha256: hash('sha256', buffer, 'hex'), der: toBase64(buffer) }
}

const shownDigest = ({ of, algorithm, digest }: ImaDigest) =>
  `${of === 'verity' ? 'verity:' : ''}${algorithm}:${toHex(digest)}`

/** What the keys in the log itself say of a signature: the log is unverified, and so are they. */
const fits: Readonly<Record<ImaSignatureVerdict, string>> = {
  valid: 'by a key in this log',
  invalid: 'NOT by the key in this log',
  'unknown-key': 'by a key that is not in this log',
  'not-verifiable': 'not verifiable from the log',
  absent: '',
}

function shownSignature(fields: ImaFields, ring: ImaKeyRing): string {
  const { signature } = fields
  if (signature === null || signature.length === 0) return ''
  const verdict = fits[judgeImaSignature(fields, ring)]
  try {
    const parsed = parseImaSignature(signature)
    if (parsed.kind === 'other') return `signature of type ${parsed.type} version ${parsed.version}`
    return `signature ${parsed.kind} ${parsed.hash ?? 'of an unknown hash'} key ${keyIdText(parsed.keyId)} ${verdict}`
  } catch (error) {
    if (error instanceof MalformedError) return `signature MALFORMED: ${error.message}`
    throw error
  }
}

function marks({ buffer, modsig, evmSignature }: ImaFields): string[] {
  const sized = (name: string, bytes: Uint8Array | null) =>
    bytes === null || bytes.length === 0 ? [] : [`${name} of ${bytes.length} bytes`]
  return [...sized('buffer', buffer), ...sized('appended signature', modsig), ...sized('EVM signature', evmSignature)]
}

/** Of a violation no signature is judged: no digest covers its fields (IMA-05). */
function readable(read: ReadRecord, ring: ImaKeyRing | null): string[] {
  if (read.fields === null) return [`UNREADABLE: ${read.problem}`]
  const { fields } = read
  return [
    fields.digest === null ? '(no digest)' : shownDigest(fields.digest),
    fields.name === null ? '(no name)' : shownName(fields.name),
    ...marks(fields),
    ring === null ? '' : shownSignature(fields, ring),
  ]
}

/** Contents in full detail, as far as they are not in the line of the record. */
function details(record: ImaRecord, column: HashName, { fields }: ReadRecord): InspectedField[] {
  const sized = (name: string, bytes: Uint8Array | null | undefined) =>
    bytes == null || bytes.length === 0 ? [] : [heading(name, 1, shownValue(bytes))]
  const inode = [fields?.uid, fields?.gid, fields?.mode].some((value) => value != null)
  return [
    heading(column, 1, toHex(record.column)),
    ...(fields === null ? sized('data', record.data) : []),
    ...sized('buffer', fields?.buffer),
    ...sized('signature', fields?.signature),
    ...sized('modsig', fields?.modsig),
    ...sized('evmsig', fields?.evmSignature),
    ...(inode
      ? [heading('inode', 1, `uid ${fields?.uid}  gid ${fields?.gid}  mode ${fields?.mode?.toString(8)}`)]
      : []),
  ]
}

/** A record begins with its register, before its column. */
const pcrSize = 4

export interface RecordView {
  readonly column: HashName
  /** Keys that the log shows. */
  readonly ring: ImaKeyRing
  /** With the content of fields. */
  readonly whole: boolean
  /** Number of the first record in the log. */
  readonly from: number
  /** Where the log begins in its buffer: offsets count from there. */
  readonly start: number
}

/** One record as one line: register, template, digest, name, signature; what is wrong with it in capitals. */
export function recordFields(record: ImaRecord, view: RecordView): InspectedField[] {
  const read = readRecord(record)
  const template = escapedName(Buffer.from(record.template, 'latin1'))
  const parts = [
    `PCR ${record.pcr}`,
    template,
    ...(isViolation(record) ? ['VIOLATION'] : []),
    ...(hasWrongColumn(record, view.column) ? ['WRONG TEMPLATE HASH'] : []),
    ...readable(read, isViolation(record) ? null : view.ring),
  ]
  const offset = record.column.byteOffset - pcrSize - view.start
  const line = heading(`record ${view.from + record.index}`, 0, parts.filter((part) => part !== '').join('  '), offset)
  return view.whole ? [line, ...details(record, view.column, read)] : [line]
}
