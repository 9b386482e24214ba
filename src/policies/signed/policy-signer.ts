import { createHash, createPublicKey } from 'node:crypto'
import { parseText, samePublicBytes, toBase64, toHex } from '../../base/bytes.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../../base/json.ts'
import { publicJwk } from '../../base/jwk.ts'
import { type Certificate, parseCertificate } from '../../base/pki/certificate.ts'
import { defaultCriticalExtensions } from '../../base/pki/chain.ts'
import { type CertificateKey, readPublicKey } from '../../base/pki/public-key.ts'
import { verifySignature } from '../../base/pki/signature.ts'
import { refusing } from './compact-form.ts'
import { jwsRefusal, type PolicyJwsRule } from './errors.ts'

/** Certificates in an `x5c`. */
const longestChain = 5
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']

/** Whose key the header of a policy JWS, or a change of signers, shows. Whether it is trusted is not said. */
export interface PolicySigner {
  /** DER SubjectPublicKeyInfo: what signers are compared by. */
  readonly publicKey: Uint8Array
  readonly key: CertificateKey
  /** `x5c`, the signer's own certificate first; empty if the header has a bare `jwk`. */
  readonly certificates: readonly Certificate[]
}

/** Algorithms that fit to a key of a signer; the other keys that a certificate may hold cannot sign policies (POL-703). */
export function algorithmOfKey(key: CertificateKey): 'RS256' | 'ES256' | null {
  if (key.type === 'rsa') return 'RS256'
  return key.curve === 'P-256' ? 'ES256' : null
}

/**
 * The key of a header or of a `policyCertificate`: that of `x5c[0]` or of the bare members, which must agree where both
 * are there. A chain of several certificates must verify up to its last one (POL-705); dates are not judged, since a
 * signer is trusted by its key until it is removed. Throws the error of `rule` or of POL-705.
 */
export function readSigner(x5c: JsonValue | undefined, jwk: JsonObject | undefined, rule: PolicyJwsRule): PolicySigner {
  const certificates = x5c === undefined ? [] : readChain(x5c, rule)
  const [own] = certificates
  const bare = jwk === undefined ? undefined : keyOfJwk(jwk, rule)
  const publicKey = own?.publicKey ?? bare
  if (publicKey === undefined) throw jwsRefusal(rule, 'there is neither `x5c` nor `jwk`, so that nobody signed')
  if (bare !== undefined && !samePublicBytes(bare, publicKey)) {
    throw jwsRefusal(rule, 'the members of the JWK are another key than the one of `x5c[0]`')
  }
  const reading = readPublicKey(publicKey)
  if (!reading.usable) throw jwsRefusal('POL-703', `the key of the signer ${reading.problem}`)
  return { publicKey, key: reading.publicKey, certificates }
}

function readChain(x5c: JsonValue, rule: PolicyJwsRule): readonly Certificate[] {
  if (!Array.isArray(x5c) || x5c.length === 0 || x5c.length > longestChain) {
    throw jwsRefusal(rule, `\`x5c\` is not a list of 1 to ${longestChain} certificates`)
  }
  const certificates = x5c.map((text, at) => refusing(rule, () => parseCertificate(derOf(text, at), `x5c[${at}]`)))
  certificates.forEach((certificate, at) => {
    const issuer = certificates[at + 1]
    const problem = issuer === undefined ? null : linkProblem(certificate, issuer, at)
    if (problem !== null) throw jwsRefusal('POL-705', `x5c[${at}] is not issued by x5c[${at + 1}]: ${problem}`)
  })
  return certificates
}

function derOf(text: JsonValue, at: number): Uint8Array {
  return parseText(typeof text === 'string' ? text : '*', 'base64', `x5c[${at}]`)
}

/** Why `issuer` did not make `certificate`, of which `below` more lie under it; null if it did. */
function linkProblem(certificate: Certificate, issuer: Certificate, below: number): string | null {
  const { basicConstraints, keyUsage, extensions } = issuer
  if (!samePublicBytes(certificate.issuer.der, issuer.subject.der)) return 'the names differ'
  if (basicConstraints?.ca !== true) return 'that certificate has no CA flag'
  if (keyUsage !== null && !keyUsage.has('keyCertSign')) return 'its key usage does not allow it'
  if ((basicConstraints.pathLength ?? below) < below) return 'its path length is exceeded'
  for (const [id, { critical }] of extensions) {
    if (critical && !defaultCriticalExtensions.has(id)) return `it has the unknown critical extension ${id}`
  }
  const { signatureAlgorithm, tbs, signature } = certificate
  const verdict = verifySignature(signatureAlgorithm, issuer.publicKey, tbs, signature)
  return verdict === 'valid' ? null : `the signature is ${verdict.replace('_', ' ')}`
}

function keyOfJwk(jwk: JsonObject, rule: PolicyJwsRule): Uint8Array {
  const secret = privateMembers.find((name) => Object.hasOwn(jwk, name))
  if (secret !== undefined) throw jwsRefusal(rule, `the JWK has the private member \`${secret}\``)
  const members = refusing(rule, () => publicJwk(jwk))
  try {
    return new Uint8Array(createPublicKey({ key: members, format: 'jwk' }).export({ format: 'der', type: 'spki' }))
  } catch {
    // node:crypto reports members that make no key, as a point off its curve, by errors of several kinds.
    throw jwsRefusal(rule, 'the members of the JWK make no key')
  }
}

/** A JWK of a header member; undefined where it is absent. */
export function jwkMember(value: JsonValue | undefined, rule: PolicyJwsRule): JsonObject | undefined {
  if (value === undefined || isJsonObject(value)) return value
  throw jwsRefusal(rule, '`jwk` is not an object')
}

/** Upper-case hexadecimal SHA-1 of a certificate: the name that Azure gives it, never a proof of anything. */
export function certificateThumbprint({ der }: Pick<Certificate, 'der'>): string {
  return toHex(createHash('sha1').update(der).digest()).toUpperCase()
}

/** A trusted certificate as Azure shows it. Throws the error of POL-703 if its key cannot sign policies. */
export function describeCertificate(certificate: Certificate): JsonObject {
  const reading = readPublicKey(certificate.publicKey)
  if (!reading.usable) throw jwsRefusal('POL-703', `the key of the certificate ${reading.problem}`)
  return describeSigner({ key: reading.publicKey, certificates: [certificate] })
}

/** A signer as Azure shows it: `kty`, `alg`, `use` and `x5c`, or the bare key where no certificate is known. */
export function describeSigner({ key, certificates }: Pick<PolicySigner, 'key' | 'certificates'>): JsonObject {
  const alg = algorithmOfKey(key)
  const named = { kty: key.type === 'rsa' ? 'RSA' : 'EC', use: 'sig', ...(alg === null ? {} : { alg }) }
  if (certificates.length > 0) return { ...named, x5c: certificates.map(({ der }) => toBase64(der)) }
  return { ...publicJwk(key.key.export({ format: 'jwk' }) as Record<string, unknown>), ...named }
}
