import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digestField, templateData } from '../../test/support/measuring-kernel.ts'
import { digestOf } from '../evidence/tpm/algorithms.ts'
import { digestSet, type ReferenceAlgorithm, referenceAlgorithmNames, referenceAlgorithms } from './digest-set.ts'
import { buildTemplateTable, TemplateLookup, type TemplateTable } from './template-table.ts'

const digest = (byte: number, algorithm: ReferenceAlgorithm = 'sha256') => ({
  algorithm,
  digest: new Uint8Array(referenceAlgorithms[algorithm]).fill(byte),
})

const wordsOf = (data: Uint8Array) => new Int32Array(Uint8Array.from(digestOf('sha256', data)).buffer)
const has = (table: TemplateTable, template: string, ...fields: (string | Uint8Array)[]) =>
  new TemplateLookup(table).has(template, wordsOf(templateData(...fields)))

const record = (path: string, byte: number, algorithm: ReferenceAlgorithm = 'sha256') =>
  [digestField(digest(byte, algorithm).digest, algorithm), `${path}\0`] as const

describe('a table of template hashes', () => {
  const table = buildTemplateTable([
    ['/usr/bin/a', digestSet([digest(1), digest(2), digest(3, 'sha512')])],
    ['/usr/bin/\xff\n', digestSet([digest(4)])],
    ['', digestSet([digest(5)])],
    ['/none', ''],
  ])

  it.each(referenceAlgorithmNames)(
    'has records of %s in both templates, and no digest of another file',
    (algorithm) => {
      const own = buildTemplateTable([['/x', digestSet([digest(7, algorithm)])]])
      expect(has(own, 'ima-ng', ...record('/x', 7, algorithm))).toBe(true)
      expect(has(own, 'ima-sig', ...record('/x', 7, algorithm), '')).toBe(true)
      expect(has(own, 'ima-ng', ...record('/x', 6, algorithm))).toBe(false)
      expect(has(own, 'ima-ng', ...record('/y', 7, algorithm))).toBe(false)
    },
  )

  it.each([
    ['/usr/bin/a', 1, 'sha256', true],
    ['/usr/bin/a', 2, 'sha256', true],
    ['/usr/bin/a', 3, 'sha512', true],
    ['/usr/bin/a', 3, 'sha256', false],
    ['/usr/bin/a', 4, 'sha256', false],
    ['/usr/bin/\xff\n', 4, 'sha256', true],
    ['', 5, 'sha256', true],
    ['/none', 1, 'sha256', false],
  ] as const)('of %j with %i as %s has: %s', (path, byte, algorithm, known) => {
    expect(has(table, 'ima-ng', ...record(path, byte, algorithm))).toBe(known)
    expect(has(table, 'ima-sig', ...record(path, byte, algorithm), '')).toBe(known)
  })

  it('knows data only under the template that has it: no digest covers that name', () => {
    const fields = record('/usr/bin/a', 1)
    expect(has(table, 'ima-sig', ...fields)).toBe(false)
    expect(has(table, 'ima-ng', ...fields, '')).toBe(false)
    for (const name of ['', 'ima', 'ima-ngv2', 'ima-sigv2', 'ima-buf', 'd-ng|n-ng', 'ima-modsig', 'toString']) {
      expect(has(table, name, ...fields)).toBe(false)
      expect(has(table, name, ...fields, '')).toBe(false)
    }
  })

  it('knows no file with a signature, and no byte more or less', () => {
    const fields = record('/usr/bin/a', 1)
    expect(has(table, 'ima-sig', ...fields, '\x03')).toBe(false)
    expect(has(table, 'ima-ng', fields[0], '/usr/bin/a')).toBe(false)
    expect(has(table, 'ima-ng', fields[0], '/usr/bin/a\0\0')).toBe(false)
  })

  it('changes its template from record to record', () => {
    const lookup = new TemplateLookup(table)
    const [ng, sig] = [
      wordsOf(templateData(...record('/usr/bin/a', 1))),
      wordsOf(templateData(...record('/usr/bin/a', 1), '')),
    ]
    const asked = ['ima-ng', 'ima-sig', 'x', 'ima-sig', 'ima-ng'].map((name) => [
      lookup.has(name, ng),
      lookup.has(name, sig),
    ])
    expect(asked).toEqual([
      [true, false],
      [false, true],
      [false, false],
      [false, true],
      [true, false],
    ])
  })

  it('leaves to the fields what is judged by more than its hash (IMA-07, IMA-12, IMA-20)', () => {
    const longest = `/${'a'.repeat(4095)}`
    const paths = ['boot_aggregate', '/a\0b', longest, `${longest}a`]
    const own = buildTemplateTable(paths.map((path) => [path, digestSet([digest(1)])] as const))
    expect(paths.map((path) => has(own, 'ima-ng', ...record(path, 1)))).toEqual([false, false, true, false])
  })

  it('compares all of a hash, and takes none that looks like a free slot', () => {
    const own = buildTemplateTable([['/x', digestSet([digest(1)])]])
    const lookup = new TemplateLookup(own)
    const words = wordsOf(templateData(...record('/x', 1)))
    expect(lookup.has('ima-ng', words)).toBe(true)
    for (let bit = 0; bit < 256; bit++) {
      const other = Int32Array.from(words)
      other[bit >> 5] = (other[bit >> 5] ?? 0) ^ (1 << (bit & 31))
      expect(lookup.has('ima-ng', other)).toBe(false)
    }
    expect(lookup.has('ima-ng', new Int32Array(8))).toBe(false)
    expect(new TemplateLookup(buildTemplateTable([])).has('ima-ng', words)).toBe(false)
    expect(new TemplateLookup(buildTemplateTable([])).has('ima-ng', Int32Array.of(-1, 0, 0, 0, 0, 0, 0, 0))).toBe(false)
  })

  it('is all found again, with any number of files, and nothing else', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 1, max: 3 }), (files, digests) => {
        const set = digestSet(Array.from({ length: digests }, (_none, byte) => digest(byte)))
        const own = buildTemplateTable(Array.from({ length: files }, (_none, index) => [`/${index}`, set] as const))
        const lookup = new TemplateLookup(own)
        for (let index = 0; index < files + 3; index++) {
          const [byte, expected] = [index % 4, index < files && index % 4 < digests]
          expect(lookup.has('ima-ng', wordsOf(templateData(...record(`/${index}`, byte))))).toBe(expected)
          expect(lookup.has('ima-sig', wordsOf(templateData(...record(`/${index}`, byte), '')))).toBe(expected)
        }
      }),
      { numRuns: 20 },
    )
  })

  it('goes around its end, where the first slots are the next ones', () => {
    const slots = new Int32Array(8 * 3)
    const high = [Int32Array.of(-1, 1, 1, 1, 1, 1, 1, 1), Int32Array.of(-1, 2, 2, 2, 2, 2, 2, 2)] as const
    slots.set(high[0], 16)
    slots.set(high[1], 0)
    const lookup = new TemplateLookup({ 'ima-ng': slots, 'ima-sig': slots })
    expect(high.map((words) => lookup.has('ima-ng', words))).toEqual([true, true])
    expect(lookup.has('ima-ng', Int32Array.of(-1, 3, 3, 3, 3, 3, 3, 3))).toBe(false)
  })

  it('is shared with other threads', () => {
    expect(structuredClone(table)['ima-ng'].buffer).toBeInstanceOf(SharedArrayBuffer)
    expect(structuredClone(table)).toEqual(table)
  })

  it('refuses digests that are none', () => {
    expect(() => buildTemplateTable([['/x', '\x63']])).toThrow(TypeError)
  })
})
