import { toHex } from '../bytes.ts'
import { MalformedError } from '../errors.ts'
import { contentOfElement, measureElement } from './der.ts'
import { type DerCursor, identifiers, openDer } from './der-cursor.ts'
import { type DistinguishedName, readName } from './distinguished-name.ts'
import { type AuthorityKeyId, authorityKeyIdOf, type Extensions, extensionIds, readExtensions } from './extensions.ts'
import { requireUnsigned, serialDigits, unsignedOf } from './serial-number.ts'
import type { SignatureAlgorithm } from './signature.ts'
import { commonAlgorithm, readAlgorithm, requireSize, type SizeLimit } from './signed-object.ts'

/** A v2 certificate revocation list as its bytes say. Nothing is verified. */
export interface RevocationList {
  readonly der: Uint8Array
  /** The signed bytes. */
  readonly tbs: Uint8Array
  readonly issuer: DistinguishedName
  /** Milliseconds since the epoch; both bounds belong to the validity. */
  readonly thisUpdate: number
  readonly nextUpdate: number
  readonly signatureAlgorithm: SignatureAlgorithm
  readonly signature: Uint8Array
  /** Of the entries, as `serialText` writes them. */
  readonly revokedSerials: ReadonlySet<string>
  readonly extensions: Extensions
  /** cRLNumber, or null where the list has none. */
  readonly number: bigint | null
  readonly authorityKeyId: AuthorityKeyId | null
  /**
   * Why the list must not be used although it is well formed: it is a delta or covers a part of the
   * certificates only, it speaks for other issuers, or a critical extension of it is not known. Else null.
   */
  readonly unsupported: string | null
}

/** Extensions that change what the absence of a serial number means, whether they are marked critical or not. */
const partialLists: Readonly<Record<string, string>> = {
  [extensionIds.deltaCrlIndicator]: 'is a delta list',
  [extensionIds.issuingDistributionPoint]: 'covers a part of the certificates only, or is indirect',
}
const knownExtensions = new Set<string>([extensionIds.crlNumber, extensionIds.authorityKeyIdentifier])

/**
 * Parses one DER revocation list to its last byte (RFC 5280 section 5, TDX-119): strict DER, version 2, a
 * nextUpdate, the same algorithm identifier inside and outside. At most 1 MiB unless `limit` says otherwise. Throws
 * only `MalformedError`.
 */
export function parseCrl(der: Uint8Array, path = 'crl', limit: SizeLimit = {}): RevocationList {
  requireSize(der, path, limit.maximum ?? 1_048_576)
  const list = openDer(der, path).enter()
  const tbs = list.element(identifiers.sequence)
  const outer = readAlgorithm(list)
  const signature = list.octetsOfBits()
  list.requireEnd()
  const signed = readSigned(list.inside(tbs), der)
  const { extensions, entries } = signed
  return {
    der,
    tbs,
    issuer: signed.issuer,
    thisUpdate: signed.thisUpdate,
    nextUpdate: signed.nextUpdate,
    signatureAlgorithm: commonAlgorithm(signed.algorithm, outer, path),
    signature,
    revokedSerials: entries.serials,
    extensions,
    number: crlNumberOf(extensions, path),
    authorityKeyId: authorityKeyIdOf(extensions, path),
    unsupported: unsupportedReason(extensions) ?? unsupportedEntry(entries.extensions),
  }
}

/**
 * The signed bytes of a list and the signature over them, by the lengths of the outermost elements alone. For whoever
 * wants to know whether a long list is worth reading; `parseCrl` finds the same in every list that it accepts. Throws
 * `MalformedError`.
 */
export function cutCrl(der: Uint8Array, path = 'crl'): Pick<RevocationList, 'tbs' | 'signature'> {
  const list = contentOfElement(der, path)
  const tbs = list.subarray(0, measureElement(list, path))
  const behind = list.subarray(tbs.length)
  const bits = contentOfElement(behind.subarray(measureElement(behind, path)), path)
  return { tbs, signature: bits.subarray(1) }
}

interface RevokedEntries {
  readonly serials: ReadonlySet<string>
  /** Of the entries in their order; those of an entry that repeats what the one before it has are left out. */
  readonly extensions: readonly Extensions[]
}

/** [0] EXPLICIT. */
const extensionsTag = 0xa0

/** The fields of TBSCertList in their order. */
function readSigned(tbs: DerCursor, der: Uint8Array) {
  const refuse = (field: string) => (problem: string) => new MalformedError({ path: `${tbs.path}.${field}` }, problem)
  if (!tbs.meets(identifiers.integer) || tbs.smallInteger(255) !== 1) throw refuse('version')('is not 2')
  const algorithm = readAlgorithm(tbs)
  const issuer = readName(tbs)
  const thisUpdate = tbs.time()
  // A list without an end would be current for ever, and a replayed one hides every later revocation.
  if (!tbs.meets(identifiers.utcTime) && !tbs.meets(identifiers.generalizedTime))
    throw refuse('nextUpdate')('is missing')
  const nextUpdate = tbs.time()
  const entries = tbs.meets(identifiers.sequence) ? readEntries(tbs, der, refuse('revokedCertificates')) : noEntries
  const extensions = tbs.meets(extensionsTag) ? readListExtensions(tbs) : new Map<string, never>()
  tbs.requireEnd()
  return { algorithm, issuer, thisUpdate, nextUpdate, entries, extensions }
}

function readListExtensions(tbs: DerCursor): Extensions {
  const explicit = tbs.enter(extensionsTag)
  const extensions = readExtensions(explicit)
  explicit.requireEnd()
  return extensions
}

const noEntries: RevokedEntries = { serials: new Set(), extensions: [] }

function readEntries(tbs: DerCursor, der: Uint8Array, refuse: (problem: string) => MalformedError): RevokedEntries {
  const entries = tbs.enter()
  // A list of none has to be left out.
  if (entries.atEnd) throw tbs.uncanonical()
  const serials = new Set<string>()
  const extensions: Extensions[] = []
  const digits = toHex(der)
  let before: Uint8Array = new Uint8Array()
  while (!entries.atEnd) {
    const entry = entries.enter()
    const start = entry.skip(identifiers.integer)
    requireUnsigned(der[start], refuse)
    serials.add(serialDigits(digits, start, entry.at))
    entry.time()
    // Nearly all entries of a list have the same extensions, octet for octet.
    if (entry.atEnd || repeats(der, entry, before)) continue
    before = der.subarray(entry.at, entry.end)
    extensions.push(readExtensions(entry))
    entry.requireEnd()
  }
  return { serials, extensions }
}

/** Whether the rest of `entry` has these bytes. */
function repeats(der: Uint8Array, { at, end }: DerCursor, bytes: Uint8Array): boolean {
  if (end - at !== bytes.length) return false
  for (let offset = 0; offset < bytes.length; offset++) if (der[at + offset] !== bytes[offset]) return false
  return true
}

function crlNumberOf(extensions: Extensions, path: string): bigint | null {
  const extension = extensions.get(extensionIds.crlNumber)
  if (!extension) return null
  const refuse = (problem: string) => new MalformedError({ path: `${path}.crlNumber` }, problem)
  const value = openDer(extension.value, `${path}.crlNumber`)
  if (!value.meets(identifiers.integer)) throw refuse('is not an integer')
  const content = value.content(identifiers.integer)
  if (content.length > 20) throw refuse('has more than 20 octets')
  return unsignedOf(content, refuse)
}

function unsupportedReason(extensions: Extensions): string | null {
  for (const [id, { critical }] of extensions) {
    const partial = partialLists[id]
    if (partial) return partial
    if (critical && !knownExtensions.has(id)) return `has the unknown critical extension ${id}`
  }
  return null
}

/** An entry with certificateIssuer belongs to another issuer, and so do all entries behind it. */
function unsupportedEntry(entries: readonly Extensions[]): string | null {
  for (const extensions of entries) {
    for (const [id, { critical }] of extensions) {
      if (id === extensionIds.certificateIssuer) return 'speaks for other issuers'
      if (critical && id !== extensionIds.reasonCode) return `has an entry with the unknown critical extension ${id}`
    }
  }
  return null
}
