import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { concatBytes } from '../bytes.ts'
import { readP256Point, readPublicKey } from './public-key.ts'

/** A SubjectPublicKeyInfo of an odd modulus with this many bits, as OpenSSL writes it. */
function rsa(bits: number, exponent = 65537n): Uint8Array {
  const modulus: Uint8Array = new Uint8Array(Math.ceil(bits / 8)).fill(0xff)
  modulus[0] = 0xff >> ((8 - (bits % 8)) % 8)
  const hex = exponent.toString(16)
  const e = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
  const jwk = { kty: 'RSA', n: Buffer.from(modulus).toString('base64url'), e: e.toString('base64url') }
  return new Uint8Array(createPublicKey({ key: jwk, format: 'jwk' }).export({ format: 'der', type: 'spki' }))
}

function verdict(spki: Uint8Array): string {
  const reading = readPublicKey(spki)
  return reading.usable ? 'usable' : reading.problem
}

describe('an RSA key', () => {
  it.each([
    [2047, 'is RSA with 2047 bits'],
    [2048, 'usable'],
    [8192, 'usable'],
    [8193, 'is RSA with 8193 bits'],
    [16_384, 'is RSA with 16384 bits'],
  ])('of %i bits: %s', (bits, expected) => {
    expect(verdict(rsa(bits))).toBe(expected)
  })

  it.each<[bigint, boolean]>([
    [1n, false],
    [3n, true],
    [4n, false],
    [65537n, true],
    [2n ** 31n + 1n, true],
    [2n ** 32n - 1n, true],
    [2n ** 32n + 1n, false],
    [2n ** 64n + 1n, false],
  ])('with the exponent %i', (exponent, usable) => {
    expect(verdict(rsa(2048, exponent))).toBe(usable ? 'usable' : 'has an RSA exponent that is even or not 3 to 2^32')
  })
})

describe('a key', () => {
  const spki = new Uint8Array(
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'der', type: 'spki' }),
  )

  it('is read to its last byte', () => {
    expect(verdict(spki)).toBe('usable')
    expect(verdict(concatBytes(spki, Uint8Array.of(0)))).toContain('not encoded in the one accepted form')
    expect(verdict(spki.slice(0, -1))).toBe('is not a key that can be used')
  })

  it.each(['ed25519', 'x25519', 'secp256k1', 'brainpoolP256r1'])('of type %s is not supported', (type) => {
    const { publicKey } = type.includes('25519')
      ? generateKeyPairSync(type as 'ed25519')
      : generateKeyPairSync('ec', { namedCurve: type })
    expect(verdict(new Uint8Array(publicKey.export({ format: 'der', type: 'spki' })))).toContain('not supported')
  })
})

describe('a point on P-256 (TDX-143, TDX-263)', () => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }))
  const point = spki.slice(-64)
  const header = spki.slice(0, -64)
  /** The prime of the field; y of the point with x = 0, once more for x = p. */
  const prime = Buffer.from('ffffffff00000001000000000000000000000000ffffffffffffffffffffffff', 'hex')
  const yOfZero = Buffer.from('66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4', 'hex')
  const zero = new Uint8Array(32)
  const isUsable = (bytes: Uint8Array) => readP256Point(bytes).usable

  it('is the same key by its coordinates and by its SubjectPublicKeyInfo', () => {
    for (const reading of [readP256Point(point), readPublicKey(spki)]) {
      if (!reading.usable) throw new Error(reading.problem)
      expect(new Uint8Array(reading.publicKey.key.export({ format: 'der', type: 'spki' }))).toEqual(spki)
      expect(reading.publicKey).toMatchObject({ type: 'ec', curve: 'P-256' })
    }
  })

  it('may have x = 0, as one point of the curve has', () => {
    expect(isUsable(concatBytes(zero, yOfZero))).toBe(true)
  })

  it.each<[string, Uint8Array]>([
    ['zero', new Uint8Array(64)],
    ['off the curve', point.with(63, (point[63] ?? 0) ^ 1)],
    ['with x and y exchanged', concatBytes(point.slice(32), point.slice(0, 32))],
    ['with x = p in the place of 0', concatBytes(prime, yOfZero)],
    ['with y = p', concatBytes(zero, prime)],
    ['of ones', new Uint8Array(64).fill(0xff)],
    ['of 63 bytes', point.slice(1)],
    ['of 65 bytes', concatBytes(Uint8Array.of(4), point)],
    ['of no bytes', new Uint8Array()],
  ])('%s is unusable, and no exception', (_what, bytes) => {
    expect(isUsable(bytes)).toBe(false)
    expect(readPublicKey(concatBytes(header, bytes)).usable).toBe(false)
  })
})
