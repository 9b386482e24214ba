import type { KeyObject } from 'node:crypto'
import { generatePrivateKey, type KeyKind } from '../base/generated-keys.ts'
import { jwkThumbprint, publicJwkOf } from '../base/jwk.ts'
import { issuerErrors } from './errors.ts'

/** TOK-07. RS256 comes first: most consumers take nothing else. */
export const signingAlgorithms = ['RS256', 'ES256', 'ES384', 'PS256', 'EdDSA'] as const
export type SigningAlgorithm = (typeof signingAlgorithms)[number]

/** An entry of the key set: `kty, use, alg, kid` and the members of the public key, nothing private (TOK-55). */
export type PublicJwk = Readonly<Record<string, string>>

/** A key with the one algorithm that it is used for (TOK-50). */
export interface SigningKey {
  readonly kid: string
  readonly alg: SigningAlgorithm
  readonly privateKey: KeyObject
  readonly publicJwk: PublicJwk
  /** RFC 7638: equal for equal keys, whatever their `kid`. */
  readonly thumbprint: string
}

function unsuitable(problem: string) {
  return issuerErrors.error('KEY_UNSUITABLE', problem)
}

function requireRsa(key: KeyObject, alg: SigningAlgorithm): void {
  const { modulusLength = 0, publicExponent } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType !== 'rsa') throw unsuitable(`${alg} needs an RSA key`)
  if (modulusLength < 2048) throw unsuitable(`an RSA key of ${modulusLength} bits is too short for ${alg}`)
  if (publicExponent !== 65537n) throw unsuitable('the RSA exponent is not 65537')
}

const curves: Readonly<Partial<Record<SigningAlgorithm, string>>> = { ES256: 'prime256v1', ES384: 'secp384r1' }

function requireCurve(key: KeyObject, alg: SigningAlgorithm): void {
  const curve = curves[alg]
  const fits =
    curve === undefined
      ? key.asymmetricKeyType === 'ed25519'
      : key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === curve
  if (!fits) throw unsuitable(`${alg} needs a key on ${curve ?? 'Ed25519'}`)
}

function requireFit(key: KeyObject, alg: SigningAlgorithm): void {
  if (key.type !== 'private') throw unsuitable('a signing key must be private')
  if (alg === 'RS256' || alg === 'PS256') requireRsa(key, alg)
  else requireCurve(key, alg)
}

/**
 * Takes a private key for one algorithm (TOK-09): RSA with at least 2048 bits and exponent 65537, P-256, P-384 or
 * Ed25519. `kid` is the RFC 7638 thumbprint unless an operator fixed another (TOK-08). Throws `KEY_UNSUITABLE`.
 */
export function importSigningKey(privateKey: KeyObject, alg: SigningAlgorithm, kid?: string): SigningKey {
  requireFit(privateKey, alg)
  const members = publicJwkOf(privateKey)
  const thumbprint = jwkThumbprint(members)
  const name = kid ?? thumbprint
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(name)) throw unsuitable('a `kid` has 1 to 64 letters, digits, dots, _ and -')
  const { kty = '', ...rest } = members
  return { kid: name, alg, privateKey, thumbprint, publicJwk: { kty, use: 'sig', alg, kid: name, ...rest } }
}

function kindOf(alg: SigningAlgorithm): KeyKind {
  if (alg === 'EdDSA') return { type: 'ed25519' }
  const namedCurve = curves[alg]
  return namedCurve === undefined ? { type: 'rsa', modulusLength: 3072 } : { type: 'ec', namedCurve }
}

/** Makes a new key off the event loop: RSA with 3072 bits (TOK-09). */
export async function generateSigningKey(alg: SigningAlgorithm): Promise<SigningKey> {
  return importSigningKey(await generatePrivateKey(kindOf(alg)), alg)
}
