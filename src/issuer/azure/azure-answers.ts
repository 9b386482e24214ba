import { toBase64 } from '../../base/bytes.ts'
import { type Clock, secondsOf } from '../../base/clock.ts'
import type { JsonObject } from '../../base/json.ts'
import { makeSelfIssuedCertificate } from '../../base/pki/self-issued-certificate.ts'
import { issuerErrors } from '../errors.ts'
import type { KeyRing } from '../key-ring.ts'
import { signToken } from '../sign-token.ts'
import type { SigningKey } from '../signing-key.ts'

/** Seconds for which an answer of the administration can be believed. */
const lifetimeS = 3600

/** A key ring of a purpose of its own: its keys sign what this façade answers, and nothing else (TOK-50). */
export type AnswerKeyRing = Pick<KeyRing, 'published' | 'signingKey'>

/**
 * The keys of a façade as clients of Azure Attestation know them: in `/certs` each has an `x5c`, without which the
 * client library takes none. The certificate is issued by the key itself and proves nothing; that the key is ours is known
 * from where it was fetched.
 */
export class AnswerKeys {
  #ring: AnswerKeyRing
  #certificates = new Map<string, string>()

  constructor(ring: AnswerKeyRing) {
    this.#ring = ring
  }

  /** The one that signs: RS256 if there is one, else ES256. Throws `SIGNING_KEY_NOT_READY`. */
  signingKey(): SigningKey {
    const [first] = this.#keys()
    if (first === undefined) throw issuerErrors.error('KEY_CONFIGURATION', 'there is neither an RS256 nor an ES256 key')
    return this.#ring.signingKey(this.#keys().some(({ alg }) => alg === 'RS256') ? 'RS256' : 'ES256')
  }

  /** Signs claims as a token (TOK-05). Rejects with `SIGNING_KEY_NOT_READY`. */
  async sign(claims: JsonObject): Promise<string> {
    const key = this.signingKey()
    const token = await signToken(claims, key)
    // The key may have been revoked while it signed (TOK-52).
    if (this.#keys().some(({ kid }) => kid === key.kid)) return token
    throw issuerErrors.error('SIGNING_KEY_NOT_READY', 'the key was revoked')
  }

  algorithms(): readonly string[] {
    return [...new Set(this.#keys().map(({ alg }) => alg))]
  }

  /** What `/certs` answers. */
  keySet(): JsonObject {
    const keys = this.#keys()
    const certificates = new Map(keys.map((key) => [key.kid, this.#certificateOf(key)]))
    this.#certificates = certificates
    return { keys: keys.map(({ kid, publicJwk }) => ({ ...publicJwk, x5c: [certificates.get(kid) ?? ''] })) }
  }

  /** Those that clients can verify with. */
  #keys(): readonly SigningKey[] {
    return this.#ring.published().filter(({ alg }) => alg === 'RS256' || alg === 'ES256')
  }

  #certificateOf({ kid, privateKey }: SigningKey): string {
    return this.#certificates.get(kid) ?? toBase64(makeSelfIssuedCertificate(kid, privateKey))
  }
}

export interface AzureAnswerOptions {
  /** Base URL of the façade: `iss`. */
  readonly issuer: string
  readonly keys: AnswerKeys
  readonly clock: Pick<Clock, 'now'>
}

/** The body of a success: a signed token with these claims (section 15.1). */
export async function composeAnswer(claims: JsonObject, { issuer, keys, clock }: AzureAnswerOptions): Promise<string> {
  const iat = secondsOf(clock)
  const times = { iat, nbf: iat, exp: iat + lifetimeS }
  return JSON.stringify({ token: await keys.sign({ ...claims, iss: issuer, ...times }) })
}

/** What clients look for at `/.well-known/openid-configuration`. */
export function composeAzureMetadata(issuer: string, keys: AnswerKeys): JsonObject {
  return {
    issuer,
    jwks_uri: `${issuer}/certs`,
    response_types_supported: ['token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [...keys.algorithms()],
  }
}
