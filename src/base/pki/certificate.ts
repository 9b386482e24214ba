import { Certificate as CertificateSchema } from '@peculiar/asn1-x509'
import { MalformedError } from '../errors.ts'
import { decodeExactly, encodeSchema } from './decode-exactly.ts'
import { measureElement } from './der.ts'
import { type DistinguishedName, nameOfSchema } from './distinguished-name.ts'
import {
  type AuthorityKeyId,
  authorityKeyIdOf,
  basicConstraintsOf,
  type Extensions,
  extendedKeyUsageOf,
  extensionsOf,
  type KeyUsage,
  keyUsageOf,
  subjectDirectoryNamesOf,
  subjectKeyIdOf,
} from './extensions.ts'
import { serialOf } from './serial-number.ts'
import type { SignatureAlgorithm } from './signature.ts'
import { commonAlgorithm, millisecondsOf, requireSize, type SizeLimit, sha256Hex } from './signed-object.ts'

/** An X.509 v3 certificate as its bytes say. Nothing is verified: neither signature, dates nor issuer. */
export interface Certificate {
  readonly der: Uint8Array
  /** SHA-256 of `der`, 64 lower-case hexadecimal digits. */
  readonly fingerprint: string
  /** The signed bytes. */
  readonly tbs: Uint8Array
  readonly serial: bigint
  readonly issuer: DistinguishedName
  readonly subject: DistinguishedName
  /** Milliseconds since the epoch, whole seconds; both bounds belong to the validity. */
  readonly notBefore: number
  readonly notAfter: number
  /** DER SubjectPublicKeyInfo; the key itself may be unusable (see `readPublicKey`). */
  readonly publicKey: Uint8Array
  /** SHA-256 of `publicKey`, 64 lower-case hexadecimal digits. */
  readonly publicKeySha256: string
  readonly signatureAlgorithm: SignatureAlgorithm
  readonly signature: Uint8Array
  readonly extensions: Extensions
  readonly basicConstraints: { readonly ca: boolean; readonly pathLength: number | null } | null
  readonly keyUsage: ReadonlySet<KeyUsage> | null
  readonly extendedKeyUsage: readonly string[] | null
  readonly subjectKeyId: Uint8Array | null
  readonly authorityKeyId: AuthorityKeyId | null
  /** Directory names in subjectAltName. */
  readonly subjectDirectoryNames: readonly DistinguishedName[]
}

const version3 = 2

/** Elements of DER outside of extension values; certificates of real TPMs and their makers have up to 100. */
const maximumElements = 512

/**
 * Parses one DER certificate to its last byte (RFC 5280, TDX-111): strict DER, version 3, positive serial
 * number of at most 20 octets, the same algorithm identifier inside and outside, no extension twice, known
 * extensions in their one form. At most 512 elements, and 16 KiB unless `limit` says otherwise. Throws only `MalformedError`.
 */
export function parseCertificate(der: Uint8Array, path = 'certificate', limit: SizeLimit = {}): Certificate {
  requireSize(der, path, limit.maximum ?? 16_384)
  const schema = decodeExactly(der, CertificateSchema, path, maximumElements)
  const refuse = (field: string) => (problem: string) => new MalformedError({ path: `${path}.${field}` }, problem)
  const { tbsCertificate: tbs } = schema
  if (tbs.version !== version3) throw refuse('version')(`is ${tbs.version + 1}, must be 3`)
  if (tbs.issuerUniqueID || tbs.subjectUniqueID) throw refuse('uniqueId')('is not supported')
  const publicKey = encodeSchema(tbs.subjectPublicKeyInfo)
  return {
    der,
    fingerprint: sha256Hex(der),
    tbs: encodeSchema(tbs),
    serial: serialOf(new Uint8Array(tbs.serialNumber), refuse('serialNumber')),
    issuer: nameOfSchema(tbs.issuer),
    subject: nameOfSchema(tbs.subject),
    notBefore: millisecondsOf(tbs.validity.notBefore),
    notAfter: millisecondsOf(tbs.validity.notAfter),
    publicKey,
    publicKeySha256: sha256Hex(publicKey),
    signatureAlgorithm: commonAlgorithm(tbs.signature, schema.signatureAlgorithm, path),
    signature: new Uint8Array(schema.signatureValue),
    ...knownExtensions(extensionsOf(tbs.extensions ?? [], path), path),
  }
}

/**
 * Parses a certificate that may be followed by filling, as NV indices and fixed buffers deliver it: cut at the
 * length of the outer element; the rest must be all 00 or all FF.
 */
export function parsePaddedCertificate(bytes: Uint8Array, path = 'certificate', limit: SizeLimit = {}): Certificate {
  const size = measureElement(bytes, path)
  if (size > bytes.length) throw new MalformedError({ path }, `needs ${size} bytes, has ${bytes.length}`)
  const [der, filling] = [bytes.subarray(0, size), bytes.subarray(size)]
  const fill = filling[0] ?? 0
  if ((fill !== 0 && fill !== 0xff) || filling.some((byte) => byte !== fill)) {
    throw new MalformedError({ path, offset: size }, 'is followed by bytes that are not all 00 or all FF')
  }
  return parseCertificate(der, path, limit)
}

function knownExtensions(extensions: Extensions, path: string) {
  return {
    extensions,
    basicConstraints: basicConstraintsOf(extensions, path),
    keyUsage: keyUsageOf(extensions, path),
    extendedKeyUsage: extendedKeyUsageOf(extensions, path),
    subjectKeyId: subjectKeyIdOf(extensions, path),
    authorityKeyId: authorityKeyIdOf(extensions, path),
    subjectDirectoryNames: subjectDirectoryNamesOf(extensions, path),
  }
}
