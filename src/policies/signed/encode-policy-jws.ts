import { constants, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { samePublicBytes, toBase64, toBase64url } from '../../base/bytes.ts'
import { canonicalJson, type JsonObject } from '../../base/json.ts'
import { publicJwkOf } from '../../base/jwk.ts'
import type { Certificate } from '../../base/pki/certificate.ts'
import { readPublicKey } from '../../base/pki/public-key.ts'
import { signedPolicyErrors } from './errors.ts'
import { algorithmOfKey } from './policy-signer.ts'

const utf8 = new TextEncoder()

function segment(object: JsonObject): string {
  return toBase64url(utf8.encode(canonicalJson(object)))
}

function payloadOf(policy: Uint8Array): string {
  return segment({ AttestationPolicy: toBase64url(policy) })
}

/** The reset to the shipped default that nobody signed (POL-904): its payload is empty. */
export function encodeUnsignedReset(): string {
  return `${segment({ alg: 'none' })}..`
}

/** The unsigned form of a policy text (POL-701). */
export function encodeUnsignedPolicy(policy: Uint8Array): string {
  return `${segment({ alg: 'none' })}.${payloadOf(policy)}.`
}

export interface PolicySigningKey {
  /** A key for signing policies and nothing else: never one that signs tokens (POL-712). */
  readonly privateKey: KeyObject
  /** Goes to `x5c`, the key's own certificate first; empty: the bare key goes to `jwk`. */
  readonly certificates: readonly Certificate[]
}

/**
 * The signed form of a policy text (POL-701): RS256 or ES256 by the type of the key. Throws `POLICY_SIGNING_KEY` for a
 * key of another type or size, or one that is not the key of the first certificate.
 */
export function signPolicy(policy: Uint8Array, by: PolicySigningKey): string {
  return signSegment(payloadOf(policy), by)
}

/** The signed reset to the shipped default (POL-904): its payload is empty. Throws as `signPolicy`. */
export function signPolicyReset(by: PolicySigningKey): string {
  return signSegment('', by)
}

function signSegment(payload: string, { privateKey, certificates }: PolicySigningKey): string {
  const { alg, jwk } = requireSigningKey(privateKey, certificates[0])
  const shown = certificates.length > 0 ? { x5c: certificates.map(({ der }) => toBase64(der)) } : { jwk }
  const signed = `${segment({ alg, ...shown })}.${payload}`
  const data = Buffer.from(signed, 'latin1')
  const signature =
    alg === 'RS256'
      ? sign('sha256', data, { key: privateKey, padding: constants.RSA_PKCS1_PADDING })
      : sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' })
  return `${signed}.${toBase64url(signature)}`
}

function requireSigningKey(privateKey: KeyObject, certificate: Certificate | undefined) {
  if (privateKey.type !== 'private') throw signedPolicyErrors.error('POLICY_SIGNING_KEY', 'the key is not private')
  const publicKey = createPublicKey(privateKey)
  const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }))
  const reading = readPublicKey(spki)
  if (!reading.usable) throw signedPolicyErrors.error('POLICY_SIGNING_KEY', `the key ${reading.problem}`)
  const alg = algorithmOfKey(reading.publicKey)
  if (alg === null) throw signedPolicyErrors.error('POLICY_SIGNING_KEY', 'the key is on a curve other than P-256')
  if (certificate !== undefined && !samePublicBytes(certificate.publicKey, spki)) {
    throw signedPolicyErrors.error('POLICY_SIGNING_KEY', 'the certificate is not that of the key')
  }
  return { alg, jwk: publicJwkOf(publicKey) }
}
