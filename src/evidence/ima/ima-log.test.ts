import { describe, expect, it } from 'vitest'
import { concatBytes } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { parseImaLog } from './ima-log.ts'

const u32 = (value: number) => Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24)
const text = (value: string) => new TextEncoder().encode(value)
const sized = (bytes: Uint8Array) => concatBytes(u32(bytes.length), bytes)
const column = new Uint8Array(20).fill(7)

const record = (template: string, data: Uint8Array, pcr = 10) =>
  concatBytes(u32(pcr), column, sized(text(template)), sized(data))
const legacy = (name: string) => concatBytes(u32(10), column, sized(text('ima')), column, sized(text(name)))

function problemOf(bytes: Uint8Array, limits = {}): string {
  try {
    parseImaLog(bytes, 'sha1', limits)
    return 'none'
  } catch (error) {
    if (error instanceof MalformedError) return error.message
    throw error
  }
}

describe('an IMA log', () => {
  it('gives its records in order, each with the bytes that were hashed', () => {
    const data = text('fields')
    const records = parseImaLog(concatBytes(record('ima-ng', data), record('ima-sig', data, 11), record('x', data)))
    expect(records.map(({ index, pcr, template }) => [index, pcr, template])).toEqual([
      [0, 10, 'ima-ng'],
      [1, 11, 'ima-sig'],
      [2, 10, 'x'],
    ])
    for (const one of records) expect(one).toMatchObject({ column, hashed: data, data })
  })

  it('hashes a legacy record as its digest and its name, padded to 256 bytes', () => {
    const [one] = parseImaLog(legacy('/init'))
    expect(one?.hashed).toEqual(concatBytes(column, text('/init'.padEnd(256, '\0'))))
    expect(one?.data).toEqual(concatBytes(column, sized(text('/init'))))
  })

  it('may have no record, and a record no data', () => {
    expect(parseImaLog(new Uint8Array())).toEqual([])
    expect(parseImaLog(record('ima-ng', new Uint8Array()))[0]?.hashed).toEqual(new Uint8Array())
  })

  it('has the column that it is read with', () => {
    const bytes = concatBytes(u32(10), new Uint8Array(32).fill(9), sized(text('ima-ng')), sized(text('d')))
    expect(parseImaLog(bytes, 'sha256')[0]?.column).toEqual(new Uint8Array(32).fill(9))
    expect(problemOf(bytes)).not.toBe('none')
  })
})

describe('limits of an IMA log (IMA-01), at n and n + 1', () => {
  it('template names have 1 to 255 bytes', () => {
    expect(problemOf(record('a'.repeat(255), column))).toBe('none')
    expect(problemOf(record('a'.repeat(256), column))).toContain('template name of 256 bytes')
    expect(problemOf(record('', column))).toContain('template name of 0 bytes')
  })

  it('names of legacy records have up to 255 bytes', () => {
    expect(problemOf(legacy('a'.repeat(255)))).toBe('none')
    expect(problemOf(legacy('a'.repeat(256)))).toContain('file name of 256 bytes')
  })

  it('records are as many as the caller takes', () => {
    const bytes = concatBytes(record('a', column), record('a', column))
    expect(problemOf(bytes, { maxRecords: 2 })).toBe('none')
    expect(problemOf(bytes, { maxRecords: 1 })).toContain('more than 1 records')
  })

  it('a record that is cut anywhere is named, with the place', () => {
    const bytes = concatBytes(record('ima-ng', text('fields')), record('ima-ng', text('fields')))
    const first = bytes.length / 2
    for (let size = first + 1; size < bytes.length; size++) {
      expect(problemOf(bytes.slice(0, size))).toMatch(/^ima\.records\.1: needs \d+ bytes, has \d+ \(at byte \d+\)$/)
    }
  })

  it.each([
    ['template name', 24],
    ['template data', 34],
  ])('a %s of four thousand million bytes is refused unread', (_what, at) => {
    const bytes = record('ima-ng', text('fields'))
    bytes.set(u32(0xffffffff), at)
    expect(problemOf(bytes)).toMatch(/of 4294967295 bytes|needs 4294967295 bytes/)
  })
})
