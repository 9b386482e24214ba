import { createHash, type KeyObject, randomUUID, sign } from 'node:crypto'
import { newP256Key } from '../base/generated-keys.ts'
import { jwkThumbprint, publicJwkOf } from '../base/jwk.ts'

/** The request that a proof goes with. */
export interface ProvenRequest {
  /** HTTP method, as it is sent. */
  readonly method: string
  /** URL of the request; query and fragment are left out of the proof. */
  readonly url: string | URL
  /** The token of `Authorization: DPoP …`. */
  readonly token: string
  /** What the server gave in its last `DPoP-Nonce` header, if it did. */
  readonly nonce?: string | undefined
}

/** A key of this process that tokens can be bound to (RFC 7800), so that a stolen token is of no use (TOK-140, TOK-141). */
export interface ProofKey {
  /** Public members only: pass the key as `proofKey` of `fetchToken`. */
  readonly jwk: Readonly<Record<string, string>>
  /** RFC 7638 SHA-256 thumbprint: `cnf.jkt` of the tokens. */
  readonly jkt: string
  /** A new proof (RFC 9449) for one request: the value of its header `DPoP`. Good once, for a minute. */
  prove(request: ProvenRequest): string
}

interface Signing {
  readonly alg: string
  readonly hash: string | null
}

const curves: Readonly<Record<string, Signing>> = {
  'P-256': { alg: 'ES256', hash: 'sha256' },
  'P-384': { alg: 'ES384', hash: 'sha384' },
  Ed25519: { alg: 'EdDSA', hash: null },
}

function signingOf({ kty, crv = '' }: Readonly<Record<string, string>>): Signing {
  if (kty === 'RSA') return { alg: 'RS256', hash: 'sha256' }
  const signing = Object.hasOwn(curves, crv) ? curves[crv] : undefined
  if (signing) return signing
  throw new TypeError('a proof key is an EC key on P-256 or P-384, an Ed25519 key or an RSA key')
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

/**
 * Makes a key for proofs of possession: a new one on P-256, or `privateKey` (P-256, P-384, Ed25519, RSA), which may come
 * from wherever the workload keeps keys. The agent never sees its private part (API-111).
 */
export function createProofKey(privateKey: KeyObject = newP256Key()): ProofKey {
  const jwk = publicJwkOf(privateKey)
  const { alg, hash } = signingOf(jwk)
  const header = encode({ typ: 'dpop+jwt', alg, jwk })
  const prove = ({ method, url, token, nonce }: ProvenRequest): string => {
    const { origin, pathname } = new URL(url)
    const claims = {
      jti: randomUUID(),
      htm: method,
      htu: `${origin}${pathname}`,
      iat: Math.floor(Date.now() / 1000),
      ath: createHash('sha256').update(token).digest('base64url'),
      ...(nonce === undefined ? {} : { nonce }),
    }
    const signed = `${header}.${encode(claims)}`
    const signature = sign(hash, Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' })
    return `${signed}.${signature.toString('base64url')}`
  }
  return { jwk, jkt: jwkThumbprint(jwk), prove }
}
