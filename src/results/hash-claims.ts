import { createHash } from 'node:crypto'
import { toBase64url } from '../base/bytes.ts'

const hashOf: Readonly<Record<string, string>> = {
  RS256: 'sha256',
  PS256: 'sha256',
  ES256: 'sha256',
  ES384: 'sha384',
  EdDSA: 'sha512',
  Ed25519: 'sha512',
}

/**
 * `at_hash` or `c_hash` (TOK-20): base64url of the left half of the hash of the access token or code, by the algorithm
 * of the ID token. An algorithm that this project does not sign with is a bug.
 */
export function hashClaim(algorithm: string, value: string): string {
  const name = Object.hasOwn(hashOf, algorithm) ? hashOf[algorithm] : undefined
  if (name === undefined) throw new TypeError(`no hash is defined for ${algorithm}`)
  const digest = createHash(name).update(value, 'ascii').digest()
  return toBase64url(digest.subarray(0, digest.length / 2))
}
