import { createHash } from 'node:crypto'
import { equalBytes } from '../../base/bytes.ts'
import { bytesOf, constant, encode, parse, struct, type TypeOf, u8 } from '../../base/layout.ts'
import { rtmrLayout } from './td-report.ts'

const register = bytesOf(48)

const macStructLayout = struct({
  /** Type, subtype, version and a reserved byte; 0x81 is TDX. */
  reportType: struct({ type: constant(u8, 0x81), subtype: u8, version: u8, reserved: u8 }),
  reserved1: bytesOf(12),
  cpuSvn: bytesOf(16),
  /** SHA-384 of bytes 256 to 494. */
  teeTcbInfoHash: register,
  /** SHA-384 of bytes 512 to 1023. */
  teeInfoHash: register,
  reportData: bytesOf(64),
  reserved2: bytesOf(32),
  /** By a key that never leaves the processor: nobody else can check it. */
  mac: bytesOf(32),
})

const teeTcbInfoLayout = struct({
  valid: bytesOf(8),
  teeTcbSvn: bytesOf(16),
  mrSeam: register,
  mrSignerSeam: register,
  attributes: bytesOf(8),
  teeTcbSvn2: bytesOf(16),
  reserved: bytesOf(95),
})

const tdInfoLayout = struct({
  attributes: bytesOf(8),
  xfam: bytesOf(8),
  mrTd: register,
  mrConfigId: register,
  mrOwner: register,
  mrOwnerConfig: register,
  rtmr: rtmrLayout,
  servTdHash: register,
  reserved: bytesOf(64),
})

/** The whole structure; byte fields are views of it. */
export const tdReportStructLayout = struct({
  reportMac: macStructLayout,
  teeTcbInfo: teeTcbInfoLayout,
  reserved: bytesOf(17),
  tdInfo: tdInfoLayout,
})

export type TdReportStruct = TypeOf<typeof tdReportStructLayout>

/**
 * Parses a TDREPORT, exactly 1024 bytes. It proves nothing to anybody but the processor that made it: never accept one
 * as remote evidence (TDX-019). Throws `MalformedError`, also for the report of another kind of TEE.
 */
export function parseTdReportStruct(bytes: Uint8Array): TdReportStruct {
  return parse(tdReportStructLayout, bytes, 'tdreport')
}

/** The 1024 bytes that `parseTdReportStruct` reads. */
export function encodeTdReportStruct(report: TdReportStruct): Uint8Array {
  return encode(tdReportStructLayout, report, 'tdreport')
}

const sha384 = (bytes: Uint8Array) => new Uint8Array(createHash('sha384').update(bytes).digest())

/** Which of the two hashes in a TDREPORT fit the parts that they are over: a check of transport and firmware only. */
export function matchTdReportHashes(report: TdReportStruct): {
  readonly teeTcbInfo: boolean
  readonly tdInfo: boolean
} {
  const { teeTcbInfoHash, teeInfoHash } = report.reportMac
  return {
    teeTcbInfo: equalBytes(sha384(encode(teeTcbInfoLayout, report.teeTcbInfo)), teeTcbInfoHash),
    tdInfo: equalBytes(sha384(encode(tdInfoLayout, report.tdInfo)), teeInfoHash),
  }
}
