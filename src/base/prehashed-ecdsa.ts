import { createECDH, createPublicKey, hash, type KeyObject, verify } from 'node:crypto'
import { parseText, toBase64url, toHex } from './bytes.ts'
import { MalformedError } from './errors.ts'
import { identifiers, openDer } from './pki/der-cursor.ts'

export type EcdsaCurve = 'P-256' | 'P-384' | 'P-521'

interface CurveFacts {
  /** OpenSSL's name. */
  readonly name: string
  /** Prime of the field. */
  readonly p: bigint
  /** Order of the group. */
  readonly n: bigint
  /** Bytes of a coordinate and of a scalar. */
  readonly size: number
}

/** Domain parameters of FIPS 186-4 appendix D.1.2. */
const curves: Readonly<Record<EcdsaCurve, CurveFacts>> = {
  'P-256': {
    name: 'prime256v1',
    p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    n: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
    size: 32,
  },
  'P-384': {
    name: 'secp384r1',
    p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    n: 2n ** 384n - 0x389cb27e0bc8d220a7e5f24db74f58851313e695333ad68dn,
    size: 48,
  },
  'P-521': {
    name: 'secp521r1',
    p: 2n ** 521n - 1n,
    n: 2n ** 521n - 0x5ae79787c40d069948033feb708f65a2fc44a36477663b851449048e16ec79bf7n,
    size: 66,
  },
}

interface Point {
  readonly x: bigint
  readonly y: bigint
}

/** A point of a curve as a key, ready for many signatures. */
export interface EcdsaDigestKey {
  readonly curve: EcdsaCurve
  readonly key: KeyObject
  readonly point: Point
}

const integerOf = (bytes: Uint8Array) => BigInt(`0x${toHex(bytes)}`)
const bytesOfInteger = (value: bigint, size: number) => Buffer.from(value.toString(16).padStart(2 * size, '0'), 'hex')

function modulo(value: bigint, modulus: bigint): bigint {
  const rest = value % modulus
  return rest < 0n ? rest + modulus : rest
}

/** The inverse of a number that is not 0 modulo a prime. */
function inverse(value: bigint, prime: bigint): bigint {
  let [before, now] = [prime, modulo(value, prime)]
  let [factorBefore, factor] = [0n, 1n]
  while (now !== 0n) {
    const quotient = before / now
    ;[before, now] = [now, before - quotient * now]
    ;[factorBefore, factor] = [factor, factorBefore - quotient * factor]
  }
  return modulo(factorBefore, prime)
}

/** `key` is a public key on `curve`. */
export function ecdsaDigestKey(curve: EcdsaCurve, key: KeyObject): EcdsaDigestKey {
  const { x = '', y = '' } = key.export({ format: 'jwk' })
  const coordinate = (text: string) => integerOf(parseText(text, 'base64url', 'jwk'))
  return { curve, key, point: { x: coordinate(x), y: coordinate(y) } }
}

/** The base point times `scalar`, which is 1 to n - 1. */
function basePointTimes(scalar: bigint, { name, size }: CurveFacts): Point {
  const ecdh = createECDH(name)
  ecdh.setPrivateKey(bytesOfInteger(scalar, size))
  const encoded = ecdh.getPublicKey()
  return { x: integerOf(encoded.subarray(1, 1 + size)), y: integerOf(encoded.subarray(1 + size)) }
}

/** The sum of two points with different x. */
function sum(left: Point, right: Point, { p }: CurveFacts): Point {
  const slope = modulo((right.y - left.y) * inverse(right.x - left.x, p), p)
  const x = modulo(slope * slope - left.x - right.x, p)
  return { x, y: modulo(slope * (left.x - x) - left.y, p) }
}

function keyOfPoint({ x, y }: Point, curve: EcdsaCurve): KeyObject {
  const text = (value: bigint) => toBase64url(bytesOfInteger(value, curves[curve].size))
  return createPublicKey({ key: { kty: 'EC', crv: curve, x: text(x), y: text(y) }, format: 'jwk' })
}

/** r of a DER signature; null if it is not strict DER of two integers, or r is not 1 to n - 1. */
function rOf(signature: Uint8Array, { n }: CurveFacts): bigint | null {
  try {
    const parts = openDer(signature, 'signature', 3).enter()
    const content = parts.content(identifiers.integer)
    parts.content(identifiers.integer)
    parts.requireEnd()
    const r = ((content[0] ?? 0x80) & 0x80) === 0 ? integerOf(content) : 0n
    return r > 0n && r < n ? r : null
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}

/** Three messages: `keyFor` fails for at most two of them. */
const messages: readonly { readonly bytes: Uint8Array; readonly digest: bigint }[] = [1, 2, 3].map((byte) => {
  const bytes = Uint8Array.of(byte)
  return { bytes, digest: integerOf(hash('sha256', bytes, 'buffer')) }
})

/** Q + tG; null where the addition of points with different x does not apply, which is for t = ±d only, with Q = dG. */
function keyFor({ curve, key, point }: EcdsaDigestKey, t: bigint): KeyObject | null {
  if (t === 0n) return key
  const shift = basePointTimes(t, curves[curve])
  return shift.x === point.x ? null : keyOfPoint(sum(point, shift, curves[curve]), curve)
}

/**
 * Verifies an ECDSA signature (strict DER) over `digest`, which may be of any hash; of a digest that is longer than the
 * order of the group the leftmost bits count (FIPS 186-4). Never throws. Not for secrets.
 *
 * `node:crypto` verifies over data only, and hashes them. So the equation is moved to other data: a signature (r, s) by
 * the key Q is valid for the number e if x(s⁻¹(eG + rQ)) = r. For a fixed message with the number f and the key
 * Q' = Q + ((e - f)/r)G, fG + rQ' is the same point as eG + rQ: the signature is valid for the digest under Q exactly if
 * it is valid for the message under Q'. Ranges, points and the equation itself are left to OpenSSL.
 */
export function verifyEcdsaDigest(publicKey: EcdsaDigestKey, digest: Uint8Array, signature: Uint8Array): boolean {
  const facts = curves[publicKey.curve]
  const r = rOf(signature, facts)
  if (r === null || digest.length === 0) return false
  const e = integerOf(digest.subarray(0, facts.size))
  const inverseOfR = inverse(r, facts.n)
  for (const message of messages) {
    const key = keyFor(publicKey, modulo((e - message.digest) * inverseOfR, facts.n))
    if (key) return verify('sha256', message.bytes, key, signature)
  }
  return false
}
