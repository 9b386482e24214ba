import { createPublicKey, type KeyObject } from 'node:crypto'
import { samePublicBytes, toBase64url } from '../bytes.ts'

export type CertificateKey =
  | { readonly type: 'rsa'; readonly bits: number; readonly exponent: bigint; readonly key: KeyObject }
  | { readonly type: 'ec'; readonly curve: 'P-256' | 'P-384' | 'P-521'; readonly key: KeyObject }

export type KeyReading =
  | { readonly usable: true; readonly publicKey: CertificateKey }
  | { readonly usable: false; readonly problem: string }

const rsaBits = { minimum: 2048, maximum: 8192 }
const curves = new Map<string | undefined, 'P-256' | 'P-384' | 'P-521'>([
  ['prime256v1', 'P-256'],
  ['secp384r1', 'P-384'],
  ['secp521r1', 'P-521'],
])
/** SubjectPublicKeyInfo with a named curve and an uncompressed point. */
const spkiSizes = { 'P-256': 91, 'P-384': 120, 'P-521': 158 } as const

/** What stands before the coordinates of an uncompressed point on P-256, 32 bytes each. */
const p256Prefix = new Uint8Array(Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex'))

/**
 * Reads a DER SubjectPublicKeyInfo: RSA of 2048 to 8192 bits with an odd exponent of 3 to 2^32, or an
 * uncompressed point on P-256, P-384 or P-521. What a certificate holds may be any bytes: a point off its
 * curve throws inside OpenSSL (TDX-263) and is a problem here, not an exception.
 */
export function readPublicKey(spki: Uint8Array): KeyReading {
  if (spki.length === spkiSizes['P-256'] && samePublicBytes(spki.subarray(0, p256Prefix.length), p256Prefix)) {
    return readP256Point(spki.subarray(p256Prefix.length))
  }
  const key = importKey(spki)
  if (!key) return unusable
  // Importing skips trailing bytes and accepts other encodings (TDX-260); exporting writes the one form.
  if (!samePublicBytes(new Uint8Array(key.export({ format: 'der', type: 'spki' })), spki)) {
    return { usable: false, problem: 'is not encoded in the one accepted form' }
  }
  return key.asymmetricKeyType === 'rsa' ? readRsa(key) : readEc(key, spki)
}

const unusable: KeyReading = { usable: false, problem: 'is not a key that can be used' }

/**
 * Reads a point on P-256: 64 bytes, x and y. Coordinates that are out of range, off the curve or zero make it unusable
 * (TDX-143, TDX-263). OpenSSL imports bare coordinates in half the time that it needs for DER.
 */
export function readP256Point(point: Uint8Array): KeyReading {
  if (point.length !== 64) return unusable
  const [x, y] = [toBase64url(point.subarray(0, 32)), toBase64url(point.subarray(32))]
  try {
    const key = createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' })
    return { usable: true, publicKey: { type: 'ec', curve: 'P-256', key } }
  } catch {
    return unusable
  }
}

function importKey(spki: Uint8Array): KeyObject | null {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
  } catch {
    return null
  }
}

function readRsa(key: KeyObject): KeyReading {
  const { modulusLength: bits = 0, publicExponent: exponent = 0n } = key.asymmetricKeyDetails ?? {}
  if (bits < rsaBits.minimum || bits > rsaBits.maximum) return { usable: false, problem: `is RSA with ${bits} bits` }
  // A huge exponent makes one verification cost seconds.
  if (exponent < 3n || exponent % 2n === 0n || exponent > 1n << 32n) {
    return { usable: false, problem: 'has an RSA exponent that is even or not 3 to 2^32' }
  }
  return { usable: true, publicKey: { type: 'rsa', bits, exponent, key } }
}

function readEc(key: KeyObject, spki: Uint8Array): KeyReading {
  const curve = key.asymmetricKeyType === 'ec' ? curves.get(key.asymmetricKeyDetails?.namedCurve) : undefined
  if (!curve) return { usable: false, problem: 'is of a type or on a curve that is not supported' }
  if (spki.length !== spkiSizes[curve])
    return { usable: false, problem: 'is not an uncompressed point on a named curve' }
  return { usable: true, publicKey: { type: 'ec', curve, key } }
}
