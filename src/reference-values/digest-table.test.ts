import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digestSet, type ReferenceAlgorithm, referenceAlgorithmNames, referenceAlgorithms } from './digest-set.ts'
import { buildDigestTable, DigestLookup, digestCode, lookupDigest } from './digest-table.ts'

const seed = [0x01234567, 0x89abcdef] as const
const bytesOf = (name: string) => Uint8Array.from(name, (letter) => letter.charCodeAt(0))
const digest = (byte: number, algorithm: ReferenceAlgorithm = 'sha256') => ({
  algorithm,
  digest: new Uint8Array(referenceAlgorithms[algorithm]).fill(byte),
})

describe('a table of digests', () => {
  const table = buildDigestTable(
    new Map([
      ['/usr/bin/a', digestSet([digest(1), digest(2), digest(3, 'sha512')])],
      ['/usr/bin/b', digestSet([digest(4)])],
      ['/none', ''],
      ['', digestSet([digest(5)])],
    ]),
    seed,
  )
  const look = (path: string, byte: number, algorithm: ReferenceAlgorithm = 'sha256') =>
    lookupDigest(table, bytesOf(path), algorithm, digest(byte, algorithm).digest)

  it.each([
    ['/usr/bin/a', 1, 'sha256', 'allowed'],
    ['/usr/bin/a', 2, 'sha256', 'allowed'],
    ['/usr/bin/a', 3, 'sha512', 'allowed'],
    ['/usr/bin/a', 3, 'sha256', 'changed'],
    ['/usr/bin/a', 1, 'sm3', 'changed'],
    ['/usr/bin/a', 4, 'sha256', 'changed'],
    ['/usr/bin/b', 4, 'sha256', 'allowed'],
    ['/usr/bin/B', 4, 'sha256', 'unknown'],
    ['/usr/bin/b/', 4, 'sha256', 'unknown'],
    ['/usr/bin/../bin/b', 4, 'sha256', 'unknown'],
    ['/usr/bin', 4, 'sha256', 'unknown'],
    ['/none', 1, 'sha256', 'changed'],
    ['', 5, 'sha256', 'allowed'],
  ] as const)('%j with %i as %s is %s (IMA-15)', (path, byte, algorithm, verdict) => {
    expect(look(path, byte, algorithm)).toBe(verdict)
  })

  it('takes no digest of another length for the same', () => {
    expect(lookupDigest(table, bytesOf('/usr/bin/b'), 'sha256', new Uint8Array(31).fill(4))).toBe('changed')
    expect(lookupDigest(table, bytesOf('/usr/bin/b'), 'sha256', new Uint8Array(0))).toBe('changed')
  })

  it('has no code for algorithms that no reference value can have', () => {
    expect(digestCode('md5')).toBe(-1)
    expect(digestCode('toString')).toBe(-1)
    const log = new Uint8Array([...bytesOf('/usr/bin/b'), ...digest(4).digest])
    expect(new DigestLookup(table, log).find(0, 10, -1, 10)).toBe('changed')
  })

  it('of no files knows none', () => {
    expect(lookupDigest(buildDigestTable([], seed), bytesOf('/x'), 'sha256', digest(1).digest)).toBe('unknown')
  })

  it('unites the entries of one path', () => {
    const twice = buildDigestTable(
      [1, 2].map((byte) => ['/a', digestSet([digest(byte)])] as const),
      seed,
    )
    const verdicts = [1, 2, 3].map((byte) => lookupDigest(twice, bytesOf('/a'), 'sha256', digest(byte).digest))
    expect(verdicts).toEqual(['allowed', 'allowed', 'changed'])
  })

  it('refuses entries that can be gone through only once, and paths beyond 64 KiB', () => {
    const once = (function* () {
      yield ['/a', ''] as const
    })()
    expect(() => buildDigestTable(once, seed)).toThrow(TypeError)
    expect(() => buildDigestTable([['a'.repeat(65_536), '']], seed)).toThrow(RangeError)
    expect(() => buildDigestTable([['a'.repeat(65_535), '']], seed)).not.toThrow()
    expect(lookupDigest(table, new Uint8Array(65_536), 'sha256', digest(1).digest)).toBe('unknown')
  })

  it('answers as a map would, for any names, under any key', () => {
    const names = fc.array(fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString('latin1')))
    const word = fc.integer({ min: 0, max: 0xffffffff })
    fc.assert(
      fc.property(names, names, fc.tuple(word, word), fc.nat(3), (known, asked, key, byte) => {
        const algorithm = referenceAlgorithmNames[byte] ?? 'sha1'
        const own = new Map(known.map((name, index) => [name, digestSet([digest(index % 4, algorithm)])]))
        const one = buildDigestTable(own, key)
        for (const name of [...known, ...asked]) {
          const expected = own.get(name) === undefined ? 'unknown' : null
          const is = own.get(name) === digestSet([digest(byte, algorithm)])
          const verdict = lookupDigest(one, bytesOf(name), algorithm, digest(byte, algorithm).digest)
          expect(verdict).toBe(expected ?? (is ? 'allowed' : 'changed'))
        }
      }),
    )
  })

  it('goes to another thread without a copy', async () => {
    const worker = new Worker(
      "const {parentPort}=require('node:worker_threads');parentPort.once('message',t=>{t.arena[0]=77;parentPort.postMessage('done')})",
      { eval: true },
    )
    const shared = buildDigestTable([['/a', digestSet([digest(1)])]], seed)
    worker.postMessage(shared)
    await new Promise((resolve) => worker.once('message', resolve))
    await worker.terminate()
    expect(shared.arena[0]).toBe(77)
  })
})
