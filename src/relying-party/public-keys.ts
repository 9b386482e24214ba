import { createPublicKey, type KeyObject } from 'node:crypto'
import { MalformedError } from '../base/errors.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts'
import { publicJwk } from '../base/jwk.ts'
import { algorithmFacts, matchAlgorithm, type SignatureAlgorithm } from './algorithms.ts'
import { clipText } from './describe-value.ts'

/** A member of a key set that is never used, and why (TOK-81). */
export interface DroppedKey {
  readonly kid: string | undefined
  readonly reason: string
}

export type KeySelection =
  | { readonly found: 'key'; readonly key: KeyObject }
  /** No key has this `kid`: the issuer may have published a new one. */
  | { readonly found: 'unknown' }
  /** Keys were there, and none or more than one may be used. */
  | { readonly found: 'refused'; readonly reason: string }

interface PublishedKey {
  readonly kid: string | undefined
  readonly jwk: JsonObject
  readonly key: KeyObject
}

const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']
const rsaBits = { least: 2048, most: 8192 }

/** The public keys of one issuer at one time, immutable. */
export class PublicKeySet {
  readonly dropped: readonly DroppedKey[]
  #keys: readonly PublishedKey[]

  constructor(keys: readonly PublishedKey[], dropped: readonly DroppedKey[]) {
    this.#keys = keys
    this.dropped = dropped
  }

  get size(): number {
    return this.#keys.length
  }

  /** The one key that a header means (TOK-81). Without `kid` the set must leave no choice. */
  select(kid: string | undefined, algorithm: SignatureAlgorithm): KeySelection {
    const named = kid === undefined ? this.#keys : this.#keys.filter((key) => key.kid === kid)
    if (named.length === 0 && kid !== undefined) return { found: 'unknown' }
    const fitting = named.filter(({ jwk }) => allowsAlgorithm(jwk, algorithm))
    const [only] = fitting
    if (only !== undefined && fitting.length === 1) return { found: 'key', key: only.key }
    const of = kid === undefined ? 'the token names no key, and' : 'of the keys with this kid'
    const count = fitting.length === 0 ? `none allows ${algorithm}` : `${fitting.length} allow ${algorithm}`
    return { found: 'refused', reason: `${of} ${count}` }
  }
}

/** A key is used for nothing but what it was published for: type, curve, `alg`, `use` and `key_ops` must all allow it. */
export function allowsAlgorithm(jwk: JsonObject, algorithm: SignatureAlgorithm): boolean {
  const { kty, crv } = algorithmFacts[algorithm]
  if (jwk['kty'] !== kty || (crv !== undefined && jwk['crv'] !== crv)) return false
  if (jwk['alg'] !== undefined && matchAlgorithm(jwk['alg']) !== algorithm) return false
  if (jwk['use'] !== undefined && jwk['use'] !== 'sig') return false
  const operations = jwk['key_ops']
  return operations === undefined || (Array.isArray(operations) && operations.includes('verify'))
}

function rsaProblem(key: KeyObject): string | undefined {
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
  if (modulusLength < rsaBits.least)
    return `an RSA key of ${modulusLength} bits, at least ${rsaBits.least} are required`
  if (modulusLength > rsaBits.most) return `an RSA key of ${modulusLength} bits, at most ${rsaBits.most} are accepted`
  // An exponent of 1 makes every text its own signature; a huge one makes each verification slow.
  const sane = publicExponent >= 3n && publicExponent < 2n ** 32n && publicExponent % 2n === 1n
  return sane ? undefined : 'an RSA key with an unusable public exponent'
}

/** The key of a public JWK, or why it is none that may be used. */
export function importPublicKey(jwk: JsonObject): KeyObject | string {
  const key = createPublicKeyOf(jwk)
  if (key === undefined) return 'not a public key of type RSA, EC or OKP'
  return (key.asymmetricKeyType === 'rsa' ? rsaProblem(key) : undefined) ?? key
}

/** The first private member that a JWK has. */
export function privateMemberOf(jwk: JsonObject): string | undefined {
  return privateMembers.find((name) => jwk[name] !== undefined)
}

function createPublicKeyOf(jwk: JsonObject): KeyObject | undefined {
  try {
    return createPublicKey({ key: publicJwk(jwk), format: 'jwk' })
  } catch {
    // node:crypto reports members that make no key (a point off its curve) as TypeError, which is no bug of ours here.
    return undefined
  }
}

function publish(member: JsonValue): PublishedKey | DroppedKey {
  if (!isJsonObject(member)) return { kid: undefined, reason: 'not an object' }
  const kid = typeof member['kid'] === 'string' ? member['kid'] : undefined
  const drop = (reason: string): DroppedKey => ({ kid: kid === undefined ? undefined : clipText(kid, 64), reason })
  if (member['kid'] !== undefined && kid === undefined) return drop('a kid that is not a text')
  if (member['kty'] === 'oct') return drop('a secret key: whoever can verify with it can sign with it')
  if (privateMemberOf(member) !== undefined) return drop('a private key: it must not be published')
  const key = importPublicKey(member)
  return typeof key === 'string' ? drop(key) : { kid, jwk: member, key }
}

/**
 * Reads a JWK Set (RFC 7517 section 5). Members that must not be used are dropped and listed in `dropped`: `oct` keys,
 * keys with private parts, RSA below 2048 bits, what is no key at all. Throws `MalformedError` if `keys` is no array.
 */
export function parseKeySet(document: JsonObject): PublicKeySet {
  const members = document['keys']
  if (!Array.isArray(members)) throw new MalformedError({ path: 'jwks.keys' }, 'is not an array')
  const results = members.map(publish)
  return new PublicKeySet(
    results.filter((result): result is PublishedKey => 'key' in result),
    results.filter((result): result is DroppedKey => 'reason' in result),
  )
}
