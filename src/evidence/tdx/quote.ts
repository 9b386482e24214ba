import { MalformedError } from '../../base/errors.ts'
import { encode, type Layout, parse } from '../../base/layout.ts'
import { Reader } from '../../base/layout-cursor.ts'
import { type BodyType, bodyForms, type QuoteBody } from './quote-body.ts'
import type { SgxReport } from './sgx-report.ts'
import { type SignatureData, signatureDataLayout } from './signature-data.ts'
import { type QuoteHeader, readSignedPart, type SignedPart, writeSignedPart } from './signed-part.ts'

/** Most bytes of a quote (TDX-100). */
export const quoteLimit = 65_536

/** Who vouches for the attestation key: unsigned bytes, which the verifier reads as the chain of the PCK. */
export interface Certification {
  /** 1 to 3: PPID and SVNs; 4: the PCK certificate; 5: PEM chain of leaf, CA and root. */
  readonly type: 1 | 2 | 3 | 4 | 5
  readonly data: Uint8Array
}

/** The parts of a quote that do not follow from others: what `encodeQuote` takes. */
export interface QuoteParts {
  readonly header: QuoteHeader
  readonly body: QuoteBody
  /** 64 bytes r‖s over `signedBytes`. */
  readonly signature: Uint8Array
  /** 64 bytes x‖y. */
  readonly attestationKey: Uint8Array
  readonly qe: {
    readonly report: SgxReport
    /** 64 bytes r‖s over the 384 bytes of the report. */
    readonly signature: Uint8Array
    /** At most 65 535 bytes. */
    readonly authData: Uint8Array
  }
  readonly certification: Certification
  /** Zero bytes behind everything: some hosts pad (TDX-108). */
  readonly paddingBytes: number
}

/** A quote of version 3, 4 or 5 as it was read; every byte field is a view of the message. Nothing is verified. */
export interface Quote extends QuoteParts {
  /** As version 5 numbers it; of versions 3 and 4 the number that fits their body. */
  readonly bodyType: BodyType
  readonly bodySize: number
  /** The bytes of `body`. */
  readonly reportBytes: Uint8Array
  /** What the attestation key signed: header and body, in version 5 with the descriptor between them. */
  readonly signedBytes: Uint8Array
  readonly qe: QuoteParts['qe'] & {
    /** The 384 bytes of `qe.report`. */
    readonly reportBytes: Uint8Array
  }
}

/** Everything behind the signature data must be zero (TDX-108). */
function readPadding(reader: Reader): number {
  const start = reader.offset
  const padding = reader.bytes(reader.remaining)
  for (let at = 0; at < padding.length; at++) {
    if (padding[at] !== 0) throw reader.malformed('a byte behind the signature data is not zero', start + at)
  }
  return padding.length
}

function readQuote(reader: Reader): Quote {
  const { header, body, bodyOffset } = readSignedPart(reader)
  const [reportBytes, signedBytes] = [reader.since(bodyOffset), reader.since(0)]
  const data = reader.field('signatureData', () => signatureDataLayout(header.version).read(reader))
  const { type: bodyType, size: bodySize } = bodyForms[body.kind]
  return {
    header,
    bodyType,
    bodySize,
    body,
    reportBytes,
    signedBytes,
    signature: data.signature,
    attestationKey: data.attestationKey,
    qe: {
      report: data.qeReport.value,
      reportBytes: data.qeReport.bytes,
      signature: data.qeReportSignature,
      authData: data.qeAuthData,
    },
    certification: data.certification,
    paddingBytes: reader.field('padding', () => readPadding(reader)),
  }
}

function signatureDataOf({ signature, attestationKey, qe, certification }: QuoteParts): SignatureData {
  return {
    signature,
    attestationKey,
    qeReport: { value: qe.report, bytes: new Uint8Array() },
    qeReportSignature: qe.signature,
    qeAuthData: qe.authData,
    certification,
  }
}

/** One declaration reads and writes; reading stands at the start of the message. */
export const quoteLayout: Layout<QuoteParts> & { read(reader: Reader): Quote } = {
  read: readQuote,
  write: (writer, quote) => {
    writeSignedPart(writer, quote)
    const { version } = quote.header
    writer.field('signatureData', () => signatureDataLayout(version).write(writer, signatureDataOf(quote)))
    writer.bytes(new Uint8Array(quote.paddingBytes))
  },
}

function requireSize(bytes: Uint8Array, maximum: number): void {
  if (bytes.length <= maximum) return
  throw new MalformedError({ path: 'quote', offset: maximum }, `has ${bytes.length} bytes, may have ${maximum}`)
}

/**
 * Parses a quote of version 3, 4 or 5 to its last byte (TDX-100 to TDX-108; body types 1 to 4). `maximum` bounds the
 * message in bytes. Byte fields of the result are views of `bytes`, not copies. Nothing is verified: neither a
 * signature nor a certificate nor a binding. Throws only `MalformedError`, with the path of the field and the offset.
 */
export function parseQuote(bytes: Uint8Array, { maximum = quoteLimit }: { readonly maximum?: number } = {}): Quote {
  requireSize(bytes, maximum)
  return readQuote(new Reader(bytes, 'quote'))
}

/** Header, in version 5 type and size, and body; reading stands at the start of the message. */
export const signedPartLayout: Layout<SignedPart> = { read: readSignedPart, write: writeSignedPart }

/**
 * Parses the signed part of a quote alone, which is all that some services show: header, in version 5 type and size,
 * and body, to the last byte. Throws `MalformedError`.
 */
export function parseSignedPart(bytes: Uint8Array): SignedPart {
  return parse(signedPartLayout, bytes, 'quote')
}

/** The bytes that `parseQuote` reads back. A part that does not fit is a bug and throws `RangeError` with its path. */
export function encodeQuote(parts: QuoteParts): Uint8Array {
  return encode(quoteLayout, parts, 'quote')
}

/** The bytes that the attestation key signs. Throws `RangeError` for a body that its version cannot carry. */
export function encodeSignedPart(part: SignedPart): Uint8Array {
  return encode(signedPartLayout, part, 'quote')
}

/** The 64 bytes that the guest, or the enclave, gave to be quoted. */
export function reportDataOf({ body }: Pick<QuoteParts, 'body'>): Uint8Array {
  return body.report.reportData
}
