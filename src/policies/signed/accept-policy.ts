import { constants, verify } from 'node:crypto'
import { samePublicBytes } from '../../base/bytes.ts'
import { verifyRawEcdsa } from '../../base/pki/signature.ts'
import { type CompactPolicyJws, isCompactForm, longestJws, parseCompactForm } from './compact-form.ts'
import { jwsRefusal } from './errors.ts'
import { parsePolicyPayload, parseSignerPayload, requireUtf8 } from './policy-payload.ts'
import { algorithmOfKey, jwkMember, type PolicySigner, readSigner } from './policy-signer.ts'

/**
 * SubjectPublicKeyInfo of the trusted signers. Empty: signer mode is off, and whoever may upload may upload unsigned
 * policies (POL-704).
 */
export type TrustedSigners = readonly Pick<PolicySigner, 'publicKey'>[]

/** An uploaded policy whose form and signature are good. Whether its text loads is for `parsePolicy`. */
export interface AcceptedPolicy {
  readonly form: 'text' | 'unsigned' | 'signed'
  /** The policy text: strict UTF-8. */
  readonly policy: Uint8Array
  /** The compact JWS as it was uploaded; null for text. */
  readonly jws: string | null
  readonly signer: PolicySigner | null
}

/**
 * Takes what was uploaded as a policy: text, unsigned or signed JWS (POL-701). A signature, if there is one, must be
 * good in either mode; in signer mode it must be there, and be that of a trusted signer. Throws the errors of
 * `signedPolicyErrors`, of which the fact `rule` names POL-702 to POL-707.
 */
export function acceptPolicy(upload: Uint8Array, trusted: TrustedSigners): AcceptedPolicy {
  const text = compactTextOf(upload)
  if (text === null) {
    if (trusted.length > 0) throw unsigned('text')
    requireUtf8(upload)
    return { form: 'text', policy: upload, jws: null, signer: null }
  }
  const jws = parseCompactForm(text)
  const signer = acceptSigner(jws, trusted)
  const policy = parsePolicyPayload(jws.payload)
  return { form: signer === null ? 'unsigned' : 'signed', policy, jws: text, signer }
}

/**
 * Takes the JWS with which a policy is reset to the default: its payload is empty (POL-904). Like a policy it names
 * neither its place nor a time: who may upload at all can use it again, and elsewhere. Throws as `acceptPolicy`.
 */
export function acceptPolicyReset(text: string, trusted: TrustedSigners): PolicySigner | null {
  const jws = parseCompactForm(text)
  const signer = acceptSigner(jws, trusted)
  if (jws.payload.length > 0) throw jwsRefusal('POL-707', 'the payload of a reset is not empty')
  return signer
}

export interface AcceptedSignerChange {
  /** The signer to add or to remove. */
  readonly subject: PolicySigner
  /** The trusted signer who asks for it. */
  readonly by: PolicySigner
}

/**
 * Takes the JWS that adds or removes a signer. Only one who is trusted already vouches for another: where nobody is,
 * nobody can be added in this way (POL-708). Throws as `acceptPolicy`, besides with POL-708 for the payload.
 */
export function acceptSignerChange(text: string, trusted: TrustedSigners): AcceptedSignerChange {
  if (trusted.length === 0) throw jwsRefusal('POL-704', 'there is no trusted signer who could vouch for another')
  const jws = parseCompactForm(text)
  const by = acceptSigner(jws, trusted)
  if (by === null) throw unsigned('unsigned JWS')
  return { subject: parseSignerPayload(jws.payload), by }
}

/** The text of an upload that is a JWS; null for policy text. */
export function compactTextOf(upload: Uint8Array): string | null {
  const characters = Buffer.from(upload.buffer, upload.byteOffset, Math.min(upload.length, longestJws + 1))
  const text = characters.toString('latin1')
  return isCompactForm(text) ? text : null
}

function unsigned(what: string) {
  return jwsRefusal('POL-704', `signers are configured, and the policy came as ${what}`)
}

/** Who signed; null for an unsigned JWS, where that is allowed. The payload was not looked at (POL-706). */
function acceptSigner(jws: CompactPolicyJws, trusted: TrustedSigners): PolicySigner | null {
  if (jws.algorithm === 'none') {
    if (trusted.length > 0) throw unsigned('unsigned JWS')
    return null
  }
  const signer = signerOf(jws)
  const isTrusted = trusted.some(({ publicKey }) => samePublicBytes(publicKey, signer.publicKey))
  if (trusted.length > 0 && !isTrusted) throw jwsRefusal('POL-705', 'the signer is none of those that are trusted')
  requireSignature(jws, signer)
  return signer
}

/** The key that the header shows (POL-705), if it fits to the algorithm (POL-703). */
export function signerOf({ header, algorithm }: CompactPolicyJws): PolicySigner {
  const signer = readSigner(header['x5c'], jwkMember(header['jwk'], 'POL-705'), 'POL-705')
  if (algorithmOfKey(signer.key) !== algorithm) {
    throw jwsRefusal('POL-703', `the key of the signer cannot sign ${algorithm}`)
  }
  return signer
}

/** Throws the error of POL-706 unless the key of `signer` signed header and payload as they stand in the text. */
export function requireSignature({ signed, signature }: CompactPolicyJws, { key }: PolicySigner): void {
  const data = Buffer.from(signed, 'latin1')
  const isGood =
    key.type === 'rsa'
      ? verify('sha256', data, { key: key.key, padding: constants.RSA_PKCS1_PADDING }, signature)
      : signature.length === 64 && verifyRawEcdsa({ usable: true, publicKey: key }, data, signature)
  if (!isGood) throw jwsRefusal('POL-706', 'the signature does not verify under the key that the header shows')
}
