import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto'
import { concatBytes } from '../../src/base/bytes.ts'
import { newP256Key } from '../../src/base/generated-keys.ts'
import {
  bitString,
  boolean,
  implicit,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  set,
  tagged,
  time,
  utf8String,
} from './der.ts'

/** What every name says of itself besides its common name, so that nobody takes one for the maker's (TDX-280). */
export const simulatorOrganisation = 'attestd simulator - not Intel'

/** Who signs: its common name and its private key. */
export interface Signer {
  readonly commonName: string
  readonly key: KeyObject
}

/** A certificate and the key that it is for. */
export interface Identity extends Signer {
  readonly certificate: Uint8Array
  readonly serial: bigint
}

/** Milliseconds since the epoch; both bounds belong to it. */
export interface Validity {
  readonly notBefore: number
  readonly notAfter: number
}

interface CertificateSpec extends Validity {
  readonly commonName: string
  readonly key: KeyObject
  readonly issuer: Signer
  readonly serial: bigint
  /** Where its issuer would publish revocations. Nobody fetches it (TDX-191). */
  readonly distributionPoint: string
  /** Null: not an authority. */
  readonly pathLength: number | null
  /** DER `Extension`s besides those that every certificate has. */
  readonly extensions?: readonly Uint8Array[]
}

export const newKey = (): KeyObject => newP256Key()

/** 20 octets, positive. */
export function newSerial(): bigint {
  const bytes = Uint8Array.from(randomBytes(20))
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
}

const spkiOf = (key: KeyObject) => new Uint8Array(createPublicKey(key).export({ format: 'der', type: 'spki' }))

/** SHA-1 of the public key's bit string (RFC 5280 section 4.2.1.2): its uncompressed point ends the SPKI. */
const keyIdOf = (key: KeyObject) => new Uint8Array(createHash('sha1').update(spkiOf(key).subarray(-65)).digest())

const ecdsaWithSha256 = sequence(objectIdentifier('1.2.840.10045.4.3.2'))

function nameOf(commonName: string): Uint8Array {
  const attribute = (id: string, value: string) => set(sequence(objectIdentifier(id), utf8String(value)))
  return sequence(attribute('2.5.4.3', commonName), attribute('2.5.4.10', simulatorOrganisation))
}

export function extension(id: string, critical: boolean, value: Uint8Array): Uint8Array {
  return sequence(objectIdentifier(id), ...(critical ? [boolean(true)] : []), octetString(value))
}

const authorityKeyId = (key: KeyObject) => extension('2.5.29.35', false, sequence(implicit(0, keyIdOf(key))))

/** keyCertSign and cRLSign for authorities; digitalSignature and nonRepudiation for leaves. */
const keyUsage = (isAuthority: boolean) =>
  isAuthority ? bitString(Uint8Array.of(0x06), 1) : bitString(Uint8Array.of(0xc0), 6)

function extensionsOf(spec: CertificateSpec): Uint8Array {
  const { key, issuer, distributionPoint, pathLength } = spec
  const uri = implicit(6, new TextEncoder().encode(distributionPoint))
  const constraints = pathLength === null ? sequence() : sequence(boolean(true), integer(pathLength))
  return sequence(
    authorityKeyId(issuer.key),
    extension('2.5.29.31', false, sequence(sequence(tagged(0, tagged(0, uri))))),
    extension('2.5.29.14', false, octetString(keyIdOf(key))),
    extension('2.5.29.15', true, keyUsage(pathLength !== null)),
    extension('2.5.29.19', true, constraints),
    ...(spec.extensions ?? []),
  )
}

function signed(content: Uint8Array, key: KeyObject): Uint8Array {
  return sequence(content, ecdsaWithSha256, bitString(new Uint8Array(sign('sha256', content, key))))
}

/** An X.509 v3 certificate in DER: P-256, ecdsa-with-SHA256, and the extensions of TDX-280. */
export function issueCertificate(spec: CertificateSpec): Uint8Array {
  const content = sequence(
    tagged(0, integer(2)),
    integer(spec.serial),
    ecdsaWithSha256,
    nameOf(spec.issuer.commonName),
    sequence(time(spec.notBefore), time(spec.notAfter)),
    nameOf(spec.commonName),
    spkiOf(spec.key),
    tagged(3, extensionsOf(spec)),
  )
  return signed(content, spec.issuer.key)
}

export interface RevocationSpec {
  readonly issuer: Signer
  /** Milliseconds since the epoch. */
  readonly thisUpdate: number
  readonly nextUpdate: number
  readonly number: number
  readonly revoked: readonly bigint[]
  /** Default: the key of the issuer. */
  readonly signingKey?: KeyObject
}

/** A v2 revocation list in DER, with its number and the key identifier of its issuer (TDX-281). */
export function issueRevocationList(spec: RevocationSpec): Uint8Array {
  const entries = spec.revoked.map((serial) => sequence(integer(serial), time(spec.thisUpdate)))
  const extensions = concatBytes(extension('2.5.29.20', false, integer(spec.number)), authorityKeyId(spec.issuer.key))
  const content = sequence(
    integer(1),
    ecdsaWithSha256,
    nameOf(spec.issuer.commonName),
    time(spec.thisUpdate),
    time(spec.nextUpdate),
    ...(entries.length > 0 ? [sequence(...entries)] : []),
    tagged(0, sequence(extensions)),
  )
  return signed(content, spec.signingKey ?? spec.issuer.key)
}
