import {
  AuthorityKeyIdentifier,
  BasicConstraints,
  ExtendedKeyUsage,
  type Extension as ExtensionSchema,
  KeyUsage as KeyUsageSchema,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
} from '@peculiar/asn1-x509'
import { MalformedError } from '../errors.ts'
import { decodeExactly } from './decode-exactly.ts'
import { type DistinguishedName, nameOfSchema } from './distinguished-name.ts'
import { unsignedOf } from './serial-number.ts'

export const extensionIds = {
  subjectDirectoryAttributes: '2.5.29.9',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  reasonCode: '2.5.29.21',
  deltaCrlIndicator: '2.5.29.27',
  issuingDistributionPoint: '2.5.29.28',
  certificateIssuer: '2.5.29.29',
  nameConstraints: '2.5.29.30',
  authorityKeyIdentifier: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
} as const

export interface Extension {
  readonly critical: boolean
  /** Content of extnValue. Opaque unless this module knows the extension. */
  readonly value: Uint8Array
}

export type Extensions = ReadonlyMap<string, Extension>

/** Bits of KeyUsage, in the order of RFC 5280 section 4.2.1.3. */
const keyUsageNames = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const
export type KeyUsage = (typeof keyUsageNames)[number]

export interface AuthorityKeyId {
  readonly keyId: Uint8Array | null
  /** DER names of authorityCertIssuer that are directory names. */
  readonly issuers: readonly Uint8Array[]
  readonly serial: bigint | null
}

const maximumExtensions = 32
/** Elements of DER in one value. */
const maximumElements = 512

/** Extensions by identifier. A second one of the same type is an error: parsers disagree on which one counts. */
export function extensionsOf(list: readonly ExtensionSchema[], path: string): Extensions {
  if (list.length > maximumExtensions) throw new MalformedError({ path }, `has ${list.length} extensions`)
  const extensions = new Map<string, Extension>()
  for (const { extnID, critical, extnValue } of list) {
    if (extensions.has(extnID)) throw new MalformedError({ path }, `has extension ${extnID} twice`)
    extensions.set(extnID, { critical, value: new Uint8Array(extnValue.buffer) })
  }
  return extensions
}

function decoded<S, T>(
  extensions: Extensions,
  id: keyof typeof extensionIds,
  schema: new () => S,
  path: string,
  read: (value: S, refuse: (problem: string) => MalformedError) => T,
): T | null {
  const extension = extensions.get(extensionIds[id])
  if (!extension) return null
  const place = `${path}.${id}`
  const value = decodeExactly(extension.value, schema, place, maximumElements)
  return read(value, (problem) => new MalformedError({ path: place }, problem))
}

export function basicConstraintsOf(
  extensions: Extensions,
  path: string,
): { readonly ca: boolean; readonly pathLength: number | null } | null {
  return decoded(extensions, 'basicConstraints', BasicConstraints, path, ({ cA, pathLenConstraint }, refuse) => {
    const pathLength = pathLenConstraint ?? null
    if (pathLength !== null && !cA) throw refuse('a path length without the CA bit')
    // An integer that is too large for a number comes as another type from the library.
    if (pathLength !== null && !(Number.isInteger(pathLength) && pathLength >= 0 && pathLength < 256)) {
      throw refuse('path length is not 0 to 255')
    }
    return { ca: cA, pathLength }
  })
}

export function keyUsageOf(extensions: Extensions, path: string): ReadonlySet<KeyUsage> | null {
  return decoded(extensions, 'keyUsage', KeyUsageSchema, path, ({ value, unusedBits }, refuse) => {
    const bytes = new Uint8Array(value)
    const last = bytes[bytes.length - 1] ?? 0
    if (bytes.length > 2 || ((last >> unusedBits) & 1) === 0) throw refuse('is empty or has trailing zero bits')
    return new Set(keyUsageNames.filter((_name, bit) => ((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0))
  })
}

export function extendedKeyUsageOf(extensions: Extensions, path: string): readonly string[] | null {
  return decoded(extensions, 'extKeyUsage', ExtendedKeyUsage, path, (purposes, refuse) => {
    if (purposes.length === 0) throw refuse('is empty')
    return [...purposes]
  })
}

export function subjectKeyIdOf(extensions: Extensions, path: string): Uint8Array | null {
  return decoded(extensions, 'subjectKeyIdentifier', SubjectKeyIdentifier, path, (id) => new Uint8Array(id.buffer))
}

export function authorityKeyIdOf(extensions: Extensions, path: string): AuthorityKeyId | null {
  return decoded(extensions, 'authorityKeyIdentifier', AuthorityKeyIdentifier, path, (id, refuse) => {
    const { keyIdentifier, authorityCertIssuer: issuers, authorityCertSerialNumber: serial } = id
    if ((issuers === undefined) !== (serial === undefined)) throw refuse('has one of issuer and serial number only')
    return {
      keyId: keyIdentifier ? new Uint8Array(keyIdentifier.buffer) : null,
      issuers: (issuers ?? []).flatMap(({ directoryName }) => (directoryName ? [nameOfSchema(directoryName).der] : [])),
      serial: serial === undefined ? null : unsignedOf(new Uint8Array(serial), refuse),
    }
  })
}

/** Directory names of subjectAltName; other forms of names are left out. */
export function subjectDirectoryNamesOf(extensions: Extensions, path: string): readonly DistinguishedName[] {
  const names = decoded(extensions, 'subjectAltName', SubjectAlternativeName, path, (general) =>
    [...general].flatMap(({ directoryName }) => (directoryName ? [nameOfSchema(directoryName)] : [])),
  )
  return names ?? []
}
