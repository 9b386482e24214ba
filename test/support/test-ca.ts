import { AsnConvert } from '@peculiar/asn1-schema'
import {
  AuthorityKeyIdentifier,
  BasicConstraints,
  CertificateList,
  Certificate as CertificateSchema,
  CRLNumber,
  ExtendedKeyUsage,
  Extensions,
  KeyIdentifier,
  type Name,
  RevokedCertificate,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  TBSCertList,
  Time,
  Validity,
} from '@peculiar/asn1-x509'
import { type Certificate, parseCertificate } from '../../src/base/pki/certificate.ts'
import type { KeyUsage } from '../../src/base/pki/extensions.ts'
import { parseCrl, type RevocationList } from '../../src/base/pki/revocation-list.ts'
import {
  type AlgorithmName,
  arrayBuffer,
  generateKeys,
  identifierOf,
  type KeyPair,
  keyIdOf,
  keyUsageDer,
  type Names,
  nameFrom,
  type RawExtension,
  rawExtension,
  signWith,
  spkiOf,
  toSchema,
} from './test-ca-schema.ts'

/**
 * A certificate authority for tests: every field of a certificate or revocation list can be set or broken on
 * its own.
 */

/** What signs: a name, a key, and the key identifier that its certificates name. */
export interface Signer {
  readonly name: Name
  readonly keys: KeyPair
  readonly keyId: Uint8Array | null
}

export interface CertificateSpec {
  readonly signer: Signer
  readonly keys?: KeyPair
  readonly subject?: Names
  /** Default: the name of the signer. */
  readonly issuer?: Names
  /** Content octets of the INTEGER. */
  readonly serial?: Uint8Array
  /** Milliseconds. */
  readonly notBefore?: number
  readonly notAfter?: number
  readonly basicConstraints?: { readonly ca: boolean; readonly pathLength?: number } | null
  readonly keyUsage?: readonly KeyUsage[] | null
  readonly extKeyUsage?: readonly string[] | null
  readonly keyId?: Uint8Array | null
  /** Default: the key identifier of the signer. */
  readonly authorityKeyId?: AuthorityKeyIdentifier | null
  readonly extensions?: readonly RawExtension[]
  readonly algorithm?: AlgorithmName
  /** Written outside of the signed part; default: the same. */
  readonly outerAlgorithm?: AlgorithmName
  /** Last change to the signed part, before it is signed. */
  readonly edit?: (tbs: TBSCertificate) => unknown
}

let lastSerial = 1000
const day = 86_400_000
export const testNow = Date.UTC(2026, 5, 1)

export function authorityKeyId(keyId: Uint8Array): AuthorityKeyIdentifier {
  return new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(arrayBuffer(keyId)) })
}

function extensionsFor(spec: CertificateSpec, keyId: Uint8Array | null): RawExtension[] {
  const { basicConstraints = { ca: false }, keyUsage = null, extKeyUsage = null, signer } = spec
  const named = spec.authorityKeyId === undefined && signer.keyId ? authorityKeyId(signer.keyId) : spec.authorityKeyId
  const list: RawExtension[] = []
  if (basicConstraints) {
    const { ca, pathLength } = basicConstraints
    const value = new BasicConstraints({
      cA: ca,
      ...(pathLength === undefined ? {} : { pathLenConstraint: pathLength }),
    })
    list.push(rawExtension('2.5.29.19', true, value))
  }
  if (keyUsage) list.push({ id: '2.5.29.15', critical: true, value: keyUsageDer(keyUsage) })
  if (extKeyUsage) list.push(rawExtension('2.5.29.37', false, new ExtendedKeyUsage([...extKeyUsage])))
  if (keyId) list.push(rawExtension('2.5.29.14', false, new SubjectKeyIdentifier(arrayBuffer(keyId))))
  if (named) list.push(rawExtension('2.5.29.35', false, named))
  return [...list, ...(spec.extensions ?? [])]
}

function defaultAlgorithm(signer: Signer): AlgorithmName {
  const type = signer.keys.privateKey.asymmetricKeyType
  if (type === 'ed25519') return 'ed25519'
  return type === 'rsa' ? 'rsa-sha256' : 'ecdsa-sha256'
}

/** A certificate in DER, signed by `spec.signer`. */
export function issueDer(spec: CertificateSpec): Uint8Array {
  const keys = spec.keys ?? generateKeys()
  const keyId = spec.keyId === undefined ? keyIdOf(keys) : spec.keyId
  const algorithm = spec.algorithm ?? defaultAlgorithm(spec.signer)
  lastSerial += 1
  const tbs = new TBSCertificate({
    version: 2,
    serialNumber: arrayBuffer(spec.serial ?? Uint8Array.of(lastSerial >> 8, lastSerial & 0xff)),
    signature: identifierOf(algorithm),
    issuer: spec.issuer ? nameFrom(spec.issuer) : spec.signer.name,
    validity: new Validity({
      notBefore: new Date(spec.notBefore ?? testNow - 365 * day),
      notAfter: new Date(spec.notAfter ?? testNow + 365 * day),
    }),
    subject: nameFrom(spec.subject ?? { CN: 'leaf' }),
    subjectPublicKeyInfo: AsnConvert.parse(spkiOf(keys.publicKey), SubjectPublicKeyInfo),
    extensions: new Extensions(extensionsFor(spec, keyId).map(toSchema)),
  })
  spec.edit?.(tbs)
  const signed = new Uint8Array(AsnConvert.serialize(tbs))
  const certificate = new CertificateSchema({
    tbsCertificate: tbs,
    signatureAlgorithm: identifierOf(spec.outerAlgorithm ?? algorithm),
    signatureValue: arrayBuffer(signWith(algorithm, spec.signer.keys.privateKey, signed)),
  })
  return new Uint8Array(AsnConvert.serialize(certificate))
}

/** An authority with its own certificate. */
export interface TestAuthority extends Signer {
  readonly certificate: Certificate
}

export type AuthoritySpec = Partial<CertificateSpec>

const authorityDefaults = { basicConstraints: { ca: true }, keyUsage: ['keyCertSign', 'cRLSign'] } as const

/** A self-signed authority. */
export function createRoot(spec: AuthoritySpec = {}): TestAuthority {
  const keys = spec.keys ?? generateKeys()
  const subject = spec.subject ?? { O: 'Example', CN: 'test root' }
  const keyId = spec.keyId === undefined ? keyIdOf(keys) : spec.keyId
  const signer = { name: nameFrom(subject), keys, keyId }
  return {
    ...signer,
    certificate: parseCertificate(issueDer({ ...authorityDefaults, ...spec, signer, subject, keys })),
  }
}

/** An authority below another one. */
export function createIntermediate(parent: Signer, spec: AuthoritySpec = {}): TestAuthority {
  const keys = spec.keys ?? generateKeys()
  const subject = spec.subject ?? { O: 'Example', CN: 'test intermediate' }
  const keyId = spec.keyId === undefined ? keyIdOf(keys) : spec.keyId
  const der = issueDer({ signer: parent, ...authorityDefaults, ...spec, subject, keys })
  return { name: nameFrom(subject), keys, keyId, certificate: parseCertificate(der) }
}

export function issue(spec: CertificateSpec): Certificate {
  return parseCertificate(issueDer(spec))
}

export interface CrlSpec {
  readonly signer: Signer
  readonly issuer?: Names
  readonly thisUpdate?: number
  /** null: left out. */
  readonly nextUpdate?: number | null
  readonly revoked?: readonly { readonly serial: bigint; readonly extensions?: readonly RawExtension[] }[]
  readonly number?: number | null
  readonly authorityKeyId?: AuthorityKeyIdentifier | null
  readonly extensions?: readonly RawExtension[]
  readonly algorithm?: AlgorithmName
  readonly outerAlgorithm?: AlgorithmName
  readonly version?: number
}

function serialContent(serial: bigint): ArrayBuffer {
  const hex = serial.toString(16)
  const even = hex.length % 2 === 0 ? hex : `0${hex}`
  return arrayBuffer(Buffer.from(Number.parseInt(even.slice(0, 2), 16) >= 0x80 ? `00${even}` : even, 'hex'))
}

function crlExtensions(spec: CrlSpec): RawExtension[] {
  const { number = 1, signer } = spec
  const named = spec.authorityKeyId === undefined && signer.keyId ? authorityKeyId(signer.keyId) : spec.authorityKeyId
  return [
    ...(number === null ? [] : [rawExtension('2.5.29.20', false, new CRLNumber(number))]),
    ...(named ? [rawExtension('2.5.29.35', false, named)] : []),
    ...(spec.extensions ?? []),
  ]
}

/** A revocation list in DER. */
export function issueCrlDer(spec: CrlSpec): Uint8Array {
  const algorithm = spec.algorithm ?? defaultAlgorithm(spec.signer)
  const revoked = (spec.revoked ?? []).map(
    ({ serial, extensions }) =>
      new RevokedCertificate({
        userCertificate: serialContent(serial),
        revocationDate: new Time(new Date(testNow - 10 * day)),
        ...(extensions ? { crlEntryExtensions: extensions.map(toSchema) } : {}),
      }),
  )
  const extensions = crlExtensions(spec).map(toSchema)
  const tbs = new TBSCertList({
    version: spec.version ?? 1,
    signature: identifierOf(algorithm),
    issuer: spec.issuer ? nameFrom(spec.issuer) : spec.signer.name,
    thisUpdate: new Time(new Date(spec.thisUpdate ?? testNow - day)),
    ...(spec.nextUpdate === null ? {} : { nextUpdate: new Time(new Date(spec.nextUpdate ?? testNow + day)) }),
    ...(revoked.length > 0 ? { revokedCertificates: revoked } : {}),
    ...(extensions.length > 0 ? { crlExtensions: extensions } : {}),
  })
  const list = new CertificateList({
    tbsCertList: tbs,
    signatureAlgorithm: identifierOf(spec.outerAlgorithm ?? algorithm),
    signature: arrayBuffer(signWith(algorithm, spec.signer.keys.privateKey, new Uint8Array(AsnConvert.serialize(tbs)))),
  })
  return new Uint8Array(AsnConvert.serialize(list))
}

export function issueCrl(spec: CrlSpec): RevocationList {
  return parseCrl(issueCrlDer(spec))
}
