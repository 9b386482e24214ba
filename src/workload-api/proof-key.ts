import { createPublicKey, type KeyObject } from 'node:crypto'
import { MalformedError } from '../base/errors.ts'
import type { JsonObject } from '../base/json.ts'
import { jwkThumbprint, publicJwk } from '../base/jwk.ts'
import type { TokenRequest } from '../results/token-request.ts'
import { invalidRequest } from './errors.ts'
import { MemberReader, requireKnownMembers } from './members.ts'

const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']
const publicMembers = ['kty', 'crv', 'x', 'y', 'n', 'e', 'alg', 'use', 'kid', 'key_ops']
const signingCurves: readonly unknown[] = ['P-256', 'P-384', 'P-521', 'Ed25519', 'Ed448']

function requireKey(jwk: Record<string, string>): KeyObject {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' })
  } catch {
    throw invalidRequest('cnf.jwk', 'is not a public key')
  }
}

function requireSigningKey(jwk: Record<string, string>): void {
  if (jwk['crv'] !== undefined && !signingCurves.includes(jwk['crv'])) {
    throw invalidRequest('cnf.jwk.crv', 'is not P-256, P-384, P-521, Ed25519 or Ed448')
  }
  const bits = requireKey(jwk).asymmetricKeyDetails?.modulusLength
  if (bits !== undefined && (bits < 2048 || bits > 8192)) {
    throw invalidRequest('cnf.jwk.n', 'is not an RSA modulus of 2048 to 8192 bits')
  }
}

function requirePublicJwk(jwk: JsonObject): Record<string, string> {
  try {
    return publicJwk(jwk)
  } catch (error) {
    if (error instanceof MalformedError) throw invalidRequest(`cnf.${error.path}`, 'is not what a public key needs')
    throw error
  }
}

/**
 * Reads `cnf` of a token request: `{"jwk": …}` with a public key that can sign. A private member is refused, not
 * dropped: who sends it has given the key away and must learn of it (API-111). Gives the members of the key alone, with
 * their RFC 7638 thumbprint.
 */
export function parseProofKey(cnf: JsonObject): NonNullable<TokenRequest['cnf']> {
  const jwk = new MemberReader(cnf, ['jwk'], 'cnf.').object('jwk')
  if (jwk === null) throw invalidRequest('cnf.jwk', 'is missing')
  const secret = privateMembers.find((member) => Object.hasOwn(jwk, member))
  if (secret !== undefined) throw invalidRequest(`cnf.jwk.${secret}`, 'is a private member')
  requireKnownMembers(jwk, publicMembers, 'cnf.jwk.')
  const key = requirePublicJwk(jwk)
  requireSigningKey(key)
  return { jkt: jwkThumbprint(key), jwk: key }
}
