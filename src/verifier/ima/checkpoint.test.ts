import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MalformedError } from '../../base/errors.ts'
import { hashAlgorithms, hashNames } from '../../evidence/tpm/algorithms.ts'
import {
  encodeImaCheckpoint,
  encodeImaStage,
  type ImaCheckpoint,
  maximumCheckpoint,
  parseImaCheckpoint,
  parseImaStage,
} from './checkpoint.ts'
import { imaCountNames } from './ima-progress.ts'
import { imaNamedKinds, NamedRecords } from './named-records.ts'

const u32 = fc.integer({ min: 0, max: 0xffffffff })
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const form = fc.constantFrom('native' as const, 'sha1-padded' as const)
const running = fc
  .tuple(fc.constantFrom(...hashNames), fc.nat(23), form)
  .chain(([bank, pcr, is]) => bytes(hashAlgorithms[bank].size).map((value) => ({ bank, pcr, form: is, value })))
const checkpoint: fc.Arbitrary<ImaCheckpoint> = fc.record({
  akName: fc.uint8Array({ maxLength: 66 }),
  resetCount: u32,
  restartCount: u32,
  records: u32,
  pcr: fc.nat(23),
  judgedBy: fc.string({ maxLength: 64 }),
  pending: fc.option(fc.record({ records: u32, sha256: bytes(32) })),
  running: fc.uniqueArray(running, { maxLength: 5, selector: ({ bank, pcr, form: is }) => `${bank}:${pcr}:${is}` }),
  bootAggregate: fc.option(
    fc.record({ algorithm: fc.constantFrom('sha1', 'sha256'), digest: fc.uint8Array({ maxLength: 64 }) }),
  ),
  counts: fc
    .tuple(...imaCountNames.map(() => u32))
    .map(
      (counts) =>
        Object.fromEntries(imaCountNames.map((name, index) => [name, counts[index]])) as ImaCheckpoint['counts'],
    ),
  named: fc.array(
    fc.record({ kind: fc.constantFrom(...imaNamedKinds), name: fc.string({ maxLength: 40 }), count: u32 }),
    { maxLength: 5 },
  ),
  keys: fc.array(fc.record({ keyring: fc.string({ maxLength: 9 }), der: fc.uint8Array({ maxLength: 20 }) }), {
    maxLength: 3,
  }),
})

const key = (size: number, keyring = '.ima') => ({ keyring, der: new Uint8Array(size) })
const counts = (unquoted: number) => ({
  ...(Object.fromEntries(imaCountNames.map((name) => [name, 0])) as ImaCheckpoint['counts']),
  unquoted,
})
const encoded = (value: ImaCheckpoint) => encodeImaCheckpoint(value) ?? expect.unreachable()
const [example] = fc.sample(checkpoint, { numRuns: 1, seed: 7 })
const one = encoded(example ?? expect.unreachable())

describe('a checkpoint (IMA-10)', () => {
  it.each<[string, Partial<ImaCheckpoint>, Partial<ImaCheckpoint>]>([
    ['keys', { keys: Array(64).fill(key(9)) }, { keys: Array(65).fill(key(9)) }],
    ['bytes of a key', { keys: [key(8192)] }, { keys: [key(8193)] }],
    ['bytes of a keyring', { keys: [key(1, '\xff'.repeat(128))] }, { keys: [key(1, '\xff'.repeat(129))] }],
    ['records', { records: 0xffffffff }, { records: 2 ** 32 }],
    ['of a count', { counts: counts(0xffffffff) }, { counts: counts(2 ** 32) }],
  ])('is none where there are too many %s, and the whole log is wanted then', (_what, most, tooMany) => {
    const base = { ...(example ?? expect.unreachable()), keys: [], named: [] }
    expect(encodeImaCheckpoint({ ...base, ...most })).not.toBeNull()
    expect(encodeImaCheckpoint({ ...base, ...tooMany })).toBeNull()
    expect(encodeImaStage({ ...base, ...tooMany })).toBeNull()
  })

  it('comes back as it was, and in the same bytes', () => {
    fc.assert(
      fc.property(checkpoint, (value) => {
        const parsed = parseImaCheckpoint(encoded(value))
        expect(parsed).toEqual(value)
        expect(encodeImaCheckpoint(parsed)).toEqual(encoded(value))
      }),
    )
  })

  it('that is cut anywhere, or has a byte too many, is refused', () => {
    for (let size = 0; size < one.length; size++)
      expect(() => parseImaCheckpoint(one.slice(0, size))).toThrow(MalformedError)
    expect(() => parseImaCheckpoint(Uint8Array.from([...one, 0]))).toThrow(MalformedError)
  })

  it('with any byte changed is another one, or refused', () => {
    for (let at = 0; at < one.length; at++) {
      const changed = Uint8Array.from(one)
      changed[at] = (changed[at] ?? 0) ^ 0x81
      try {
        expect(encodeImaCheckpoint(parseImaCheckpoint(changed))).toEqual(changed)
      } catch (error) {
        if (!(error instanceof MalformedError)) throw error
      }
    }
  })

  it.each([
    ['of another version', 5, 2],
    ['with another mark', 3, 0x53],
  ])('%s is refused', (_what, at, byte) => {
    const changed = Uint8Array.from(one)
    changed[at] = byte
    expect(() => parseImaCheckpoint(changed)).toThrow(MalformedError)
  })

  it('with a register twice is refused', () => {
    const register = { bank: 'sha1', pcr: 10, form: 'native', value: new Uint8Array(20) } as const
    const base = { ...(example ?? expect.unreachable()) }
    expect(() => parseImaCheckpoint(encoded({ ...base, running: [register, register] }))).toThrow('twice')
    expect(() => parseImaCheckpoint(encoded({ ...base, running: [register, { ...register, pcr: 11 }] }))).not.toThrow()
  })

  it('above 64 KiB is not made, and not read', () => {
    const base = { ...(example ?? expect.unreachable()) }
    const keys = (count: number) =>
      Array.from({ length: count }, () => ({ keyring: '.ima', der: new Uint8Array(8000) }))
    expect(encodeImaCheckpoint({ ...base, keys: keys(8) })?.length).toBeLessThan(maximumCheckpoint)
    expect(encodeImaCheckpoint({ ...base, keys: keys(9) })).toBeNull()
    expect(() => parseImaCheckpoint(new Uint8Array(maximumCheckpoint + 1))).toThrow('above the limit')
  })

  it('is no stage, nor a stage a checkpoint (IMA-24)', () => {
    const { pending: _pending, restartCount: _restart, ...stage } = example ?? expect.unreachable()
    const staged = encodeImaStage(stage) ?? expect.unreachable()
    expect(parseImaStage(staged)).toEqual(stage)
    expect(() => parseImaCheckpoint(staged)).toThrow(MalformedError)
    expect(() => parseImaStage(one)).toThrow(MalformedError)
  })
})

describe('records that are listed by name', () => {
  const bytesOf = (name: string) => Uint8Array.from(name, (letter) => letter.charCodeAt(0))
  const add = (list: NamedRecords, kind: (typeof imaNamedKinds)[number], name: string) =>
    list.add(kind, bytesOf(`x${name}y`), 1, 1 + name.length)

  it('are escaped, counted, and in the order of their kinds (IMA-22)', () => {
    const list = new NamedRecords()
    for (const name of ['/b', '/a\n', '/b']) add(list, 'changed', name)
    add(list, 'violation', '/\xff')
    const expected = [
      { kind: 'violation', name: '/\\xff', count: 1 },
      { kind: 'changed', name: '/b', count: 2 },
      { kind: 'changed', name: '/a\\n', count: 1 },
    ]
    expect(list.list()).toEqual(expected)
    const again = new NamedRecords(list.list())
    add(again, 'changed', '/b')
    expect(again.list()[1]).toEqual({ kind: 'changed', name: '/b', count: 3 })
  })

  it('are the first hundred of each kind; those that are listed go on being counted', () => {
    const list = new NamedRecords()
    for (let at = 0; at < 150; at++) add(list, 'unlisted', `/${at}`)
    add(list, 'unlisted', '/99')
    add(list, 'unlisted', '/100')
    add(list, 'changed', '/100')
    const names = list.list()
    expect(names).toHaveLength(101)
    expect(names[99]).toEqual({ kind: 'unlisted', name: '/99', count: 2 })
  })

  it('fit a checkpoint whatever they are, also if it goes on for ever', () => {
    let named: ImaCheckpoint['named'] = []
    for (let round = 0; round < 3; round++) {
      const list = new NamedRecords(named)
      for (const kind of imaNamedKinds)
        for (let at = 0; at < 120; at++) add(list, kind, `${round}-${at}${'\xff'.repeat(400)}`)
      named = list.list()
    }
    const base = { ...(example ?? expect.unreachable()) }
    expect(encodeImaCheckpoint({ ...base, keys: [], named })?.length).toBeLessThan(30_000)
  })
})
