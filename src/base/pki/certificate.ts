import { MalformedError } from '../errors.ts'
import { measureElement } from './der.ts'
import { type DerCursor, identifiers, openDer } from './der-cursor.ts'
import { type DistinguishedName, readName } from './distinguished-name.ts'
import {
  type AuthorityKeyId,
  authorityKeyIdOf,
  basicConstraintsOf,
  type Extensions,
  extendedKeyUsageOf,
  type KeyUsage,
  keyUsageOf,
  readExtensions,
  subjectDirectoryNamesOf,
  subjectKeyIdOf,
} from './extensions.ts'
import { serialOf } from './serial-number.ts'
import type { SignatureAlgorithm } from './signature.ts'
import { commonAlgorithm, readAlgorithm, requireSize, type SizeLimit, sha256Hex } from './signed-object.ts'

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

/** Elements of DER outside of extension values; certificates of real TPMs and their makers have up to 100. */
const maximumElements = 512

/**
 * Parses one DER certificate to its last byte (RFC 5280, TDX-111): strict DER, version 3, positive serial
 * number of at most 20 octets, the same algorithm identifier inside and outside, no extension twice, known
 * extensions in their one form. At most 512 elements, and 16 KiB unless `limit` says otherwise. Throws only `MalformedError`.
 */
export function parseCertificate(der: Uint8Array, path = 'certificate', limit: SizeLimit = {}): Certificate {
  requireSize(der, path, limit.maximum ?? 16_384)
  const certificate = openDer(der, path, maximumElements).enter()
  const tbs = certificate.element(identifiers.sequence)
  const outer = readAlgorithm(certificate)
  const signature = certificate.octetsOfBits()
  certificate.requireEnd()
  const signed = readSigned(certificate.inside(tbs))
  const { extensions } = signed
  return {
    der,
    fingerprint: sha256Hex(der),
    tbs,
    serial: signed.serial,
    issuer: signed.issuer,
    subject: signed.subject,
    notBefore: signed.notBefore,
    notAfter: signed.notAfter,
    publicKey: signed.publicKey,
    signatureAlgorithm: commonAlgorithm(signed.algorithm, outer, path),
    signature,
    extensions,
    basicConstraints: basicConstraintsOf(extensions, path),
    keyUsage: keyUsageOf(extensions, path),
    extendedKeyUsage: extendedKeyUsageOf(extensions, path),
    subjectKeyId: subjectKeyIdOf(extensions, path),
    authorityKeyId: authorityKeyIdOf(extensions, path),
    subjectDirectoryNames: subjectDirectoryNamesOf(extensions, path),
  }
}

/** SHA-256 of the SubjectPublicKeyInfo of a certificate: 64 lower-case hexadecimal digits. */
export function publicKeySha256({ publicKey }: Pick<Certificate, 'publicKey'>): string {
  return sha256Hex(publicKey)
}

/** Context tags of TBSCertificate. */
const signedTags = { version: 0xa0, issuerUniqueId: 0x81, subjectUniqueId: 0x82, extensions: 0xa3 }

/** The fields of TBSCertificate in their order. */
function readSigned(tbs: DerCursor) {
  const refuse = (field: string) => (problem: string) => new MalformedError({ path: `${tbs.path}.${field}` }, problem)
  requireVersion3(tbs, refuse('version'))
  const serial = serialOf(tbs.content(identifiers.integer), refuse('serialNumber'))
  const algorithm = readAlgorithm(tbs)
  const issuer = readName(tbs)
  const [notBefore, notAfter] = readValidity(tbs.enter())
  const subject = readName(tbs)
  const publicKey = readKeyInfo(tbs)
  if (tbs.meets(signedTags.issuerUniqueId) || tbs.meets(signedTags.subjectUniqueId)) {
    throw refuse('uniqueId')('is not supported')
  }
  const extensions = tbs.meets(signedTags.extensions) ? readExplicit(tbs) : new Map<string, never>()
  tbs.requireEnd()
  return { serial, algorithm, issuer, notBefore, notAfter, subject, publicKey, extensions }
}

function requireVersion3(tbs: DerCursor, refuse: (problem: string) => MalformedError): void {
  if (!tbs.meets(signedTags.version)) throw refuse('is 1, must be 3')
  const explicit = tbs.enter(signedTags.version)
  const version = explicit.smallInteger(255)
  explicit.requireEnd()
  // Version 1 is the default, which has to be left out.
  if (version === 0) throw tbs.uncanonical()
  if (version !== 2) throw refuse(`is ${version === null ? 'not a version' : version + 1}, must be 3`)
}

function readValidity(validity: DerCursor): [notBefore: number, notAfter: number] {
  const times: [number, number] = [validity.time(), validity.time()]
  validity.requireEnd()
  return times
}

/** The SubjectPublicKeyInfo as it stands; the key in it may be any bits. */
function readKeyInfo(tbs: DerCursor): Uint8Array {
  const der = tbs.element(identifiers.sequence)
  const parts = tbs.inside(der)
  readAlgorithm(parts)
  parts.octetsOfBits()
  parts.requireEnd()
  return der
}

function readExplicit(tbs: DerCursor): Extensions {
  const explicit = tbs.enter(signedTags.extensions)
  const extensions = readExtensions(explicit)
  explicit.requireEnd()
  return extensions
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
