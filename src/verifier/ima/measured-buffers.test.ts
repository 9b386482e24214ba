import { hash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createRoot } from '../../../test/support/test-ca.ts'
import { haveVectors, vector } from '../../../test/support/vectors.ts'
import { toBase64, toLatin1 } from '../../base/bytes.ts'
import { parseImaLog } from '../../evidence/ima/ima-log.ts'
import { type ImaFields, parseImaTemplate } from '../../evidence/ima/ima-template.ts'
import { digestOf } from '../../evidence/tpm/algorithms.ts'
import { hexDigest, uniteDigests } from '../../reference-values/digest-set.ts'
import { parseImaKeys } from '../../reference-values/ima-keys.ts'
import { ImaKeyRing } from './ima-key-ring.ts'
import { judgeMeasuredBuffer, prepareBufferLists } from './measured-buffers.ts'

const latin1 = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'))
const hex = (algorithm: string, bytes: Uint8Array) => hash(algorithm, bytes, 'hex')

describe.skipIf(!haveVectors)('recorded buffers (IMA-17)', () => {
  const key = (name: string) => vector(`tpm/sequence/${name}`)
  const records = haveVectors ? parseImaLog(key('s2.ima.bin')) : []
  const judge = (ring: ImaKeyRing, lists = prepareBufferLists([])) =>
    records
      .filter(({ template }) => template === 'ima-buf')
      .map((record) => {
        const { fields } = parseImaTemplate(record)
        if (fields === null) return expect.unreachable()
        const { kind, verdict } = judgeMeasuredBuffer(fields, lists, ring)
        return `${toLatin1(fields.name ?? new Uint8Array())} ${kind} ${verdict}`
      })

  it('are allowed where they are listed, each by its own list', () => {
    const rsa = parseImaKeys(key('ima-rsa.der'), '.ima')
    const cmdline = latin1('root=/dev/vda1 ro quiet')
    const lists = prepareBufferLists([
      { name: 'kexec-cmdline', digests: hexDigest('sha384', hex('sha384', cmdline)) },
      { name: 'dm_table_load', digests: hexDigest('sha256', hex('sha256', cmdline)) },
    ])
    expect(judge(new ImaKeyRing(rsa), lists)).toEqual([
      '.ima key allowed',
      '.ima key not-allowed',
      'kexec-cmdline data allowed',
      'dm_table_load data not-allowed',
    ])
  })

  it('without a list for their names are told from those that are not on it', () => {
    expect(judge(new ImaKeyRing([]))).toEqual([
      '.ima key unlisted',
      '.ima key unlisted',
      'kexec-cmdline data unlisted',
      'dm_table_load data unlisted',
    ])
  })

  it('make the keys usable that are listed without their DER', () => {
    const known = ['ima-rsa.der', 'ima-ec.der'].flatMap((name) => parseImaKeys(key(name), '.ima'))
    const ring = new ImaKeyRing(known.map((one) => ({ ...one, der: null })))
    judge(ring)
    expect(ring.learned.map(({ der }) => hex('sha256', der))).toEqual(known.map(({ sha256 }) => sha256))
    expect(ring.keysOf(0xe0fa982f)).toHaveLength(1)
  })
})

describe('a buffer', () => {
  const content = latin1('content')
  const none: ImaFields = {
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
  const record = (name: string, buffer: Uint8Array = content): ImaFields => ({
    ...none,
    name: latin1(name),
    buffer,
    digest: { of: 'ima', algorithm: 'sha256', digest: digestOf('sha256', buffer) },
  })
  const lists = (name: string, ...sets: readonly string[]) =>
    prepareBufferLists([{ name, digests: uniteDigests(...sets) }])
  const right = hexDigest('sha256', hex('sha256', content))
  const ring = () => new ImaKeyRing([])
  const verdictOf = (fields: ImaFields, known = lists('label', right)) =>
    judgeMeasuredBuffer(fields, known, ring()).verdict

  it('has the digest of its content, by the algorithm of its record', () => {
    const fields = record('label')
    expect(judgeMeasuredBuffer(fields, lists('label', right), ring())).toEqual({
      kind: 'data',
      verdict: 'allowed',
      sha256: hex('sha256', content),
    })
    for (const algorithm of ['sha1', 'sha384', 'sha512'] as const) {
      const digest = { of: 'ima', algorithm, digest: digestOf(algorithm, content) } as const
      expect(verdictOf({ ...fields, digest })).toBe('allowed')
      expect(verdictOf({ ...fields, digest: { ...digest, digest: digest.digest.with(0, 1).with(1, 1) } })).toBe(
        'wrong-digest',
      )
    }
  })

  it('whose digest is wrong is that before anything else', () => {
    const digest = { of: 'ima', algorithm: 'sha256', digest: new Uint8Array(32) } as const
    for (const name of ['label', 'unknown', '.ima', '/usr/bin/env']) {
      expect(verdictOf({ ...record(name), digest })).toBe('wrong-digest')
    }
  })

  it('with a digest that cannot be computed, or without one, is not verifiable', () => {
    const sm3 = { of: 'ima', algorithm: 'sm3', digest: new Uint8Array(32) } as const
    expect(verdictOf({ ...record('label'), digest: sm3 })).toBe('not-verifiable')
    for (const member of ['digest', 'name', 'buffer'] as const) {
      expect(judgeMeasuredBuffer({ ...record('label'), [member]: null }, lists('label', right), ring())).toEqual({
        kind: 'file',
        verdict: 'not-verifiable',
        sha256: '',
      })
    }
  })

  it.each([
    ['of several digests', [right, hexDigest('sha256', 'ab'.repeat(32))], 'allowed'],
    ['of other digests', [hexDigest('sha256', 'ab'.repeat(32)), hexDigest('sha1', 'cd'.repeat(20))], 'not-allowed'],
    [
      'of digests that are not supported',
      [hexDigest('sm3', hex('sha256', content)), hexDigest('sha224', hex('sha224', content))],
      'not-allowed',
    ],
    ['that is empty', [], 'not-allowed'],
  ])('is judged by a list %s', (_what, sets, verdict) => {
    expect(verdictOf(record('label'), lists('label', ...sets))).toBe(verdict)
  })

  it('has several lists under one name together', () => {
    const both = prepareBufferLists([
      { name: 'label', digests: hexDigest('sha256', 'ab'.repeat(32)) },
      { name: 'label', digests: right },
    ])
    expect(verdictOf(record('label'), both)).toBe('allowed')
  })

  // Template ima-sig under the name ima-buf: a file that begins like a signature, with itself as its signature.
  it('with a path for a name is a file by another template, and never off the lists', () => {
    expect(verdictOf(record('/usr/bin/evil'))).toBe('not-allowed')
    expect(verdictOf(record('/usr/bin/evil'), lists('/usr/bin/evil', right))).toBe('not-allowed')
  })

  it('that begins like a signature may be that file by its bare name, unless it is listed', () => {
    const judged = (name: string, start: string, known = lists('label', right)) => {
      const { kind, verdict } = judgeMeasuredBuffer(record(name, latin1(`${start}x`)), known, ring())
      return [kind, verdict]
    }
    for (const start of ['\x03', '\x05', '\x06']) {
      for (const name of ['script', '.script', 'label']) expect(judged(name, start)).toEqual(['file', 'not-allowed'])
      const own = hexDigest('sha256', hex('sha256', latin1(`${start}x`)))
      expect(judged('label', start, lists('label', own))).toEqual(['data', 'allowed'])
    }
    for (const start of ['', '\x04', '\x30']) expect(judged('script', start)).toEqual(['data', 'unlisted'])
  })

  it('of a keyring is known by the name of one, or by its list', () => {
    const kinds = (name: string, keys = ring(), known = prepareBufferLists([])) => {
      const { kind, verdict } = judgeMeasuredBuffer(record(name), known, keys)
      return [kind, verdict]
    }
    for (const name of [
      '.ima',
      '.evm',
      '.builtin_trusted_keys',
      '.machine',
      '.secondary_trusted_keys',
      '.platform',
      '.blacklist',
      '_ima',
      '_evm',
    ]) {
      expect(kinds(name)).toEqual(['key', 'unlisted'])
    }
    expect(kinds('_uid.0')).toEqual(['data', 'unlisted'])
    const own = new ImaKeyRing([{ keyring: '_uid.0', sha256: hex('sha256', content), der: null }])
    expect(kinds('_uid.0', own)).toEqual(['key', 'allowed'])
    expect(kinds('.ima', own)).toEqual(['key', 'unlisted'])
    expect(kinds('.ima', own, lists('.ima', right))).toEqual(['data', 'allowed'])
  })

  it('is allowed in the keyring for which it is listed only', () => {
    const { der } = createRoot().certificate
    const keys = new ImaKeyRing([
      { keyring: '.ima', sha256: hex('sha256', der), der: toBase64(der) },
      { keyring: '.evm', sha256: hex('sha256', content), der: null },
    ])
    const judged = (name: string, buffer: Uint8Array) =>
      judgeMeasuredBuffer(record(name, buffer), new Map(), keys).verdict
    expect([judged('.ima', der), judged('.evm', der), judged('.evm', content)]).toEqual([
      'allowed',
      'not-allowed',
      'allowed',
    ])
    expect(keys.learned).toEqual([])
  })
})
