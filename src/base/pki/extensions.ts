import { MalformedError } from '../errors.ts'
import { type DerCursor, identifiers, openDer } from './der-cursor.ts'
import type { DistinguishedName } from './distinguished-name.ts'
import { readGeneralNames } from './general-names.ts'
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

/**
 * Reads the Extensions that come next, by identifier. A second one of the same type is an error: parsers disagree on
 * which one counts.
 */
export function readExtensions(cursor: DerCursor): Extensions {
  const list = cursor.enter()
  // An empty list has to be left out.
  if (list.atEnd) throw cursor.uncanonical()
  const extensions = new Map<string, Extension>()
  let count = 0
  let repeated: string | null = null
  for (; !list.atEnd; count++) {
    const parts = list.enter()
    const id = parts.objectIdentifier()
    if (extensions.has(id)) repeated ??= id
    extensions.set(id, { critical: parts.flag(), value: parts.content(identifiers.octetString) })
    parts.requireEnd()
  }
  const place = { path: cursor.path }
  if (count > maximumExtensions) throw new MalformedError(place, `has ${count} extensions`)
  if (repeated !== null) throw new MalformedError(place, `has extension ${repeated} twice`)
  return extensions
}

type Refuse = (problem: string) => MalformedError

function decoded<T>(
  extensions: Extensions,
  id: keyof typeof extensionIds,
  path: string,
  read: (value: DerCursor, refuse: Refuse) => T,
): T | null {
  const extension = extensions.get(extensionIds[id])
  if (!extension) return null
  const place = `${path}.${id}`
  const value = openDer(extension.value, place, maximumElements)
  return read(value, (problem) => new MalformedError({ path: place }, problem))
}

export interface BasicConstraints {
  readonly ca: boolean
  readonly pathLength: number | null
}

export function basicConstraintsOf(extensions: Extensions, path: string): BasicConstraints | null {
  return decoded(extensions, 'basicConstraints', path, readBasicConstraints)
}

function readBasicConstraints(value: DerCursor, refuse: Refuse): BasicConstraints {
  const parts = value.enter()
  const ca = parts.flag()
  if (parts.atEnd) return { ca, pathLength: null }
  const pathLength = parts.smallInteger(255)
  parts.requireEnd()
  if (!ca) throw refuse('a path length without the CA bit')
  if (pathLength === null) throw refuse('path length is not 0 to 255')
  return { ca, pathLength }
}

export function keyUsageOf(extensions: Extensions, path: string): ReadonlySet<KeyUsage> | null {
  return decoded(extensions, 'keyUsage', path, readKeyUsage)
}

function readKeyUsage(value: DerCursor, refuse: Refuse): ReadonlySet<KeyUsage> {
  const bits = value.content(identifiers.bitString)
  const [unused, last] = [bits[0] ?? 0, bits.length > 1 ? (bits[bits.length - 1] ?? 0) : 0]
  if (bits.length > 3 || ((last >> unused) & 1) === 0) throw refuse('is empty or has trailing zero bits')
  const usages = new Set<KeyUsage>()
  keyUsageNames.forEach((name, bit) => {
    if (((bits[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) !== 0) usages.add(name)
  })
  return usages
}

export function extendedKeyUsageOf(extensions: Extensions, path: string): readonly string[] | null {
  return decoded(extensions, 'extKeyUsage', path, (value, refuse) => {
    const purposes = value.enter().each((list) => list.objectIdentifier())
    if (purposes.length === 0) throw refuse('is empty')
    return purposes
  })
}

export function subjectKeyIdOf(extensions: Extensions, path: string): Uint8Array | null {
  return decoded(extensions, 'subjectKeyIdentifier', path, (value) => value.content(identifiers.octetString))
}

/** Context tags of AuthorityKeyIdentifier, all implicit. */
const authorityTags = { keyId: 0x80, issuer: 0xa1, serial: 0x82 }

export function authorityKeyIdOf(extensions: Extensions, path: string): AuthorityKeyId | null {
  return decoded(extensions, 'authorityKeyIdentifier', path, (value, refuse) => {
    const parts = value.enter()
    const keyId = parts.meets(authorityTags.keyId) ? parts.content(authorityTags.keyId) : null
    const issuers = parts.meets(authorityTags.issuer) ? readGeneralNames(parts.enter(authorityTags.issuer)) : null
    const serial = parts.meets(authorityTags.serial) ? parts.content(authorityTags.serial) : null
    parts.requireEnd()
    if ((issuers === null) !== (serial === null)) throw refuse('has one of issuer and serial number only')
    if (issuers !== null && issuers.count === 0) throw parts.uncanonical()
    return {
      keyId,
      issuers: (issuers?.directoryNames ?? []).map(({ der }) => der),
      serial: serial === null ? null : unsignedOf(serial, refuse),
    }
  })
}

/** Directory names of subjectAltName; other forms of names are left out. */
export function subjectDirectoryNamesOf(extensions: Extensions, path: string): readonly DistinguishedName[] {
  const names = decoded(extensions, 'subjectAltName', path, (value) => readGeneralNames(value.enter()))
  return names?.directoryNames ?? []
}
