import { toHex } from '../../base/bytes.ts'
import { bytesOf, type Layout, mapped, struct, u16le, u32le } from '../../base/layout.ts'
import type { Reader, Writer } from '../../base/layout-cursor.ts'
import { oneOf } from './one-of.ts'
import { type BodyKind, type BodyType, bodyForms, bodyKinds, type QuoteBody } from './quote-body.ts'

/** `teeType` of TDX quotes. */
export const teeTdx = 0x81
/** `teeType` of SGX quotes. */
export const teeSgx = 0
/** Vendor id of the quoting enclaves whose quotes have this form (TDX-104). */
export const qeVendorId = '939a7233f79c4ca9940a0db3957f0607'

/** The first 48 bytes of a quote. */
export interface QuoteHeader {
  readonly version: 3 | 4 | 5
  /** ECDSA with P-256. */
  readonly attestationKeyType: 2
  readonly teeType: typeof teeSgx | typeof teeTdx
  /** Bytes 8 to 11; in version 3 the SVNs of quoting enclave and PCE, little-endian, 2 bytes each. */
  readonly reserved: Uint8Array
  /** 16 bytes, always the one vendor's. */
  readonly qeVendorId: Uint8Array
  /** 20 bytes; the first 16 are the id of the quoting enclave. */
  readonly userData: Uint8Array
}

const vendorId: Layout<Uint8Array> = mapped(
  bytesOf(16),
  (value, refuse) => {
    const hex = toHex(value)
    if (hex !== qeVendorId) throw refuse(`is ${hex}, must be ${qeVendorId}`)
    return value
  },
  (value) => value,
)

/** TDX-101, 102, 103, 104; that version 3 speaks of SGX only is asked in `readHeader`. */
const headerLayout = struct({
  version: oneOf(u16le, [3, 4, 5]),
  attestationKeyType: oneOf(u16le, [2]),
  teeType: oneOf(u32le, [teeSgx, teeTdx]),
  reserved: bytesOf(4),
  qeVendorId: vendorId,
  userData: bytesOf(20),
})

function readHeader(reader: Reader): QuoteHeader {
  const start = reader.offset
  const header = headerLayout.read(reader)
  if (header.version === 3 && header.teeType !== teeSgx) {
    throw reader.field('teeType', () => reader.malformed('is 129, must be 0 in version 3', start + 4))
  }
  return header
}

/** TDX-105: the descriptor that version 5 has between header and body. */
const descriptorLayout = struct({ type: oneOf(u16le, [1, 2, 3, 4]), size: u32le })

function requireDescriptor(
  reader: Reader,
  teeType: number,
  { type, size }: { type: BodyType; size: number },
): BodyKind {
  const kind = bodyKinds[type]
  if ((kind === 'sgx') !== (teeType === teeSgx))
    throw reader.field('type', () => reader.malformed(`is ${type}, which does not fit TEE type ${teeType}`, 48))
  const expected = bodyForms[kind].size
  if (size !== expected) {
    throw reader.field('size', () => reader.malformed(`is ${size}, must be ${expected} for type ${type}`, 50))
  }
  return kind
}

function readKind(reader: Reader, { version, teeType }: QuoteHeader): BodyKind {
  if (version === 5) {
    return reader.field('descriptor', () => requireDescriptor(reader, teeType, descriptorLayout.read(reader)))
  }
  return teeType === teeSgx ? 'sgx' : 'td-1.0'
}

/** Header, in version 5 the descriptor, and body: the bytes that the attestation key signs (TDX section 2.3). */
export interface SignedPart {
  readonly header: QuoteHeader
  readonly body: QuoteBody
}

/** The signed part and where its body begins. Must stand at the start of the message. */
export function readSignedPart(reader: Reader): SignedPart & { readonly bodyOffset: number } {
  const header = reader.field('header', () => readHeader(reader))
  const kind = readKind(reader, header)
  const bodyOffset = reader.offset
  const body = reader.field('body', () => bodyForms[kind].layout.read(reader))
  return { header, body, bodyOffset }
}

function requireFit(writer: Writer, { header: { version, teeType }, body: { kind } }: SignedPart): void {
  if ((kind === 'sgx') !== (teeType === teeSgx)) throw writer.misfit(`a body of kind ${kind} with TEE type ${teeType}`)
  if (version !== 5 && kind !== 'sgx' && kind !== 'td-1.0') {
    throw writer.misfit(`a body of kind ${kind} needs version 5`)
  }
  if (version === 3 && kind !== 'sgx') throw writer.misfit('version 3 speaks of SGX only')
}

export function writeSignedPart(writer: Writer, part: SignedPart): void {
  requireFit(writer, part)
  const { header, body } = part
  writer.field('header', () => headerLayout.write(writer, header))
  if (header.version === 5) writer.field('descriptor', () => descriptorLayout.write(writer, bodyForms[body.kind]))
  writer.field('body', () => bodyForms[body.kind].layout.write(writer, body))
}
