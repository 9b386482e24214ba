import { CertificateList, type RevokedCertificate, type TBSCertList } from '@peculiar/asn1-x509'
import { MalformedError } from '../errors.ts'
import { decodeExactly, encodeSchema } from './decode-exactly.ts'
import { requireDer } from './der.ts'
import { type DistinguishedName, nameOfSchema } from './distinguished-name.ts'
import { type AuthorityKeyId, authorityKeyIdOf, type Extensions, extensionIds, extensionsOf } from './extensions.ts'
import { unsignedOf } from './serial-number.ts'
import type { SignatureAlgorithm } from './signature.ts'
import { commonAlgorithm, millisecondsOf, requireSize, type SizeLimit } from './signed-object.ts'

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
  readonly revokedSerials: ReadonlySet<bigint>
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
const version2 = 1
const integerTag = 0x02

/**
 * Parses one DER revocation list to its last byte (RFC 5280 section 5, TDX-119): strict DER, version 2, a
 * nextUpdate, the same algorithm identifier inside and outside. At most 1 MiB unless `limit` says otherwise: a
 * list takes about 1.5 ms a KiB, so one that comes from a peer needs a smaller limit. Throws only `MalformedError`.
 */
export function parseCrl(der: Uint8Array, path = 'crl', limit: SizeLimit = {}): RevocationList {
  requireSize(der, path, limit.maximum ?? 1_048_576)
  const schema = decodeExactly(der, CertificateList, path)
  const { tbsCertList: tbs } = schema
  if (tbs.version !== version2) throw new MalformedError({ path: `${path}.version` }, 'is not 2')
  // A list without an end would be current for ever, and a replayed one hides every later revocation.
  if (!tbs.nextUpdate) throw new MalformedError({ path: `${path}.nextUpdate` }, 'is missing')
  const extensions = extensionsOf(tbs.crlExtensions ?? [], path)
  return {
    der,
    tbs: encodeSchema(tbs),
    issuer: nameOfSchema(tbs.issuer),
    thisUpdate: millisecondsOf(tbs.thisUpdate),
    nextUpdate: millisecondsOf(tbs.nextUpdate),
    signatureAlgorithm: commonAlgorithm(tbs.signature, schema.signatureAlgorithm, path),
    signature: new Uint8Array(schema.signature),
    revokedSerials: revokedSerialsOf(tbs, path),
    extensions,
    number: crlNumberOf(extensions, path),
    authorityKeyId: authorityKeyIdOf(extensions, path),
    unsupported: unsupportedReason(extensions) ?? unsupportedEntry(tbs.revokedCertificates ?? [], path),
  }
}

function revokedSerialsOf(tbs: TBSCertList, path: string): ReadonlySet<bigint> {
  const refuse = (problem: string) => new MalformedError({ path: `${path}.revokedCertificates` }, problem)
  const entries = tbs.revokedCertificates ?? []
  return new Set(entries.map(({ userCertificate }) => unsignedOf(new Uint8Array(userCertificate), refuse)))
}

function crlNumberOf(extensions: Extensions, path: string): bigint | null {
  const extension = extensions.get(extensionIds.crlNumber)
  if (!extension) return null
  const refuse = (problem: string) => new MalformedError({ path: `${path}.crlNumber` }, problem)
  requireDer(extension.value, `${path}.crlNumber`)
  if (extension.value[0] !== integerTag) throw refuse('is not an integer')
  // Two header bytes stand before a content of up to 127 bytes. The library would read it as a double.
  const content = extension.value.subarray(2)
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
function unsupportedEntry(entries: readonly RevokedCertificate[], path: string): string | null {
  for (const { crlEntryExtensions } of entries) {
    if (!crlEntryExtensions) continue
    for (const [id, { critical }] of extensionsOf(crlEntryExtensions, `${path}.revokedCertificates`)) {
      if (id === extensionIds.certificateIssuer) return 'speaks for other issuers'
      if (critical && id !== extensionIds.reasonCode) return `has an entry with the unknown critical extension ${id}`
    }
  }
  return null
}
