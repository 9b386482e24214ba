import { describe, expect, it } from 'vitest'
import { haveVectors, vector, vectorJson } from '../../../test/support/vectors.ts'
import { concatBytes, toHex } from '../../base/bytes.ts'
import { encode, rest, sizedBytes, struct, u32le } from '../../base/layout.ts'
import { digestOf } from '../../evidence/tpm/algorithms.ts'
import { inspectImaLog } from './ima-log.ts'
import { inspect } from './inspect.ts'
import type { Inspection } from './inspection.ts'

const latin1 = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'))
const sized = sizedBytes(u32le)
const layout = struct({ pcr: u32le, column: rest, template: sized, data: sized })

function recordOf(
  name: string,
  change: Partial<{ pcr: number; column: Uint8Array; template: string; data: Uint8Array }> = {},
) {
  const digest = concatBytes(latin1('sha256:\0'), new Uint8Array(32).fill(0xab))
  const { pcr = 10, template = 'ima-ng' } = change
  const data = change.data ?? concatBytes(encode(sized, digest), encode(sized, latin1(`${name}\0`)))
  return encode(layout, { pcr, template: latin1(template), column: change.column ?? digestOf('sha1', data), data })
}

const brief = { whole: false }
const shown = ({ fields }: Inspection, name: string) => fields.find((field) => field.name === name)?.value
const records = ({ fields }: Inspection) => fields.filter(({ name }) => name.startsWith('record '))
const totals = (inspection: Inspection) =>
  ['records', 'violations', 'signed', 'unreadable', 'wrong template hashes'].map((name) =>
    Number(shown(inspection, name)),
  )

describe.skipIf(!haveVectors)('recorded IMA logs', () => {
  const bytes = haveVectors ? vector('tpm/sequence/s2.ima.bin') : new Uint8Array()
  const manifest = haveVectors
    ? (vectorJson('tpm/MANIFEST.json') as { file: string; expected: { pcr10: Record<string, string> } }[])
    : []

  it('are tables with offset, register, template, digest, name and signature', () => {
    const inspection = inspectImaLog(bytes, 'sha1', brief)
    expect(records(inspection)).toHaveLength(39)
    expect(
      records(inspection)
        .slice(0, 2)
        .map(({ offset }) => offset),
    ).toEqual([0, 101])
    const says = (record: number) => shown(inspection, `record ${record}`)
    expect(says(13)).toMatch(/^PCR 10 {2}ima-ng {2}sha256:[0-9a-f]{64} {2}\/srv\/my_data\/file_with_space_\(deleted\)$/)
    expect(says(14)).toMatch(/\/usr\/sbin\/signed-rsa {2}signature ima-v2 sha256 key e0fa982f by a key in this log$/)
    expect(says(16)).toMatch(/key e0fa982f NOT by the key in this log$/)
    expect(says(17)).toMatch(/key 2a32a35d by a key that is not in this log$/)
    expect(says(18)).toMatch(/\/usr\/sbin\/unsigned$/)
    expect(says(19)).toMatch(/signature evm-portable sha256 key e0fa982f not verifiable from the log$/)
    expect(says(21)).toMatch(/\.ima {2}buffer of 787 bytes$/)
    expect(says(27)).toMatch(
      /ima-sigv2 {2}verity:sha256:.* signature verity-v3 sha256 key e0fa982f by a key in this log$/,
    )
    expect(says(29)).toMatch(/appended signature of 96 bytes$/)
    expect(says(32)).toMatch(/^PCR 10 {2}ima-ng {2}VIOLATION {2}sha256:0+ {2}\/var\/log\/journal$/)
    expect(totals(inspection)).toEqual([39, 2, 8, 0, 0])
    expect(shown(inspection, 'templates')).toMatch(/^ima-ng 21 {2}ima-sig 7 {2}ima-buf 4 /)
  })

  it('lead to the registers of the manifest', () => {
    const expected = manifest.find(({ file }) => file === 'sequence/s2.ima.bin')?.expected.pcr10
    const { fields } = inspectImaLog(bytes, 'sha1', brief)
    for (const bank of ['sha1', 'sha256', 'sha384']) {
      const at = fields.findIndex(({ name }) => name === `(replayed ${bank})`)
      expect(fields.slice(at + 1, at + 3).map(({ name, value }) => [name, value.length])).toEqual([
        ['PCR 10', expected?.[bank]?.length],
        ['PCR 11', expected?.[bank]?.length],
      ])
      expect(fields[at + 1]?.value).toBe(expected?.[bank])
    }
  })

  it('that are long are shown at both ends, and whole on demand', () => {
    const long = vector('tpm/guest/ima.g3.bin')
    const short = inspect(long, undefined, brief)
    expect(records(short).map(({ name }) => name)).toEqual(
      [...Array(100).keys(), ...Array.from({ length: 100 }, (_none, at) => 435 + at)].map((at) => `record ${at}`),
    )
    expect(short.fields[100]).toMatchObject({ name: '(335 records not shown)', value: '--json shows all' })
    expect(totals(short)).toEqual([535, 2, 0, 0, 0])
    expect(records(inspect(long))).toHaveLength(535)
    expect(shown(short, 'record 529')).toMatch(/\/opt\/p\/nl\\nname$/)
    expect(shown(short, 'record 530')).toMatch(/\/opt\/p\/caf\\xe9$/)
  })

  it('shown whole have the content of their fields', () => {
    const { fields } = inspectImaLog(bytes, 'sha1', { whole: true })
    const of = (record: number) => {
      const at = fields.findIndex(({ name }) => name === `record ${record}`)
      const after = fields.slice(at + 1)
      return after
        .slice(
          0,
          after.findIndex(({ depth }) => depth === 0),
        )
        .map(({ name }) => name)
    }
    expect([of(0), of(14), of(21), of(30)]).toEqual([
      ['sha1'],
      ['sha1', 'signature'],
      ['sha1', 'buffer'],
      ['sha1', 'evmsig', 'inode'],
    ])
  })
})

describe('a log', () => {
  const many = (count: number) => concatBytes(...Array.from({ length: count }, (_none, at) => recordOf(`/f${at}`)))

  it.each([199, 200, 201, 450])('of %i records shows at most 200, and how many are left', (count) => {
    const inspection = inspectImaLog(many(count), 'sha1', brief)
    const shown = records(inspection)
    expect(shown).toHaveLength(Math.min(count, 200))
    expect(shown.at(-1)?.name).toBe(`record ${count - 1}`)
    const gap = inspection.fields.find(({ name }) => name.includes('not shown'))?.name
    expect(gap).toBe(count > 200 ? `(${count - 200} records not shown)` : undefined)
    expect(totals(inspection)[0]).toBe(count)
  })

  it('marks what is wrong in capitals, and goes on', () => {
    const data = concatBytes(encode(sized, latin1('sha256:\0x')), encode(sized, latin1('/a\0')))
    const log = concatBytes(
      recordOf('/a', { column: new Uint8Array(20).fill(1) }),
      recordOf('/b', { data }),
      recordOf('/c', { template: 'ima-\x1b[31m' }),
      recordOf('/d\x1b[31m\nrecord 9'),
    )
    const inspection = inspectImaLog(log, 'sha1', brief)
    const says = records(inspection).map(({ value }) => value)
    expect(says[0]).toContain('WRONG TEMPLATE HASH')
    expect(says[1]).toMatch(/UNREADABLE: data\.d-ng: a sha256 digest of 1 bytes/)
    expect(says[2]).toMatch(/ima-\\x1b\[31m {2}UNREADABLE: template ima-\\x1b\[31m is not known/)
    expect(says[3]).toMatch(/\/d\\x1b\[31m\\nrecord 9$/)
    expect(totals(inspection)).toEqual([4, 0, 0, 2, 1])
    expect(JSON.stringify(inspection)).not.toContain('\\u001b')
    expect(inspection.problem).toBeUndefined()
  })

  it('is shown as far as it parses', () => {
    const log = concatBytes(many(3), recordOf('/cut').subarray(0, 50))
    const inspection = inspectImaLog(log, 'sha1', brief)
    expect(records(inspection)).toHaveLength(3)
    expect(inspection.problem?.message).toMatch(/^ima\.records\.3: needs \d+ bytes, has \d+/)
    expect(totals(inspection)[0]).toBe(3)
  })

  it('that does not begin with its boot is numbered from where it begins, and leads to no register', () => {
    const inspection = inspectImaLog(many(2), 'sha1', brief, 40)
    expect(records(inspection).map(({ name }) => name)).toEqual(['record 40', 'record 41'])
    expect(shown(inspection, '(not replayed)')).toBe('begins with record 40')
    expect(shown(inspection, '(replayed sha256)')).toBeUndefined()
  })

  it('extends a violation with FF, and keeps registers that no TPM has apart', () => {
    const log = concatBytes(recordOf('/a', { column: new Uint8Array(20) }), recordOf('/b', { pcr: 0xffffffff }))
    const { fields } = inspectImaLog(log, 'sha1', brief)
    const at = fields.findIndex(({ name }) => name === '(replayed sha256)')
    const value = digestOf('sha256', new Uint8Array(32), new Uint8Array(32).fill(0xff))
    expect(fields.slice(at + 1, at + 3)).toMatchObject([
      { name: 'PCR 10', value: toHex(value) },
      { name: '(replayed sha384)' },
    ])
  })

  it('with any number of templates names a few', () => {
    const ids = ['sig', 'd-modsig', 'modsig', 'evmsig', 'xattrvalues', 'xattrnames']
    const names = ids.flatMap((a) => ids.filter((b) => b !== a).flatMap((b) => [`${a}|${b}`, `${a}|${b}|iuid`]))
    const log = concatBytes(
      ...names.map((template) => recordOf('', { template, data: new Uint8Array(template.split('|').length * 4) })),
    )
    const templates = shown(inspectImaLog(log, 'sha1', brief), 'templates')?.split('  ')
    expect([templates?.length, templates?.at(-1)]).toEqual([33, `(others) ${names.length - 32}`])
  })

  it('is the same wherever it lies in its buffer', () => {
    const log = many(2)
    const shifted = concatBytes(new Uint8Array(7), log).subarray(7)
    expect(inspectImaLog(shifted, 'sha1', brief)).toEqual(inspectImaLog(log, 'sha1', brief))
  })
})
