import { bytesOf, struct, u32le } from '../../base/layout.ts'
import { Reader } from '../../base/layout-cursor.ts'
import { guidText } from './guid.ts'

/** What a signature database holds: certificates, digests, or what this project does not know. */
export type SignatureKind = 'x509' | 'sha1' | 'sha256' | 'sha384' | 'sha512' | 'unknown'

/** EFI_SIGNATURE_DATA: who entered it, and a DER certificate or a digest. */
export interface DatabaseEntry {
  readonly kind: SignatureKind
  /** SignatureOwner in text form, lower-case. */
  readonly owner: string
  readonly data: Uint8Array
}

const kinds: ReadonlyMap<string, SignatureKind> = new Map([
  ['a5c059a1-94e4-4aa7-87b5-ab155c2bf072', 'x509'],
  ['826ca512-cf10-4ac9-b187-be01496631bd', 'sha1'],
  ['c1c41626-504c-4092-aca9-41f936934328', 'sha256'],
  ['ff3e5307-9fd0-48c9-85f1-8ad56c701e01', 'sha384'],
  ['093e0fae-a6c4-4f50-9f1b-d41e2b89c19a', 'sha512'],
])
const digestSizes: Partial<Record<SignatureKind, number>> = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 }

const ownerSize = 16
const headLayout = struct({ type: bytesOf(16), listSize: u32le, headerSize: u32le, signatureSize: u32le })
const headSize = 28

function kindOf(type: Uint8Array, reader: Reader, size: number): SignatureKind {
  const kind = kinds.get(guidText(type)) ?? 'unknown'
  const digest = digestSizes[kind]
  if (digest !== undefined && size !== digest) throw reader.malformed(`a ${kind} digest has ${size} bytes`)
  return kind
}

function readList(reader: Reader, entries: DatabaseEntry[]): void {
  const { offset } = reader
  const { type, listSize, headerSize, signatureSize } = headLayout.read(reader)
  const size = signatureSize - ownerSize
  const content = listSize - headSize - headerSize
  if (size <= 0) throw reader.malformed(`signatures of ${signatureSize} bytes`, offset)
  if (content < 0 || content % signatureSize !== 0) throw reader.malformed(`a list of ${listSize} bytes`, offset)
  const kind = kindOf(type, reader, size)
  reader.skip(headerSize)
  reader.require(content)
  for (let left = content; left > 0; left -= signatureSize) {
    entries.push({ kind, owner: guidText(reader.bytes(ownerSize)), data: reader.bytes(size) })
  }
}

/**
 * Parses the value of PK, KEK, db, dbx or a MokList: EFI_SIGNATURE_LISTs behind each other, to the last byte (UEFI
 * section 32.4.1). No bytes at all are no entries. Nothing is verified; a certificate need not be one. Throws only
 * `MalformedError`.
 */
export function parseSignatureLists(bytes: Uint8Array, path = 'signatureLists'): DatabaseEntry[] {
  const reader = new Reader(bytes, path)
  const entries: DatabaseEntry[] = []
  while (reader.remaining > 0) readList(reader, entries)
  return entries
}
