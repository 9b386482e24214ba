import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { parseText, toBase64url } from './bytes.ts'
import { MalformedError } from './errors.ts'

/** The members that make a public key, per key type, in the order of RFC 7638 section 3.2 and RFC 8037 section 2. */
const publicMembers: Readonly<Record<string, readonly string[]>> = {
  EC: ['crv', 'kty', 'x', 'y'],
  OKP: ['crv', 'kty', 'x'],
  RSA: ['e', 'kty', 'n'],
}

type JwkMembers = Readonly<Record<string, unknown>>

function requireMember(jwk: JwkMembers, member: string): string {
  const value = Object.hasOwn(jwk, member) ? jwk[member] : undefined
  if (typeof value !== 'string' || value === '') throw new MalformedError({ path: `jwk.${member}` }, 'is not a text')
  if (member !== 'crv' && member !== 'kty') parseText(value, 'base64url', `jwk.${member}`)
  return value
}

/**
 * The members of a JWK that make its public key, in lexicographic order and nothing else: what is hashed, compared and
 * published. EC, OKP and RSA only; throws `MalformedError` for anything else. The key itself is not checked.
 */
export function publicJwk(jwk: JwkMembers): Record<string, string> {
  const kty = requireMember(jwk, 'kty')
  const members = Object.hasOwn(publicMembers, kty) ? publicMembers[kty] : undefined
  if (members === undefined) throw new MalformedError({ path: 'jwk.kty' }, 'is not EC, OKP or RSA')
  return Object.fromEntries(members.map((member) => [member, requireMember(jwk, member)]))
}

/**
 * As `publicJwk`, of a public or private key. Through its DER: Node 20 exports a JWK under the lock of the key, and a key that
 * was just generated shares it with a job that garbage collection frees. The thread would wait for itself.
 */
export function publicJwkOf(key: KeyObject): Record<string, string> {
  const own = key.type === 'private' ? createPublicKey(key) : key
  const der = own.export({ format: 'der', type: 'spki' })
  const apart = createPublicKey({ key: der, format: 'der', type: 'spki' })
  return publicJwk(apart.export({ format: 'jwk' }) as JwkMembers)
}

/** RFC 7638 SHA-256 thumbprint of a public or private JWK: 32 bytes as 43 characters of base64url (TOK-144). */
export function jwkThumbprint(jwk: JwkMembers): string {
  return toBase64url(
    createHash('sha256')
      .update(JSON.stringify(publicJwk(jwk)))
      .digest(),
  )
}
