import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { haveVectors, vector, vectorJson } from '../../../test/support/vectors.ts'
import { concatBytes, parseText } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { encode, rest, sizedBytes, struct, u32le } from '../../base/layout.ts'
import { parseImaLog } from '../../evidence/ima/ima-log.ts'
import { type HashName, hashAlgorithms } from '../../evidence/tpm/algorithms.ts'
import type { BankForm } from './ima-progress.ts'
import { replayImaLog } from './replay-ima-log.ts'

interface Entry {
  file: string
  expected: {
    entries: number
    templates: Record<string, number>
    columnAlg: HashName
    violations: number
    pcr10: Record<string, string>
    pcr10Sha1Padded: Record<string, string>
  }
}

interface Step {
  id: string
  ima?: { file: string; matchedPrefixEntries: number; pending: number; pcr10: Record<string, string> }
}

const quotedOf = (values: Record<string, string>, ...banks: HashName[]) =>
  new Map(banks.map((bank) => [bank, parseText(values[bank] ?? '', 'hex', bank)]))

describe.skipIf(!haveVectors)('recorded IMA logs', () => {
  const manifest = haveVectors ? (vectorJson('tpm/MANIFEST.json') as Entry[]) : []
  const logs = manifest.filter(({ file }) => /ima.*\.bin$/.test(file))
  const steps = haveVectors ? (vectorJson('tpm/sequence/sequence.json').steps as Step[]) : []
  const inputs = (quoted: Map<HashName, Uint8Array>, column: HashName = 'sha1') => ({
    quoted,
    column,
    pcr: 10,
    acceptSha1Padded: false,
  })

  it.each(logs)('$file replays to PCR 10 of every bank (IMA-06, IMA-08)', ({ file, expected }) => {
    const bytes = vector(`tpm/${file}`)
    const records = parseImaLog(bytes, expected.columnAlg)
    const templates: Record<string, number> = {}
    for (const { template } of records) templates[template] = (templates[template] ?? 0) + 1
    expect(templates).toEqual(expected.templates)
    const whole = replayImaLog(bytes, inputs(quotedOf(expected.pcr10, 'sha1', 'sha256', 'sha384'), expected.columnAlg))
    expect(whole.records).toBe(expected.entries)
    expect(whole.violations).toBe(expected.violations)
    expect(whole.wrongColumn).toBeNull()
    expect(whole.matched).not.toBeNull()
    expect([...whole.forms.values()]).toEqual(['native', 'native', 'native'])
  })

  it.each(logs)('$file: padded banks match only where that is accepted (IMA-06)', ({ file, expected }) => {
    const quoted = quotedOf(expected.pcr10Sha1Padded, 'sha256', 'sha384')
    const at = (acceptSha1Padded: boolean) =>
      replayImaLog(vector(`tpm/${file}`), { ...inputs(quoted, expected.columnAlg), acceptSha1Padded })
    expect(at(false).matched).toBeNull()
    expect([...at(true).forms.values()]).toEqual(['sha1-padded', 'sha1-padded'])
  })

  it.each(steps.filter(({ ima }) => ima))(
    'quote $id covers a prefix, the rest is pending (IMA-08, IMA-09)',
    ({ ima }) => {
      if (!ima) return expect.unreachable()
      const replay = replayImaLog(
        vector(`tpm/sequence/${ima.file}`),
        inputs(quotedOf(ima.pcr10, 'sha1', 'sha256', 'sha384')),
      )
      expect([replay.matched, replay.pending]).toEqual([ima.matchedPrefixEntries, ima.pending])
    },
  )

  it('any flipped bit of covered template data or names is a mismatch or malformed; a flipped column is named (IMA-04)', () => {
    const bytes = vector('tpm/sequence/s3.ima.bin')
    const expected = logs.find(({ file }) => file.endsWith('s3.ima.bin'))?.expected
    const quoted = quotedOf(expected?.pcr10 ?? {}, 'sha256')
    for (let at = 0; at < bytes.length; at++) {
      const edited = Uint8Array.from(bytes)
      edited[at] = (edited[at] ?? 0) ^ 0x20
      try {
        const { matched, wrongColumn, violations } = replayImaLog(edited, inputs(quoted))
        expect(matched === null || wrongColumn !== null || violations > 0 || nameByte(bytes, at), `byte ${at}`).toBe(
          true,
        )
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedError)
      }
    }
  })

  it('no bytes make the parser do anything but answer or throw MalformedError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          parseImaLog(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError)
        }
      }),
    )
  })
})

interface Measured {
  readonly pcr: number
  /** Legacy records are of template `ima`: digest and name, hashed padded (tpm.md section 8). */
  readonly legacy: boolean
  readonly violation: boolean
  readonly columnIsWrong: boolean
  readonly name: string
}

const digest = (hash: string, ...parts: Uint8Array[]) =>
  new Uint8Array(
    createHash(hash)
      .update(concatBytes(...parts))
      .digest(),
  )
const sizeOf = (hash: HashName) => hashAlgorithms[hash].size
const recordLayout = struct({ pcr: u32le, column: rest, template: sizedBytes(u32le), data: rest })
const text = (value: string) => new TextEncoder().encode(value)

const hashedOf = ({ legacy, name }: Measured) =>
  legacy ? concatBytes(digest('sha1', text(name)), text(name.padEnd(256, '\0'))) : text(`any fields of ${name}`)

function columnOf(record: Measured, column: HashName): Uint8Array {
  if (record.violation) return new Uint8Array(sizeOf(column))
  const right = digest(column, hashedOf(record))
  return record.columnIsWrong ? right.map((byte, at) => (at === 3 ? byte ^ 1 : byte)) : right
}

function encodeRecord(record: Measured, column: HashName): Uint8Array {
  const { pcr, legacy, name } = record
  const sized = (bytes: Uint8Array) => encode(sizedBytes(u32le), bytes)
  const data = legacy ? concatBytes(digest('sha1', text(name)), sized(text(name))) : sized(hashedOf(record))
  const template = text(legacy ? 'ima' : 'ima-ng')
  return encode(recordLayout, { pcr, column: columnOf(record, column), template, data })
}

/** What the kernel does to a register, in the words of IMA-05 and IMA-06. */
function extended(value: Uint8Array, record: Measured, bank: HashName, form: BankForm): Uint8Array {
  const hash = form === 'native' ? bank : 'sha1'
  const measured = record.violation ? new Uint8Array(sizeOf(hash)).fill(0xff) : digest(hash, hashedOf(record))
  return digest(bank, value, measured, new Uint8Array(sizeOf(bank) - measured.length))
}

describe('any log', () => {
  const banks: readonly HashName[] = ['sha1', 'sha256', 'sha384', 'sha512']
  const records = fc.array(
    fc.record({
      pcr: fc.constantFrom(10, 10, 10, 11),
      legacy: fc.boolean(),
      violation: fc.nat(5).map((n) => n === 0),
      columnIsWrong: fc.nat(9).map((n) => n === 0),
      name: fc.string({ unit: 'grapheme-ascii', maxLength: 40 }),
    }),
    { maxLength: 12 },
  )
  const quotes = fc.dictionary(fc.constantFrom(...banks), fc.constantFrom<BankForm>('native', 'sha1-padded'), {
    minKeys: 1,
  }) as fc.Arbitrary<Partial<Record<HashName, BankForm>>>

  it('leads where its records lead, one after the other, in every form of every bank', () => {
    fc.assert(
      fc.property(
        records,
        quotes,
        fc.constantFrom(...banks),
        fc.nat(12),
        fc.boolean(),
        (log, forms, column, at, accept) => {
          const covered = log.slice(0, at)
          const quoted = new Map(
            (Object.entries(forms) as [HashName, BankForm][]).map(([bank, form]) => {
              const start: Uint8Array = new Uint8Array(sizeOf(bank))
              const own = covered.filter(({ pcr }) => pcr === 10)
              return [bank, own.reduce((value, record) => extended(value, record, bank, form), start)] as const
            }),
          )
          const bytes = concatBytes(...log.map((record) => encodeRecord(record, column)))
          const replay = replayImaLog(bytes, { quoted, pcr: 10, column, acceptSha1Padded: accept })
          const last = covered.findLastIndex(({ pcr }) => pcr === 10)
          const takes = (bank: HashName) => accept || bank === 'sha1' || forms[bank] === 'native'
          const reachable = last >= 0 && [...quoted.keys()].every(takes)
          const wrong = log.findIndex(({ columnIsWrong, violation }) => columnIsWrong && !violation)
          expect(replay).toMatchObject({
            matched: reachable ? last + 1 : null,
            pending: reachable ? log.length - last - 1 : 0,
            records: log.length,
            violations: log.filter(({ violation }) => violation).length,
            wrongColumn: wrong < 0 ? null : wrong,
          })
          for (const [bank, form] of replay.forms)
            if (bank !== 'sha1') expect([bank, form]).toEqual([bank, forms[bank]])
        },
      ),
      { numRuns: 500 },
    )
  })

  it('matches nothing where no bank is quoted, or where a value has another length', () => {
    const log = encodeRecord({ pcr: 10, legacy: false, violation: false, columnIsWrong: false, name: 'a' }, 'sha1')
    for (const quoted of [new Map(), new Map([['sha256' as const, new Uint8Array(31)]])]) {
      expect(replayImaLog(log, { quoted, pcr: 10, column: 'sha1', acceptSha1Padded: true }).matched).toBeNull()
    }
  })

  it('that is cut is refused with the number of the record and the byte (IMA-01)', () => {
    const one = encodeRecord({ pcr: 10, legacy: false, violation: false, columnIsWrong: false, name: 'a' }, 'sha1')
    const cut = concatBytes(one, one, one.subarray(0, 30))
    const at = 2 * one.length + 28
    expect(() => parseImaLog(cut)).toThrow(`ima.records.2: needs 6 bytes, has 2 (at byte ${at})`)
  })

  it('is read up to a limit of records', () => {
    const one = encodeRecord({ pcr: 10, legacy: true, violation: false, columnIsWrong: false, name: 'a' }, 'sha256')
    const two = concatBytes(one, one)
    expect(parseImaLog(two, 'sha256', { maxRecords: 2 }).map(({ index, template }) => [index, template])).toEqual([
      [0, 'ima'],
      [1, 'ima'],
    ])
    expect(() => parseImaLog(two, 'sha256', { maxRecords: 1 })).toThrow('ima.records.1: more than 1 records')
  })
})

/** True inside a template's name: the one part of a record that no digest covers. */
function nameByte(bytes: Uint8Array, at: number): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  for (let offset = 0; offset < bytes.length; ) {
    const name = view.getUint32(offset + 24, true)
    const start = offset + 28
    if (at >= start && at < start + name) return true
    offset = start + name + 4 + view.getUint32(start + name, true)
  }
  return false
}
