import { constants, verify } from 'node:crypto'
import { concatBytes, toHex } from '../bytes.ts'
import { openDer } from './der-cursor.ts'
import { type KeyReading, readPublicKey } from './public-key.ts'

export type SignatureHash = 'sha256' | 'sha384' | 'sha512'

/** How a certificate or a revocation list is signed. */
export type SignatureAlgorithm =
  | { readonly kind: 'rsa-pkcs1' | 'rsa-pss' | 'ecdsa'; readonly hash: SignatureHash }
  /** Known and broken: MD5, SHA-1, and RSA-PSS with its SHA-1 defaults. */
  | { readonly kind: 'weak'; readonly identifier: string }
  | { readonly kind: 'unsupported'; readonly identifier: string }

export type SignatureVerdict = 'valid' | 'invalid' | 'weak_algorithm' | 'unsupported_algorithm' | 'unusable_key'

const fromHex = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))
const sequence = (...parts: readonly Uint8Array[]) => wrapped(0x30, ...parts)

function wrapped(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(...parts)
  return concatBytes(Uint8Array.of(tag, content.length), content)
}

const hashes: readonly { readonly hash: SignatureHash; readonly oid: string; readonly size: number }[] = [
  { hash: 'sha256', oid: '0609608648016503040201', size: 32 },
  { hash: 'sha384', oid: '0609608648016503040202', size: 48 },
  { hash: 'sha512', oid: '0609608648016503040203', size: 64 },
]
const nullParameters = fromHex('0500')
const pssIdentifier = '06092a864886f70d01010a'
const mgf1Identifier = '06092a864886f70d010108'

/** RSASSA-PSS with one hash throughout and a salt as long as the hash: the form that RFC 8017 recommends. */
function pssDer(oid: string, size: number, parameters: Uint8Array): Uint8Array {
  const hash = sequence(fromHex(oid), parameters)
  const mask = sequence(fromHex(mgf1Identifier), hash)
  const salt = Uint8Array.of(0x02, 0x01, size)
  return sequence(fromHex(pssIdentifier), sequence(wrapped(0xa0, hash), wrapped(0xa1, mask), wrapped(0xa2, salt)))
}

function knownForms(): Map<string, SignatureAlgorithm> {
  const forms = new Map<string, SignatureAlgorithm>()
  const add = (der: Uint8Array, algorithm: SignatureAlgorithm) => forms.set(toHex(der), algorithm)
  const suffixes = { rsa: ['0b', '0c', '0d'], ecdsa: ['02', '03', '04'] }
  hashes.forEach(({ hash, oid, size }, at) => {
    add(sequence(fromHex(`06092a864886f70d0101${suffixes.rsa[at]}`), nullParameters), { kind: 'rsa-pkcs1', hash })
    add(sequence(fromHex(`06082a8648ce3d0403${suffixes.ecdsa[at]}`)), { kind: 'ecdsa', hash })
    // RFC 4055 section 2.1 allows the hash's NULL parameters to be present or absent.
    for (const parameters of [nullParameters, new Uint8Array()])
      add(pssDer(oid, size, parameters), { kind: 'rsa-pss', hash })
  })
  return forms
}

/** Whole AlgorithmIdentifiers: parameters that are wrong, absent or superfluous do not match. */
const known: ReadonlyMap<string, SignatureAlgorithm> = knownForms()

const weakIdentifiers = new Set([
  '1.2.840.113549.1.1.2', // md2WithRSAEncryption
  '1.2.840.113549.1.1.4', // md5WithRSAEncryption
  '1.2.840.113549.1.1.5', // sha1WithRSAEncryption
  '1.2.840.10045.4.1', // ecdsa-with-SHA1
  '1.2.840.10040.4.3', // dsa-with-sha1
])
const pssWithDefaults = '300d06092a864886f70d01010a3000'

/** Reads a DER AlgorithmIdentifier, of which the form was judged (`readAlgorithm`). */
export function signatureAlgorithmOf(der: Uint8Array): SignatureAlgorithm {
  const hex = toHex(der)
  const algorithm = known.get(hex)
  if (algorithm) return algorithm
  const identifier = openDer(der, 'signatureAlgorithm').enter().objectIdentifier()
  return { kind: weakIdentifiers.has(identifier) || hex === pssWithDefaults ? 'weak' : 'unsupported', identifier }
}

/**
 * Verifies `signature` (ECDSA: DER) over `data` with the key in `spki` (DER SubjectPublicKeyInfo). The
 * algorithm comes from the signed object and must fit the type of the key. Both forms of an ECDSA signature,
 * s and n - s, are valid: a hash over signed bytes and signature is no identity. Never throws.
 */
export function verifySignature(
  algorithm: SignatureAlgorithm,
  spki: Uint8Array,
  data: Uint8Array,
  signature: Uint8Array,
): SignatureVerdict {
  return verifyWithReading(algorithm, readPublicKey(spki), data, signature)
}

/** As `verifySignature`, with a key that was read before: importing takes as long as verifying. */
export function verifyWithReading(
  algorithm: SignatureAlgorithm,
  reading: KeyReading,
  data: Uint8Array,
  signature: Uint8Array,
): SignatureVerdict {
  if (algorithm.kind === 'weak') return 'weak_algorithm'
  if (algorithm.kind === 'unsupported') return 'unsupported_algorithm'
  if (!reading.usable) return 'unusable_key'
  const { type, key } = reading.publicKey
  if ((type === 'ec') !== (algorithm.kind === 'ecdsa')) return 'invalid'
  // DER is the default encoding of ECDSA signatures.
  if (algorithm.kind === 'ecdsa') return verify(algorithm.hash, data, key, signature) ? 'valid' : 'invalid'
  const isPss = algorithm.kind === 'rsa-pss'
  const padding = isPss ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING
  const options = { key, padding, ...(isPss ? { saltLength: constants.RSA_PSS_SALTLEN_DIGEST } : {}) }
  return verify(algorithm.hash, data, options, signature) ? 'valid' : 'invalid'
}

/**
 * Verifies raw r and s, big-endian at the size of the field, over `data` with SHA-256 (TDX-151, TDX-161). Another
 * length is invalid (TDX-264). Never throws.
 */
export function verifyRawEcdsa(reading: KeyReading, data: Uint8Array, signature: Uint8Array): boolean {
  if (!reading.usable || reading.publicKey.type !== 'ec') return false
  return verify('sha256', data, { key: reading.publicKey.key, dsaEncoding: 'ieee-p1363' }, signature)
}
