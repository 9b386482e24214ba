import { constants, type KeyObject, publicDecrypt } from 'node:crypto'
import { concatBytes, equalBytes } from './bytes.ts'
import type { CertificateKey } from './pki/public-key.ts'
import { type EcdsaDigestKey, ecdsaDigestKey, verifyEcdsaDigest } from './prehashed-ecdsa.ts'

/** A key for signatures over digests. Made once: what is computed here takes as long as verifying. */
export type DigestKey =
  | { readonly type: 'rsa'; readonly key: KeyObject; readonly size: number }
  | { readonly type: 'ec'; readonly key: EcdsaDigestKey }

export function digestKeyOf(publicKey: CertificateKey): DigestKey {
  if (publicKey.type === 'ec') return { type: 'ec', key: ecdsaDigestKey(publicKey.curve, publicKey.key) }
  return { type: 'rsa', key: publicKey.key, size: Math.ceil(publicKey.bits / 8) }
}

/** What stands before the digest in the DER of DigestInfo (RFC 8017 section 9.2, note 1). */
const digestInfos = {
  sha256: { prefix: '3031300d060960864801650304020105000420', size: 32 },
  sha384: { prefix: '3041300d060960864801650304020205000430', size: 48 },
  sha512: { prefix: '3051300d060960864801650304020305000440', size: 64 },
} as const

export type SignedDigest = keyof typeof digestInfos

/**
 * EMSA-PKCS1-v1_5 of a digest. It is made and compared whole, never taken apart: parsers of padding have accepted bytes
 * that let signatures be forged without a key.
 */
function encodedMessage(hash: SignedDigest, digest: Uint8Array, size: number): Uint8Array {
  const info = concatBytes(Buffer.from(digestInfos[hash].prefix, 'hex'), digest)
  const padding = new Uint8Array(size - info.length - 3).fill(0xff)
  return concatBytes(Uint8Array.of(0, 1), padding, Uint8Array.of(0), info)
}

/** The signature to the power of the exponent; null for a number that is not below the modulus. */
function openedRsa(key: KeyObject, signature: Uint8Array): Uint8Array | null {
  try {
    return publicDecrypt({ key, padding: constants.RSA_NO_PADDING }, signature)
  } catch {
    return null
  }
}

/**
 * Verifies a signature over a digest that is at hand without what was hashed: RSASSA-PKCS1-v1_5, or ECDSA in strict DER.
 * A digest of another length than its hash has, and a signature of another length than the RSA modulus, are invalid.
 * Never throws.
 */
export function verifyDigest(key: DigestKey, hash: SignedDigest, digest: Uint8Array, signature: Uint8Array): boolean {
  if (digest.length !== digestInfos[hash].size) return false
  if (key.type === 'ec') return verifyEcdsaDigest(key.key, digest, signature)
  if (signature.length !== key.size) return false
  const opened = openedRsa(key.key, signature)
  return opened !== null && equalBytes(opened, encodedMessage(hash, digest, key.size))
}
