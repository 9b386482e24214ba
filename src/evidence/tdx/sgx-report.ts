import { bytesOf, encode, type Layout, parse, struct, u16le } from '../../base/layout.ts'

/** Bytes of an SGX enclave report, REPORTBODY (TDX section 2.2). */
export const sgxReportSize = 384

/**
 * An SGX enclave report, unverified: the body of SGX quotes, and what the quoting enclave says of itself in every
 * quote. Byte fields are views of the message, in its byte order; numbers are little-endian on the wire.
 */
export interface SgxReport {
  /** 16 bytes. */
  readonly cpuSvn: Uint8Array
  /** 4 bytes. */
  readonly miscSelect: Uint8Array
  /** 12 bytes. */
  readonly reserved1: Uint8Array
  /** 16 bytes. */
  readonly isvExtProdId: Uint8Array
  /** 16 bytes: flags 8, XFRM 8. Bit 1 of the first byte is DEBUG. */
  readonly attributes: Uint8Array
  /** 32 bytes: the measurement of the enclave. */
  readonly mrEnclave: Uint8Array
  /** 32 bytes. */
  readonly reserved2: Uint8Array
  /** 32 bytes: SHA-256 of the key that signed the enclave. */
  readonly mrSigner: Uint8Array
  /** 32 bytes. */
  readonly reserved3: Uint8Array
  /** 64 bytes. */
  readonly configId: Uint8Array
  readonly isvProdId: number
  readonly isvSvn: number
  readonly configSvn: number
  /** 42 bytes. */
  readonly reserved4: Uint8Array
  /** 16 bytes. */
  readonly isvFamilyId: Uint8Array
  /** 64 bytes. */
  readonly reportData: Uint8Array
}

export const sgxReportLayout: Layout<SgxReport> = struct({
  cpuSvn: bytesOf(16),
  miscSelect: bytesOf(4),
  reserved1: bytesOf(12),
  isvExtProdId: bytesOf(16),
  attributes: bytesOf(16),
  mrEnclave: bytesOf(32),
  reserved2: bytesOf(32),
  mrSigner: bytesOf(32),
  reserved3: bytesOf(32),
  configId: bytesOf(64),
  isvProdId: u16le,
  isvSvn: u16le,
  configSvn: u16le,
  reserved4: bytesOf(42),
  isvFamilyId: bytesOf(16),
  reportData: bytesOf(64),
})

/** Parses exactly 384 bytes. Nothing is verified. Throws `MalformedError` for any other length. */
export function parseSgxReport(bytes: Uint8Array): SgxReport {
  return parse(sgxReportLayout, bytes, 'sgxReport')
}

/** The 384 bytes that `parseSgxReport` reads; a field of another size is a bug and throws `RangeError`. */
export function encodeSgxReport(report: SgxReport): Uint8Array {
  return encode(sgxReportLayout, report, 'sgxReport')
}
