import { generateKeyPairSync, hash, sign } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRoot } from '../../../test/support/test-ca.ts'
import { haveVectors, vector, vectorJson } from '../../../test/support/vectors.ts'
import { concatBytes, isFilledWith, toBase64, toHex } from '../../base/bytes.ts'
import { encode, sizedBytes, struct, u8, u16be, u32be } from '../../base/layout.ts'
import { parseImaLog } from '../../evidence/ima/ima-log.ts'
import { parseImaSignature } from '../../evidence/ima/ima-signature.ts'
import { type ImaDigest, type ImaFields, parseImaTemplate } from '../../evidence/ima/ima-template.ts'
import { parseImaKey, parseImaKeys } from '../../reference-values/ima-keys.ts'
import { ImaKeyRing } from './ima-key-ring.ts'
import { type ImaSignatureVerdict, judgeImaSignature } from './ima-signatures.ts'

describe.skipIf(!haveVectors)('recorded signatures', () => {
  const key = (name: string) => vector(`tpm/sequence/${name}`)
  const manifest = haveVectors
    ? (vectorJson('tpm/MANIFEST.json') as {
        readonly file: string
        readonly expected: { readonly signatures?: readonly { readonly entry: number; readonly result: string }[] }
      }[])
    : []
  const log = manifest.find(({ file }) => file === 'sequence/s2.ima.bin')
  const records = haveVectors ? parseImaLog(key('s2.ima.bin')) : []
  const fieldsAt = (entry: number): ImaFields => {
    const record = records[entry]
    const { fields } = record ? parseImaTemplate(record) : { fields: null }
    return fields ?? expect.unreachable()
  }
  const references = haveVectors
    ? [...parseImaKeys(key('ima-rsa.der'), '.ima'), ...parseImaKeys(key('ima-ec.der'), '.ima')]
    : []

  it.each(log?.expected.signatures ?? [])('$path is $result (IMA-18)', ({ entry, result }) => {
    expect(judgeImaSignature(fieldsAt(entry), new ImaKeyRing(references))).toBe(result.split(' ')[0])
  })

  it('count by keys for files only, and by no others', () => {
    const verdict = (ring: ImaKeyRing) => judgeImaSignature(fieldsAt(14), ring)
    const under = (keyring: string) => references.map((one) => ({ ...one, keyring }))
    expect(verdict(new ImaKeyRing(under('_ima')))).toBe('valid')
    for (const keyring of ['.evm', '.builtin_trusted_keys', '.machine', '.platform', 'ima', '.ima\0']) {
      expect(verdict(new ImaKeyRing(under(keyring)))).toBe('unknown-key')
    }
    expect(verdict(new ImaKeyRing([]))).toBe('unknown-key')
  })

  it('count by keys that the log has shown only if these are listed', () => {
    const certificate = key('ima-rsa.der')
    const known = references.map((one) => ({ ...one, der: null }))
    const ring = new ImaKeyRing(known)
    expect(judgeImaSignature(fieldsAt(14), ring)).toBe('unknown-key')
    ring.learn('.evm', certificate)
    ring.learn('.ima', key('ek-rsa.nv.der'))
    expect([judgeImaSignature(fieldsAt(14), ring), ring.learned]).toEqual(['unknown-key', []])
    ring.learn('.ima', certificate)
    ring.learn('.ima', certificate)
    expect([judgeImaSignature(fieldsAt(14), ring), judgeImaSignature(fieldsAt(15), ring)]).toEqual([
      'valid',
      'unknown-key',
    ])
    expect(ring.learned).toEqual([{ keyring: '.ima', der: certificate }])
    expect(ring.learned[0]?.der.buffer).not.toBe(certificate.buffer)
    // A later appraisal takes them from its checkpoint.
    const next = new ImaKeyRing(known)
    for (const { keyring, der } of ring.learned) next.learn(keyring, der)
    expect(judgeImaSignature(fieldsAt(14), next)).toBe('valid')
  })

  it('any changed bit of digest or signature is not valid, and one of the name changes nothing', () => {
    const ring = new ImaKeyRing(references)
    for (const entry of [14, 15, 20, 27, 28]) {
      const fields = fieldsAt(entry)
      const { digest, signature, name } = fields
      if (digest === null || signature === null || name === null) return expect.unreachable()
      const flip = (bytes: Uint8Array, at: number) => bytes.with(at, (bytes[at] ?? 0) ^ 0x10)
      for (let at = 0; at < signature.length; at += at < 16 ? 1 : 7) {
        expect(judgeImaSignature({ ...fields, signature: flip(signature, at) }, ring), `${entry}: ${at}`).not.toBe(
          'valid',
        )
      }
      for (let at = 0; at < digest.digest.length; at += 5) {
        const other = { ...fields, digest: { ...digest, digest: flip(digest.digest, at) } }
        expect(judgeImaSignature(other, ring)).toBe('invalid')
      }
      expect(judgeImaSignature({ ...fields, name: flip(name, 1) }, ring)).toBe('valid')
    }
  })

  it('of records that are no violations all have the marks of the manifest', () => {
    const ring = new ImaKeyRing(references)
    const judged = records
      .filter(({ column }) => !isFilledWith(column, 0))
      .map((record) => [record.index, judgeImaSignature(fieldsAt(record.index), ring)] as const)
    const signed = new Set(log?.expected.signatures?.map(({ entry }) => entry))
    for (const [index, verdict] of judged) {
      if (!signed.has(index)) expect(verdict).toBe([29, 30].includes(index) ? 'not-verifiable' : 'absent')
    }
  })
})

const header = struct({ type: u8, version: u8, hash: u8, keyId: u32be, signature: sizedBytes(u16be) })
const pair = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
const other = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
const spkiOf = ({ publicKey }: typeof pair) => new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }))
const reference = (der: Uint8Array) => ({ keyring: '.ima', sha256: hash('sha256', der, 'hex'), der: toBase64(der) })
const spki = spkiOf(pair)
const { keyId } = parseImaKey(spki)
const content = new TextEncoder().encode('#!/bin/sh\n')
const hashed = (name: string, ...parts: readonly Uint8Array[]) =>
  new Uint8Array(hash(name, concatBytes(...parts), 'buffer'))
const none: ImaFields = {
  digest: null,
  name: new Uint8Array(),
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

describe('a signature', () => {
  const ring = () => new ImaKeyRing([reference(spki)])
  const fileDigest: ImaDigest = { of: 'ima', algorithm: 'sha256', digest: hashed('sha256', content) }
  const verityDigest: ImaDigest = { ...fileDigest, of: 'verity' }
  const fileSignature = new Uint8Array(sign('sha256', content, pair.privateKey))
  const veritySignature = new Uint8Array(
    sign('sha256', concatBytes(Uint8Array.of(6, 4), fileDigest.digest), pair.privateKey),
  )
  const plain = { type: 3, version: 2, hash: 4, keyId, signature: fileSignature }
  const verity = { type: 6, version: 3, hash: 4, keyId, signature: veritySignature }
  const judge = (value: Partial<typeof plain>, digest: ImaDigest | null = fileDigest, keys = ring()) =>
    judgeImaSignature({ ...none, digest, signature: encode(header, { ...plain, ...value }) }, keys)

  it('of a file and of fs-verity is valid over its own digest', () => {
    expect(judge({})).toBe('valid')
    expect(judge(verity, verityDigest)).toBe('valid')
  })

  it.each<[string, Partial<typeof plain>, ImaDigest | null, ImaSignatureVerdict]>([
    ['of EVM', { type: 5 }, fileDigest, 'not-verifiable'],
    ['of version 1', { version: 1 }, fileDigest, 'not-verifiable'],
    ['of version 3 over a file', { version: 3 }, fileDigest, 'not-verifiable'],
    ['of fs-verity and version 2', { type: 6 }, verityDigest, 'not-verifiable'],
    ['of another type', { type: 1 }, fileDigest, 'not-verifiable'],
    ['over a record without digest', {}, null, 'not-verifiable'],
    // Else the descriptor of fs-verity, signed as a file, would stand for the file that it describes.
    ['of a file over the digest of fs-verity', {}, verityDigest, 'not-verifiable'],
    ['of fs-verity over the digest of a file', verity, fileDigest, 'not-verifiable'],
    ['that names another hash', { hash: 5 }, fileDigest, 'not-verifiable'],
    ['that names no known hash', { hash: 23 }, fileDigest, 'not-verifiable'],
    [
      'that names SHA-1, as the record does',
      { hash: 2 },
      { ...fileDigest, algorithm: 'sha1', digest: hashed('sha1', content) },
      'not-verifiable',
    ],
    ['that names SM3, as the record does', { hash: 17 }, { ...fileDigest, algorithm: 'sm3' }, 'not-verifiable'],
    ['by a key that is not there', { keyId: (keyId ^ 1) >>> 0 }, fileDigest, 'unknown-key'],
    ['of a file, as version 3', { ...verity, signature: fileSignature }, verityDigest, 'invalid'],
    [
      'of fs-verity without its header',
      { ...verity, signature: new Uint8Array(sign('sha256', content, pair.privateKey)) },
      verityDigest,
      'invalid',
    ],
    [
      'by another key with that id',
      { signature: new Uint8Array(sign('sha256', content, other.privateKey)) },
      fileDigest,
      'invalid',
    ],
    [
      'of another hash under the right name',
      { signature: new Uint8Array(sign('sha384', content, pair.privateKey)) },
      fileDigest,
      'invalid',
    ],
    ['that is no DER', { signature: new Uint8Array(64) }, fileDigest, 'invalid'],
    ['without bytes', { signature: new Uint8Array() }, fileDigest, 'invalid'],
  ])('%s is %j', (_what, value, digest, verdict) => {
    expect(judge(value, digest)).toBe(verdict)
  })

  it.each([1, 2, 8, 9, 20])('cut to %i bytes is never valid', (size) => {
    const signature = encode(header, plain).subarray(0, size)
    expect(judgeImaSignature({ ...none, digest: fileDigest, signature }, ring())).toBe('invalid')
  })

  it('with a byte behind it is invalid', () => {
    const signature = concatBytes(encode(header, plain), Uint8Array.of(0))
    expect(judgeImaSignature({ ...none, digest: fileDigest, signature }, ring())).toBe('invalid')
  })

  it('is absent where the template has no field for it, or an empty one', () => {
    expect(judgeImaSignature({ ...none, digest: fileDigest }, ring())).toBe('absent')
    expect(judgeImaSignature({ ...none, digest: fileDigest, signature: new Uint8Array() }, ring())).toBe('absent')
    const empty = { ...none, modsig: new Uint8Array(), evmSignature: new Uint8Array() }
    expect(judgeImaSignature(empty, ring())).toBe('absent')
    expect(judgeImaSignature({ ...empty, modsig: Uint8Array.of(1) }, ring())).toBe('not-verifiable')
    expect(judgeImaSignature({ ...empty, evmSignature: Uint8Array.of(1) }, ring())).toBe('not-verifiable')
  })

  it('is compared with every key of its id, in any order', () => {
    const shared = new Uint8Array(20).fill(0x5a)
    const certificateOf = (keys: typeof pair) => createRoot({ keys, keyId: shared }).certificate.der
    const [own, foreign] = [reference(certificateOf(pair)), reference(certificateOf(other))]
    const named = { keyId: 0x5a5a5a5a }
    expect(judge(named, fileDigest, new ImaKeyRing([own, foreign]))).toBe('valid')
    expect(judge(named, fileDigest, new ImaKeyRing([foreign, own]))).toBe('valid')
    expect(judge(named, fileDigest, new ImaKeyRing([foreign]))).toBe('invalid')
    expect(judge({}, fileDigest, new ImaKeyRing([own]))).toBe('unknown-key')
  })

  it('by a listed key of a type that is not supported is not verifiable', () => {
    const unusable = generateKeyPairSync('ec', { namedCurve: 'secp256k1' })
    const der = new Uint8Array(unusable.publicKey.export({ format: 'der', type: 'spki' }))
    expect(judge({ keyId: parseImaKey(der).keyId }, fileDigest, new ImaKeyRing([reference(der)]))).toBe(
      'not-verifiable',
    )
  })

  it('is not verifiable once too many have been verified', () => {
    const keys = new ImaKeyRing([reference(spki)], { maximumVerifications: 2 })
    const verdicts = [{}, { signature: veritySignature }, {}, {}].map((value) => judge(value, fileDigest, keys))
    expect(verdicts).toEqual(['valid', 'invalid', 'not-verifiable', 'not-verifiable'])
    expect(judge({ keyId: 1 }, fileDigest, keys)).toBe('unknown-key')
  })

  it('by what is listed but is no key is by an unknown one', () => {
    const junk = new ImaKeyRing([{ ...reference(spki), der: toBase64(Uint8Array.of(0x30, 0)) }])
    expect(judge({}, fileDigest, junk)).toBe('unknown-key')
    const bytes = Uint8Array.of(0x30, 0)
    const listed = new ImaKeyRing([{ keyring: '.ima', sha256: toHex(hashed('sha256', bytes)), der: null }])
    listed.learn('.ima', bytes)
    expect(listed.learned).toEqual([])
    expect(junk.isListed('.ima', toHex(hashed('sha256', spki)))).toBe(true)
  })

  it('of any bytes is an answer, and a valid one only if it was signed', () => {
    const keys = ring()
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc
        .tuple(fc.constantFrom(plain, verity), fc.nat(), fc.integer({ min: 1, max: 255 }))
        .map(([value, at, change]) => {
          const good = encode(header, value)
          return good.with(at % good.length, (good[at % good.length] ?? 0) ^ change)
        }),
    )
    fc.assert(
      fc.property(bytes, fc.constantFrom(fileDigest, verityDigest, null), (signature, digest) => {
        expect(judgeImaSignature({ ...none, digest, signature }, keys)).not.toBe('valid')
      }),
      { numRuns: 300 },
    )
  })
})

describe('the header of a signature', () => {
  it('has its fields in their order', () => {
    const bytes = new Uint8Array(Buffer.from('030204e0fa982f0003aabbcc', 'hex'))
    expect(parseImaSignature(bytes)).toEqual({
      kind: 'ima-v2',
      hash: 'sha256',
      keyId: 0xe0fa982f,
      signature: Uint8Array.of(0xaa, 0xbb, 0xcc),
    })
    expect(() => parseImaSignature(bytes.subarray(0, 11), 'record.sig')).toThrow(
      'record.sig.signature: needs 3 bytes, has 2 (at byte 9)',
    )
    expect(() => parseImaSignature(concatBytes(bytes, bytes))).toThrow('12 bytes left over')
    expect(() => parseImaSignature(Uint8Array.of(3))).toThrow('signature.version')
    expect(parseImaSignature(Uint8Array.of(3, 1, 9, 9))).toEqual({ kind: 'other', type: 3, version: 1 })
  })
})
