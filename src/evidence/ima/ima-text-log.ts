import { concatBytes, equalBytes, isFilledWith, parseText, toLatin1 } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { encode, sizedBytes, u16le, u32le } from '../../base/layout.ts'
import { digestOf, type HashName, hashAlgorithms, hashNames } from '../tpm/algorithms.ts'
import type { ImaLogLimits, ImaRecord } from './ima-log.ts'
import { type ImaFieldId, imaFieldIds } from './ima-template.ts'

const latin1Bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'))
const hexBytes = (text: string, path: string) => parseText(text, 'hex', path)

/** `sha256:hex` or, with the kind before it, `verity:sha256:hex`. */
function digestBytes(text: string, path: string): Uint8Array {
  const end = text.lastIndexOf(':') + 1
  return concatBytes(latin1Bytes(`${text.slice(0, end)}\0`), hexBytes(text.slice(end), path))
}

const nameBytes = (text: string) => latin1Bytes(`${text}\0`)

function numberBytes(text: string, bytes: 2 | 4, path: string): Uint8Array {
  if (text === '') return new Uint8Array()
  const value = Number(text)
  if (!/^(?:0|[1-9]\d{0,9})$/.test(text) || value >= 2 ** (8 * bytes)) {
    throw new MalformedError({ path }, `is not a number of ${bytes} bytes`)
  }
  return encode(bytes === 2 ? u16le : u32le, value)
}

/** Bytes of a field from the text that the kernel shows of it. Fields whose text does not give their bytes are not here. */
const fieldBytes: Readonly<Partial<Record<ImaFieldId, (text: string, path: string) => Uint8Array>>> = {
  d: hexBytes,
  'd-ng': digestBytes,
  'd-ngv2': digestBytes,
  n: nameBytes,
  'n-ng': nameBytes,
  sig: hexBytes,
  buf: hexBytes,
  'd-modsig': (text, path) => (text === '' ? new Uint8Array() : digestBytes(text, path)),
  modsig: hexBytes,
  evmsig: hexBytes,
  iuid: (text, path) => numberBytes(text, 4, path),
  igid: (text, path) => numberBytes(text, 4, path),
  imode: (text, path) => numberBytes(text, 2, path),
}

type RecordBytes = Pick<ImaRecord, 'hashed' | 'data'>

const legacyNameSize = 256

/** The legacy template, hashed with its name padded. */
function legacyBytes(digestText: string, nameText: string, path: string): RecordBytes {
  const digest = hexBytes(digestText, path)
  const name = latin1Bytes(nameText)
  const sizes = { digest: hashAlgorithms.sha1.size, name: legacyNameSize - 1 }
  if (digest.length !== sizes.digest || name.length > sizes.name)
    throw refused(path, 'no digest and name of a template ima')
  const hashed = concatBytes(digest, name, new Uint8Array(legacyNameSize - name.length))
  return { hashed, data: concatBytes(digest, encode(sizedBytes(u32le), name)) }
}

const refused = (path: string, problem: string) => new MalformedError({ path }, problem)

/** Fields that are empty at the end of a line lack their blank where an editor has cut it. */
function templateBytes(template: string, texts: readonly string[], path: string): RecordBytes {
  const ids = imaFieldIds(template)
  if (ids === null) throw refused(path, 'a template that is not known')
  if (texts.length > ids.length) throw refused(path, `more than the ${ids.length} fields of its template`)
  if (template === 'ima') return legacyBytes(texts[0] ?? '', texts[1] ?? '', path)
  const fields = ids.map((id, index) => {
    const toBytes = fieldBytes[id]
    if (!toBytes) throw refused(path, `a field ${id}, which is not read from text`)
    return encode(sizedBytes(u32le), toBytes(texts[index] ?? '', `${path}.${id}`))
  })
  const data = concatBytes(...fields)
  return { hashed: data, data }
}

function columnHash(column: Uint8Array): HashName | undefined {
  return hashNames.find((name) => hashAlgorithms[name].size === column.length)
}

/** As many as a template has; no line is cut into more pieces than can count. */
const mostFields = 15
const lineForm = /^ ?(\d{1,2}) ((?:[0-9a-f]{2}){20,64}) ([^ ]{1,255}) (.*)$/s

function parseLine(line: string, index: number, path: string): ImaRecord {
  const [, pcr = '', columnText = '', template = '', rest = ''] = lineForm.exec(line) ?? []
  if (columnText === '') throw refused(path, 'is not a record of a measurement list')
  const column = hexBytes(columnText, path)
  const hash = columnHash(column)
  if (hash === undefined) throw refused(path, `a template hash of ${column.length} bytes`)
  const bytes = templateBytes(template, rest.split(' ', mostFields + 1), path)
  // A name that was cut at a line feed has lost bytes that were hashed (IMA-23).
  if (!isFilledWith(column, 0) && !equalBytes(digestOf(hash, bytes.hashed), column)) {
    throw refused(path, 'its template hash is of something else; names with line feeds are not read from text')
  }
  return { index, pcr: Number(pcr), column, template, ...bytes }
}

/**
 * Reads an IMA log in text form (`ascii_runtime_measurements`) record by record, as `readImaLog` reads a binary one. Only
 * for importing reference values, never as evidence (IMA-23): the text does not say where a name ends. So every
 * record is rebuilt and must have the template hash of its line; a line that is no record, a template that cannot be rebuilt,
 * a last line without its end, and any line behind a violation (whose name no hash covers, so that it could end
 * anywhere and bring forged lines with it) throw `MalformedError`. Whatever was read before is then not to be used
 * either: import the binary log of such a machine.
 */
export function* readImaTextLog(
  bytes: Uint8Array,
  { maxRecords = 4_000_000 }: ImaLogLimits = {},
): Generator<ImaRecord, void> {
  let afterViolation = false
  let index = 0
  for (let start = 0; start < bytes.length; index++) {
    const path = `ima.lines.${index + 1}`
    const end = bytes.indexOf(0x0a, start)
    if (index >= maxRecords) throw refused(path, `more than ${maxRecords} records`)
    if (end < 0) throw refused(path, 'has no end')
    if (afterViolation) throw refused(path, 'stands behind a violation, whose name no hash covers')
    const record = parseLine(toLatin1(bytes.subarray(start, end)), index, path)
    afterViolation = isFilledWith(record.column, 0)
    yield record
    start = end + 1
  }
}

/** All records of a text log. */
export function parseImaTextLog(bytes: Uint8Array, limits: ImaLogLimits = {}): ImaRecord[] {
  return [...readImaTextLog(bytes, limits)]
}
