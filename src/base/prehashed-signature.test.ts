import {
  constants,
  createECDH,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hash,
  type KeyObject,
  privateEncrypt,
  sign,
  verify,
} from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes, toBase64url } from './bytes.ts'
import { readPublicKey } from './pki/public-key.ts'
import { type DigestKey, digestKeyOf, type SignedDigest, verifyDigest } from './prehashed-signature.ts'

interface Signer {
  readonly name: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly key: DigestKey
}

function signerOf(name: string, { privateKey, publicKey }: { privateKey: KeyObject; publicKey: KeyObject }): Signer {
  const reading = readPublicKey(new Uint8Array(publicKey.export({ format: 'der', type: 'spki' })))
  if (!reading.usable) throw new Error(reading.problem)
  return { name, privateKey, publicKey, key: digestKeyOf(reading.publicKey) }
}

const curveNames = { 'P-256': 'prime256v1', 'P-384': 'secp384r1', 'P-521': 'secp521r1' } as const
const curveSigners = Object.entries(curveNames).map(([name, namedCurve]) =>
  signerOf(name, generateKeyPairSync('ec', { namedCurve })),
)
const rsa = signerOf('RSA-2048', generateKeyPairSync('rsa', { modulusLength: 2048 }))
const signers = [rsa, ...curveSigners]
const hashNames: readonly SignedDigest[] = ['sha256', 'sha384', 'sha512']
const digestOf = (name: SignedDigest, data: Uint8Array) => new Uint8Array(hash(name, data, 'buffer'))
const cases = signers.flatMap((signer) => hashNames.map((name) => ({ of: signer.name, name, signer })))

describe('signatures over digests', () => {
  it.each(cases)('$of with $name says what a verification over the data says', ({ name, signer }) => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 40 }),
        fc.option(fc.tuple(fc.nat(600), fc.integer({ min: 1, max: 255 })), { freq: 2 }),
        fc.boolean(),
        (data, change, sameData) => {
          const signature = new Uint8Array(sign(name, data, signer.privateKey))
          if (change) {
            const at = change[0] % signature.length
            signature[at] = (signature[at] ?? 0) ^ change[1]
          }
          const verified = sameData ? data : concatBytes(data, Uint8Array.of(0))
          const expected = verify(name, verified, signer.publicKey, signature)
          expect(verifyDigest(signer.key, name, digestOf(name, verified), signature)).toBe(expected)
          if (change === null) expect(expected).toBe(sameData)
        },
      ),
      { numRuns: 60 },
    )
  })

  it.each(cases)('$of with $name: any bytes are an answer', ({ name, signer }) => {
    const answers = fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ minLength: 256, maxLength: 256 }))
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70 }), answers, (digest, signature) => {
        expect(verifyDigest(signer.key, name, digest, signature)).toBe(false)
      }),
      { numRuns: 50 },
    )
  })

  it.each(cases)('$of with $name: a digest that is cut or longer is no digest', ({ name, signer }) => {
    const digest = digestOf(name, Uint8Array.of(7))
    const signature = sign(name, Uint8Array.of(7), signer.privateKey)
    expect(verifyDigest(signer.key, name, digest, signature)).toBe(true)
    expect(verifyDigest(signer.key, name, digest.subarray(1), signature)).toBe(false)
    expect(verifyDigest(signer.key, name, concatBytes(digest, Uint8Array.of(0)), signature)).toBe(false)
    expect(verifyDigest(signer.key, name, new Uint8Array(), signature)).toBe(false)
  })
})

describe('RSA padding is compared whole', () => {
  const digest = digestOf('sha256', Uint8Array.of(1))
  const info = Buffer.from('3031300d060960864801650304020105000420', 'hex')
  const raw = (message: Uint8Array) =>
    new Uint8Array(privateEncrypt({ key: rsa.privateKey, padding: constants.RSA_NO_PADDING }, message))
  const block = (first: number, type: number, filling: Uint8Array, tail: Uint8Array) =>
    concatBytes(Uint8Array.of(first, type), filling, Uint8Array.of(0), tail)
  const ff = (size: number) => new Uint8Array(size).fill(0xff)
  const tail = concatBytes(info, digest)
  const full = 256 - 3 - tail.length
  const holds = (message: Uint8Array) => verifyDigest(rsa.key, 'sha256', digest, raw(message))

  it('takes the one encoding', () => {
    expect(holds(block(0, 1, ff(full), tail))).toBe(true)
  })

  it.each([
    ['a short padding and bytes behind the digest', block(0, 1, ff(8), concatBytes(tail, new Uint8Array(full - 8)))],
    [
      'bytes behind the digest inside a longer structure',
      block(0, 1, ff(full - 4), concatBytes(tail, new Uint8Array(4))),
    ],
    ['block type 2', block(0, 2, ff(full), tail)],
    ['a byte of the padding that is not FF', block(0, 1, ff(full).with(5, 0xfe), tail)],
    ['a zero in the padding', block(0, 1, ff(full).with(full - 1, 0), tail)],
    [
      'no NULL in the algorithm',
      block(
        0,
        1,
        ff(full + 2),
        concatBytes(Buffer.from('302f300b0609608648016503040201', 'hex'), Buffer.from('0420', 'hex'), digest),
      ),
    ],
    [
      'the identifier of SHA-384',
      block(
        0,
        1,
        ff(full),
        concatBytes(
          info.map((byte, at) => (at === 14 ? 2 : byte)),
          digest,
        ),
      ),
    ],
    ['no structure around the digest', block(0, 1, ff(full + info.length), digest)],
  ])('refuses %s', (_what, message) => {
    expect(message.length).toBe(256)
    expect(holds(message)).toBe(false)
  })

  it('refuses the same number in fewer bytes', () => {
    for (let at = 0; ; at++) {
      const data = Buffer.from(String(at))
      const signature = sign('sha256', data, rsa.privateKey)
      if (signature[0] !== 0) continue
      const holdsIn = (bytes: Uint8Array) => verifyDigest(rsa.key, 'sha256', digestOf('sha256', data), bytes)
      expect([holdsIn(signature), holdsIn(signature.subarray(1))]).toEqual([true, false])
      return
    }
  })

  it('refuses a signature of another length and one that is not below the modulus', () => {
    const signature = raw(block(0, 1, ff(full), tail))
    expect(verifyDigest(rsa.key, 'sha256', digest, concatBytes(Uint8Array.of(0), signature))).toBe(false)
    expect(verifyDigest(rsa.key, 'sha256', digest, signature.subarray(0, 255))).toBe(false)
    expect(verifyDigest(rsa.key, 'sha256', digest, ff(256))).toBe(false)
    expect(verifyDigest(rsa.key, 'sha256', digest, new Uint8Array(256))).toBe(false)
  })
})

describe('ECDSA at its edges, P-256', () => {
  const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
  const [signer] = curveSigners
  const integer = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
  const bytes = (value: bigint, size = 32) =>
    new Uint8Array(Buffer.from(value.toString(16).padStart(2 * size, '0'), 'hex'))
  const power = (base: bigint, exponent: bigint): bigint =>
    exponent === 0n ? 1n : (power((base * base) % n, exponent / 2n) * (exponent % 2n === 1n ? base : 1n)) % n
  const inverse = (value: bigint) => power(((value % n) + n) % n, n - 2n)
  const der = (...parts: readonly bigint[]) => {
    const integers = parts.map((part) => {
      const hex = part.toString(16)
      const content = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
      const padded = (content[0] ?? 0) >= 0x80 ? concatBytes(Uint8Array.of(0), content) : content
      return concatBytes(Uint8Array.of(2, padded.length), padded)
    })
    const content = concatBytes(...integers)
    return concatBytes(Uint8Array.of(0x30, content.length), content)
  }
  const holds = (digest: Uint8Array, signature: Uint8Array) =>
    signer !== undefined && verifyDigest(signer.key, 'sha256', digest, signature)
  const numbers = (signature: Uint8Array) => {
    const raw = signature
    const rSize = raw[3] ?? 0
    return { r: integer(raw.subarray(4, 4 + rSize)), s: integer(raw.subarray(6 + rSize)) }
  }
  const digest = digestOf('sha256', Uint8Array.of(9))
  const { r, s } = numbers(signer ? new Uint8Array(sign('sha256', Uint8Array.of(9), signer.privateKey)) : digest)

  it('takes both forms of a signature', () => {
    expect(holds(digest, der(r, s))).toBe(true)
    expect(holds(digest, der(r, n - s))).toBe(true)
  })

  it.each([
    ['r = 0', () => der(0n, s)],
    ['s = 0', () => der(r, 0n)],
    ['both 0', () => der(0n, 0n)],
    ['r = n', () => der(n, s)],
    ['r + n', () => der(r + n, s)],
    ['s + n', () => der(r, s + n)],
    ['s = n', () => der(r, n)],
    ['a third number', () => der(r, s, 1n)],
    ['one number', () => der(r)],
    ['r = n - r', () => der(n - r, s)],
    ['a byte behind', () => concatBytes(der(r, s), Uint8Array.of(0))],
    ['a length in long form', () => concatBytes(Uint8Array.of(0x30, 0x81), der(r, s).subarray(1))],
    ['raw r and s', () => concatBytes(bytes(r), bytes(s))],
    ['nothing', () => new Uint8Array()],
  ])('refuses %s', (_what, signature) => {
    expect(holds(digest, signature())).toBe(false)
  })

  it('a number r with a leading zero too many is not DER', () => {
    const [body, tail] = [concatBytes(Uint8Array.of(0, 0), bytes(r)), der(s).subarray(2)]
    const integers = concatBytes(Uint8Array.of(2, body.length), body, tail)
    expect(holds(digest, concatBytes(Uint8Array.of(0x30, integers.length), integers))).toBe(false)
  })

  // The key is moved by t = (e - f)/r. Whoever knows d can make t = ±d, where moving by the first message fails.
  it.each([1n, -1n, 0n])(
    'answers where the key is moved onto itself, onto infinity, or not at all (%s d)',
    (factor) => {
      const d = integer(Buffer.from(signer?.privateKey.export({ format: 'jwk' }).d ?? '', 'base64url'))
      for (const message of [1, 2, 3]) {
        const f = integer(digestOf('sha256', Uint8Array.of(message)))
        const k = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
        const { x = '', d: secret = '' } = k.privateKey.export({ format: 'jwk' })
        const point = integer(Buffer.from(x, 'base64url')) % n
        const e = (((f + factor * d * point) % n) + n) % n
        const signed = ((e + point * d) * inverse(integer(Buffer.from(secret, 'base64url')))) % n
        // With t = -d the number e + rd is f, which gives a valid signature as any other.
        expect(holds(bytes(e), der(point, signed))).toBe(true)
        expect(holds(bytes((e + 1n) % n), der(point, signed))).toBe(false)
      }
    },
  )

  it('a digest above the order counts modulo the order', () => {
    const k = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
    const jwk = k.privateKey.export({ format: 'jwk' })
    const all = new Uint8Array(32).fill(0xff)
    const d = integer(Buffer.from(signer?.privateKey.export({ format: 'jwk' }).d ?? '', 'base64url'))
    const point = integer(Buffer.from(jwk.x ?? '', 'base64url')) % n
    const signed = ((integer(all) + point * d) * inverse(integer(Buffer.from(jwk.d ?? '', 'base64url')))) % n
    expect(holds(all, der(point, signed))).toBe(true)
  })

  it('keys whose coordinates begin with zeros verify', () => {
    const pairs = Array.from({ length: 400 }, (_none, index) => createSmallKey(index + 1)).filter(
      (pair) => pair !== null,
    )
    expect(pairs.length).toBeGreaterThan(0)
    for (const pair of pairs) {
      const small = signerOf('small', pair)
      const signature = sign('sha256', Uint8Array.of(1), small.privateKey)
      expect(verifyDigest(small.key, 'sha256', digestOf('sha256', Uint8Array.of(1)), signature)).toBe(true)
    }
  })

  /** The key pair of a small scalar, if a coordinate of its point begins with a zero byte. */
  function createSmallKey(scalar: number): { privateKey: KeyObject; publicKey: KeyObject } | null {
    const ecdh = createECDH('prime256v1')
    ecdh.setPrivateKey(bytes(BigInt(scalar)))
    const point = ecdh.getPublicKey()
    if (point[1] !== 0 && point[33] !== 0) return null
    const [x, y] = [toBase64url(point.subarray(1, 33)), toBase64url(point.subarray(33))]
    const jwk = { kty: 'EC', crv: 'P-256', x, y }
    const privateKey = createPrivateKey({ key: { ...jwk, d: toBase64url(bytes(BigInt(scalar))) }, format: 'jwk' })
    return { privateKey, publicKey: createPublicKey({ key: jwk, format: 'jwk' }) }
  }
})
