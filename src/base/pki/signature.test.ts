import { sign } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createRoot, issue } from '../../../test/support/test-ca.ts'
import {
  type AlgorithmName,
  flipBit,
  generateKeys,
  type KeyKind,
  spkiOf,
} from '../../../test/support/test-ca-schema.ts'
import { readPublicKey } from './public-key.ts'
import { verifyRawEcdsa, verifySignature } from './signature.ts'

const pairs = new Map(
  (['P-256', 'P-384', 'P-521', 'rsa', 'rsa-1024', 'ed25519'] as const).map((kind) => [kind, generateKeys(kind)]),
)
const signedBy = (kind: KeyKind, algorithm: AlgorithmName) => {
  const keys = pairs.get(kind as 'rsa') ?? generateKeys(kind)
  const root = createRoot({ keys })
  const certificate = issue({ signer: root, algorithm })
  return { certificate, spki: spkiOf(keys.publicKey) }
}

describe('a signature on a certificate', () => {
  it.each<[KeyKind, AlgorithmName, string]>([
    ['P-256', 'ecdsa-sha256', 'valid'],
    ['P-384', 'ecdsa-sha384', 'valid'],
    ['P-521', 'ecdsa-sha512', 'valid'],
    ['P-256', 'ecdsa-sha512', 'valid'],
    ['rsa', 'rsa-sha256', 'valid'],
    ['rsa', 'rsa-sha384', 'valid'],
    ['rsa', 'rsa-sha512', 'valid'],
    ['rsa', 'pss-sha256', 'valid'],
    ['rsa', 'pss-sha384-without-null', 'valid'],
    ['rsa', 'rsa-sha1', 'weak_algorithm'],
    ['rsa', 'rsa-md5', 'weak_algorithm'],
    ['P-256', 'ecdsa-sha1', 'weak_algorithm'],
    ['rsa', 'pss-defaults', 'weak_algorithm'],
    ['rsa', 'rsa-sha256-without-null', 'unsupported_algorithm'],
    ['ed25519', 'ed25519', 'unsupported_algorithm'],
    ['rsa-1024', 'rsa-sha256', 'unusable_key'],
  ])('by %s with %s is %s', (kind, algorithm, verdict) => {
    const { certificate, spki } = signedBy(kind, algorithm)
    expect(verifySignature(certificate.signatureAlgorithm, spki, certificate.tbs, certificate.signature)).toBe(verdict)
  })

  it.each<[KeyKind, AlgorithmName]>([
    ['P-256', 'ecdsa-sha256'],
    ['rsa', 'rsa-sha256'],
    ['rsa', 'pss-sha256'],
  ])('by %s with %s is invalid for other data, another signature, another hash, another key', (kind, algorithm) => {
    const { certificate, spki } = signedBy(kind, algorithm)
    const { signatureAlgorithm, tbs, signature } = certificate
    const verdict = (data: Uint8Array, bytes: Uint8Array, key = spki) =>
      verifySignature(signatureAlgorithm, key, data, bytes)
    expect(verdict(flipBit(tbs, 50), signature)).toBe('invalid')
    expect(verdict(tbs, flipBit(signature, signature.length - 1))).toBe('invalid')
    expect(verdict(tbs, signature.subarray(0, -1))).toBe('invalid')
    expect(verdict(tbs, Uint8Array.of(...signature, 0))).toBe('invalid')
    expect(verdict(tbs, new Uint8Array())).toBe('invalid')
    expect(verdict(tbs, signature, spkiOf(generateKeys(kind).publicKey))).toBe('invalid')
    if (signatureAlgorithm.kind === 'weak' || signatureAlgorithm.kind === 'unsupported') throw new Error('not here')
    expect(verifySignature({ ...signatureAlgorithm, hash: 'sha512' }, spki, tbs, signature)).toBe('invalid')
  })

  it('is invalid where the key is of another type than the algorithm', () => {
    const rsa = signedBy('rsa', 'rsa-sha256')
    const ec = signedBy('P-256', 'ecdsa-sha256')
    const { tbs, signature } = rsa.certificate
    expect(verifySignature(rsa.certificate.signatureAlgorithm, ec.spki, tbs, signature)).toBe('invalid')
    expect(verifySignature(ec.certificate.signatureAlgorithm, rsa.spki, tbs, signature)).toBe('invalid')
  })

  it('with RSA-PSS needs a salt as long as the hash', () => {
    const { certificate, spki } = signedBy('rsa', 'pss-sha256')
    const key = pairs.get('rsa')?.privateKey
    if (!key) throw new Error('no key')
    const short = sign('sha256', certificate.tbs, { key, padding: 6, saltLength: 8 })
    expect(verifySignature(certificate.signatureAlgorithm, spki, certificate.tbs, short)).toBe('invalid')
  })

  it('with ECDSA must be DER', () => {
    const { certificate, spki } = signedBy('P-256', 'ecdsa-sha256')
    const key = pairs.get('P-256')?.privateKey
    if (!key) throw new Error('no key')
    const raw = sign('sha256', certificate.tbs, { key, dsaEncoding: 'ieee-p1363' })
    expect(verifySignature(certificate.signatureAlgorithm, spki, certificate.tbs, raw)).toBe('invalid')
  })
})

describe('a raw signature, r and s at the size of the field (TDX-151, TDX-264)', () => {
  const keys = generateKeys('P-256')
  const data = Buffer.from('signed text')
  const raw = new Uint8Array(sign('sha256', data, { key: keys.privateKey, dsaEncoding: 'ieee-p1363' }))
  const reading = readPublicKey(spkiOf(keys.publicKey))
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
  const s = BigInt(`0x${Buffer.from(raw.subarray(32)).toString('hex')}`)
  const otherS = Buffer.from((order - s).toString(16).padStart(64, '0'), 'hex')

  it.each<[string, Uint8Array, boolean]>([
    ['as it was made', raw, true],
    ['with n - s in the place of s', Uint8Array.of(...raw.subarray(0, 32), ...otherS), true],
    ['in DER', new Uint8Array(sign('sha256', data, keys.privateKey)), false],
    ['of 63 bytes', raw.subarray(1), false],
    ['of 65 bytes', Uint8Array.of(0, ...raw), false],
    ['of zeros', new Uint8Array(64), false],
    ['of ones', new Uint8Array(64).fill(0xff), false],
    ['of nothing', new Uint8Array(), false],
    ['with one bit changed', flipBit(raw, 40), false],
  ])('%s', (_what, signature, valid) => {
    expect(verifyRawEcdsa(reading, data, signature)).toBe(valid)
  })

  it('is invalid over other data, under another key, under RSA and under no key', () => {
    expect(verifyRawEcdsa(reading, Buffer.from('signed texu'), raw)).toBe(false)
    for (const kind of ['P-256', 'P-384', 'rsa', 'ed25519'] as const) {
      expect(verifyRawEcdsa(readPublicKey(spkiOf(generateKeys(kind).publicKey)), data, raw)).toBe(false)
    }
  })
})
