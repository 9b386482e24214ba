import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { haveVectors, vector, vectorJson } from '../../../test/support/vectors.ts'
import { isFilledWith, toHex, toLatin1 } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { digestOf } from '../tpm/algorithms.ts'
import { type ImaRecord, parseImaLog } from './ima-log.ts'
import { imaFieldIds, parseImaTemplate } from './ima-template.ts'
import { parseImaTextLog } from './ima-text-log.ts'

const latin1 = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'))
const parseLines = (...lines: readonly string[]) => parseImaTextLog(latin1(lines.map((line) => `${line}\n`).join('')))

/** The fields of a record, each with its length before it. */
function fieldsOf({ data }: ImaRecord): Uint8Array[] {
  const fields: Uint8Array[] = []
  for (let at = 0; at < data.length; ) {
    const size = Buffer.from(data).readUInt32LE(at)
    fields.push(data.subarray(at + 4, at + 4 + size))
    at += 4 + size
  }
  return fields
}

/** What the kernel shows of a field. */
function shownField(id: string, field: Uint8Array): string {
  const nul = field.indexOf(0)
  if (id === 'n-ng') return toLatin1(field.subarray(0, -1))
  if (id === 'imode') return String(Buffer.from(field).readUInt16LE())
  if (!id.startsWith('d-') || field.length === 0) return toHex(field)
  return toLatin1(field.subarray(0, nul)) + toHex(field.subarray(nul + 1))
}

/** A record as the kernel shows it in text. */
function shownRecord(record: ImaRecord): string {
  const { pcr, column, template } = record
  if (template === 'ima') {
    const { data } = record
    return `${pcr} ${toHex(column)} ima ${toHex(data.subarray(0, 20))} ${toLatin1(data.subarray(24))}`
  }
  const ids = imaFieldIds(template) ?? []
  const fields = fieldsOf(record).map((field, index) => shownField(ids[index] ?? '', field))
  return `${pcr} ${toHex(column)} ${template} ${fields.join(' ')}`
}

const nameOf = (record: ImaRecord) => parseImaTemplate(record, { violation: true }).fields?.name ?? new Uint8Array()
const isViolation = ({ column }: ImaRecord) => isFilledWith(column, 0)
const isRead = (record: ImaRecord) => !isViolation(record) && record.template !== 'evm-sig'

describe.skipIf(!haveVectors)('recorded text logs', () => {
  interface Entry {
    readonly file: string
    readonly expected: { readonly entries: number; readonly pcr10: Record<string, string> }
  }
  const manifest = haveVectors ? (vectorJson('tpm/MANIFEST.json') as Entry[]) : []

  it.each(manifest.filter(({ file }) => file.endsWith('.ascii')))('$file leads to PCR 10', ({ file, expected }) => {
    const records = parseImaTextLog(vector(`tpm/${file}`))
    expect(records).toHaveLength(expected.entries)
    for (const hash of ['sha1', 'sha256', 'sha384'] as const) {
      const size = digestOf(hash).length
      const value = records.reduce<Uint8Array>(
        (before, { hashed }) => digestOf(hash, before, digestOf(hash, hashed)),
        new Uint8Array(size),
      )
      expect(toHex(value)).toBe(expected.pcr10[hash])
    }
  })

  it.each(['sequence/s2.ima.bin', 'sequence/s2.ima.sha256.bin', 'guest/ima.g3.bin', 'ima/legacy-template.bin'])(
    '%s shown as text gives its records again',
    (file) => {
      const binary = parseImaLog(vector(`tpm/${file}`), file.includes('sha256') ? 'sha256' : 'sha1')
      const records = binary.filter((record) => isRead(record) && !nameOf(record).includes(0x0a))
      expect(records.length).toBeGreaterThan(5)
      const read = parseLines(...records.map(shownRecord))
      expect(read).toEqual(records.map((record, index) => ({ ...record, index })))
    },
  )

  it('a name with a line feed refuses the lines, wherever it stands (IMA-23)', () => {
    const records = parseImaLog(vector('tpm/guest/ima.g3.bin')).filter(isRead)
    const odd = records.filter((record) => nameOf(record).includes(0x0a))
    expect(odd).toHaveLength(1)
    for (const record of odd) expect(() => parseLines(shownRecord(record))).toThrow('names with line feeds')
    expect(() => parseLines(...records.map(shownRecord))).toThrow('names with line feeds')
  })

  it('nothing may stand behind a violation', () => {
    const records = parseImaLog(vector('tpm/guest/ima.g3.bin'))
    const violations = records.filter(isViolation)
    const first = records.filter(isRead).slice(0, 3)
    expect(parseLines(...first.map(shownRecord), ...violations.slice(0, 1).map(shownRecord))).toHaveLength(4)
    expect(() => parseLines(...violations.slice(0, 1).map(shownRecord), ...first.map(shownRecord))).toThrow(
      'ima.lines.2: stands behind a violation',
    )
  })
})

describe('a line', () => {
  const digest = `sha256:${'ab'.repeat(32)}`
  const data = Buffer.concat([
    Buffer.from('28000000', 'hex'),
    Buffer.from('sha256:\0'),
    Buffer.alloc(32, 0xab),
    Buffer.from('05000000', 'hex'),
    Buffer.from('/a/b\0'),
  ])
  const column = toHex(digestOf('sha1', data))
  const good = `10 ${column} ima-ng ${digest} /a/b`

  it('gives template data as the binary log has it', () => {
    expect(parseLines(good)).toMatchObject([{ index: 0, pcr: 10, template: 'ima-ng', data: new Uint8Array(data) }])
    expect(parseLines(good.replace('10 ', ' 9 '))).toMatchObject([{ pcr: 9 }])
    expect(parseLines(good.replace(column, toHex(digestOf('sha384', data))))).toHaveLength(1)
  })

  it('with an empty field at its end may lack the blank', () => {
    const signed = Buffer.concat([data, Buffer.alloc(4)])
    const line = `10 ${toHex(digestOf('sha1', signed))} ima-sig ${digest} /a/b`
    expect(parseLines(line, `${line} `).map((record) => Buffer.from(record.data))).toEqual([signed, signed])
  })

  it('of a record without a file has no inode', () => {
    const fields = (mode: string) => Buffer.from(`01000000ab${mode}`, 'hex')
    const lineOf = (data: Buffer, text: string) => `10 ${toHex(digestOf('sha1', data))} sig|imode ab ${text}`
    expect(parseLines(lineOf(fields('00000000'), ''))).toHaveLength(1)
    expect(parseLines(lineOf(fields('02000000ed81'), '33261'))).toHaveLength(1)
    expect(parseLines(lineOf(fields('020000000000'), '0'))).toHaveLength(1)
    expect(() => parseLines(lineOf(fields('02000000ed81'), ''))).toThrow('its template hash')
  })

  it('of the legacy template has a name of up to 255 bytes', () => {
    const name = '/'.repeat(255)
    const hashed = Buffer.concat([Buffer.alloc(20, 0xab), Buffer.from(`${name}\0`)])
    const [record] = parseLines(`10 ${toHex(digestOf('sha1', hashed))} ima ${'ab'.repeat(20)} ${name}`)
    expect([record?.hashed.length, record?.data.length]).toEqual([276, 279])
  })

  it.each([
    ['another name', good.replace('/a/b', '/a/c'), 'its template hash'],
    ['another digest', good.replace('abab', 'abac'), 'its template hash'],
    ['a blank in the name', `${good} b`, 'more than the 2 fields of its template'],
    ['no fields', `10 ${column} ima-ng`, 'is not a record'],
    ['an unknown template', good.replace('ima-ng', 'ima-xy'), 'a template that is not known'],
    ['upper-case digits', good.replace('abab', 'ABAB'), 'ima.lines.1.d-ng: is not lower-case'],
    ['upper-case digits in the column', good.replace(column, column.toUpperCase()), 'is not a record'],
    ['a column of no known hash', good.replace(column, 'ab'.repeat(28)), 'a template hash of 28 bytes'],
    ['a PCR that is no number', good.replace('10 ', 'xx '), 'is not a record'],
    ['nothing', '', 'is not a record'],
    ['fields that text does not give', `10 ${column} sig|xattrnames ab b`, 'a field xattrnames'],
    ['a mode that does not fit', `10 ${column} sig|imode ab 65536`, 'imode: is not a number of 2 bytes'],
    ['a mode with a leading zero', `10 ${column} sig|imode ab 0755`, 'imode: is not a number of 2 bytes'],
    ['a legacy digest of another length', `10 ${column} ima ${'ab'.repeat(32)} /a`, 'template ima'],
    ['a legacy name above 255 bytes', `10 ${column} ima ${'ab'.repeat(20)} ${'a'.repeat(256)}`, 'template ima'],
  ])('with %s is refused', (_what, line, problem) => {
    expect(() => parseLines(line)).toThrow(MalformedError)
    expect(() => parseLines(line)).toThrow(problem)
  })

  it('without its end is refused, and so is one too many', () => {
    expect(() => parseImaTextLog(latin1(good))).toThrow('ima.lines.1: has no end')
    expect(() => parseImaTextLog(latin1(`${good}\n${good}\n`), { maxRecords: 1 })).toThrow('more than 1 records')
    expect(parseImaTextLog(new Uint8Array())).toEqual([])
  })

  it('of any bytes is read or refused', () => {
    const piece = fc.constantFrom(
      good,
      '10 ',
      column,
      ' ',
      'ima-ng',
      'ima',
      'ima-sig',
      'd|n',
      '\n',
      ':',
      digest,
      '00',
      'sha256:',
      '\0',
      '\xff',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        try {
          parseImaTextLog(latin1(pieces.join('')))
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError)
        }
      }),
      { numRuns: 1000 },
    )
  })
})
