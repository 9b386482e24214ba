import { bytesOf, type Layout, struct, u8 } from '../../base/layout.ts'

/** Four measurement registers of a TD, 48 bytes each (SHA-384). */
export type Rtmrs = readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array]

/**
 * What a TD quote says of the TD, TDX 1.0 form, unverified (TDX section 2.2). Byte fields are views of the message, in
 * its byte order: never turn attributes into big-endian numbers (TDX-255).
 */
export interface TdReport {
  /** 16 bytes; [0] module minor SVN, [1] module version, [2] SEAM loader and microcode SVN. */
  readonly teeTcbSvn: Uint8Array
  /** 48 bytes: the measurement of the TDX module. */
  readonly mrSeam: Uint8Array
  /** 48 bytes; zero for modules that the processor's maker signed. */
  readonly mrSignerSeam: Uint8Array
  /** 8 bytes. */
  readonly seamAttributes: Uint8Array
  /** 8 bytes; bit 0 of the first byte is DEBUG. */
  readonly tdAttributes: Uint8Array
  /** 8 bytes. */
  readonly xfam: Uint8Array
  /** 48 bytes: the measurement of the TD's first contents. */
  readonly mrTd: Uint8Array
  /** 48 bytes: init data (TDX-043). */
  readonly mrConfigId: Uint8Array
  /** 48 bytes. */
  readonly mrOwner: Uint8Array
  /** 48 bytes. */
  readonly mrOwnerConfig: Uint8Array
  readonly rtmr: Rtmrs
  /** 64 bytes, as the guest gave them. */
  readonly reportData: Uint8Array
}

/** TDX 1.5 form. */
export interface TdReport15 extends TdReport {
  /** 16 bytes: the SVNs of now, where `teeTcbSvn` are those of the TD's launch. */
  readonly teeTcbSvn2: Uint8Array
  /** 48 bytes: the service TDs that are bound to the TD. */
  readonly mrServiceTd: Uint8Array
}

/** TDX 1.5 form, extended. */
export interface TdReportExtended extends TdReport15 {
  readonly vmId: number
  /** 32 bytes. */
  readonly tdId: Uint8Array
  /** 48 bytes. */
  readonly devInfo: Uint8Array
  /** 48 bytes. */
  readonly initServTdHash: Uint8Array
  /** 8 bytes. */
  readonly initServTdAttr: Uint8Array
  /** 16 bytes. */
  readonly initCpuSvn: Uint8Array
  /** 16 bytes. */
  readonly initTeeTcbSvn: Uint8Array
  /** 12 bytes. */
  readonly initTeeFmspc: Uint8Array
  /** 48 bytes. */
  readonly currServTdHash: Uint8Array
  /** 8 bytes. */
  readonly currServTdAttr: Uint8Array
}

const register = bytesOf(48)
const registers = struct({ 0: register, 1: register, 2: register, 3: register })

/** Four registers behind each other. */
export const rtmrLayout: Layout<Rtmrs> = {
  fixedSize: 4 * 48,
  read: (reader) => {
    const read = registers.read(reader)
    return [read[0], read[1], read[2], read[3]]
  },
  write: (writer, [first, second, third, fourth]) => {
    registers.write(writer, { 0: first, 1: second, 2: third, 3: fourth })
  },
}

const fields10 = {
  teeTcbSvn: bytesOf(16),
  mrSeam: register,
  mrSignerSeam: register,
  seamAttributes: bytesOf(8),
  tdAttributes: bytesOf(8),
  xfam: bytesOf(8),
  mrTd: register,
  mrConfigId: register,
  mrOwner: register,
  mrOwnerConfig: register,
  rtmr: rtmrLayout,
  reportData: bytesOf(64),
}
const fields15 = { ...fields10, teeTcbSvn2: bytesOf(16), mrServiceTd: register }
const fieldsExtended = {
  ...fields15,
  vmId: u8,
  tdId: bytesOf(32),
  devInfo: register,
  initServTdHash: register,
  initServTdAttr: bytesOf(8),
  initCpuSvn: bytesOf(16),
  initTeeTcbSvn: bytesOf(16),
  initTeeFmspc: bytesOf(12),
  currServTdHash: register,
  currServTdAttr: bytesOf(8),
}

/** 584 bytes. */
export const tdReportLayout: Layout<TdReport> = struct(fields10)
/** 648 bytes. */
export const tdReport15Layout: Layout<TdReport15> = struct(fields15)
/** 885 bytes. */
export const tdReportExtendedLayout: Layout<TdReportExtended> = struct(fieldsExtended)
