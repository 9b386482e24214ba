import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { recordedFiles } from '../../../test/support/tdx-manifest.ts'
import { haveVectors, vector } from '../../../test/support/vectors.ts'
import { toHex, toLatin1 } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { ccTypeTdx, encodeCcelTable, parseCcelTable } from './ccel-table.ts'
import { encodeTdReportStruct, matchTdReportHashes, parseTdReportStruct } from './tdreport.ts'

const sha384 = (bytes: Uint8Array) => createHash('sha384').update(bytes).digest()

/** A TDREPORT whose hashes fit, of the byte that its fields are filled with. */
function madeReport(): Uint8Array {
  const bytes = new Uint8Array(1024).fill(9)
  bytes.set([0x81, 0, 1, 0])
  bytes.set(sha384(bytes.subarray(256, 495)), 32)
  bytes.set(sha384(bytes.subarray(512)), 80)
  return bytes
}

describe('a TDREPORT (TDX-019)', () => {
  it.skipIf(!haveVectors)('of a real TD says what the manifest says', () => {
    const [entry] = recordedFiles('tdreport')
    const bytes = vector(`tdx/${entry?.file}`)
    const report = parseTdReportStruct(bytes)
    const { reportMac, teeTcbInfo, tdInfo } = report
    const { type, subtype, version, reserved } = reportMac.reportType
    const fits = matchTdReportHashes(report)
    expect({
      report_type: toHex(Uint8Array.of(type, subtype, version, reserved)),
      cpu_svn: toHex(reportMac.cpuSvn),
      tee_tcb_info_hash: toHex(reportMac.teeTcbInfoHash),
      tee_tcb_info_hash_valid: fits.teeTcbInfo,
      tee_info_hash: toHex(reportMac.teeInfoHash),
      tee_info_hash_valid: fits.tdInfo,
      report_data: toHex(reportMac.reportData),
      tee_tcb_svn: toHex(teeTcbInfo.teeTcbSvn),
      mr_seam: toHex(teeTcbInfo.mrSeam),
      mrsigner_seam: toHex(teeTcbInfo.mrSignerSeam),
      seam_attributes: toHex(teeTcbInfo.attributes),
      tee_tcb_svn2: toHex(teeTcbInfo.teeTcbSvn2),
      td_attributes: toHex(tdInfo.attributes),
      xfam: toHex(tdInfo.xfam),
      mr_td: toHex(tdInfo.mrTd),
      mr_config_id: toHex(tdInfo.mrConfigId),
      ...Object.fromEntries(tdInfo.rtmr.map((value, index) => [`rtmr_${index}`, toHex(value)])),
      servtd_hash: toHex(tdInfo.servTdHash),
    }).toEqual(entry?.expected)
    expect(encodeTdReportStruct(report)).toEqual(bytes)
  })

  it.each([
    ['nothing', 0, { teeTcbInfo: true, tdInfo: true }],
    ['the TCB info, first byte', 256, { teeTcbInfo: false, tdInfo: true }],
    ['the TCB info, last byte', 494, { teeTcbInfo: false, tdInfo: true }],
    ['the gap behind it', 495, { teeTcbInfo: true, tdInfo: true }],
    ['the TD info, first byte', 512, { teeTcbInfo: true, tdInfo: false }],
    ['the TD info, last byte', 1023, { teeTcbInfo: true, tdInfo: false }],
    ['the hash of the TCB info', 32, { teeTcbInfo: false, tdInfo: true }],
    ['the hash of the TD info', 127, { teeTcbInfo: true, tdInfo: false }],
  ])('has hashes that tell a change in %s', (_, at, fits) => {
    const bytes = madeReport()
    if (at > 0) bytes[at] = (bytes[at] ?? 0) ^ 1
    expect(matchTdReportHashes(parseTdReportStruct(bytes))).toEqual(fits)
    expect(encodeTdReportStruct(parseTdReportStruct(bytes))).toEqual(bytes)
  })

  it('has 1024 bytes and is of TDX', () => {
    expect(() => parseTdReportStruct(madeReport().subarray(0, 1023))).toThrow(
      'tdreport.tdInfo.reserved: needs 64 bytes',
    )
    expect(() => parseTdReportStruct(new Uint8Array(1025).fill(0x81))).toThrow('1 bytes left over')
    expect(() => parseTdReportStruct(new Uint8Array(1024))).toThrow(
      'tdreport.reportMac.reportType.type: is 0x0, must be 0x81 (at byte 0)',
    )
  })
})

describe('a CCEL table (TDX-020)', () => {
  const table = {
    signature: new TextEncoder().encode('CCEL'),
    length: 56,
    revision: 1,
    checksum: 2,
    oemId: new Uint8Array(6),
    oemTableId: new Uint8Array(8),
    oemRevision: 3,
    creatorId: new Uint8Array(4),
    creatorRevision: 4,
    ccType: ccTypeTdx,
    ccSubtype: 0,
    reserved: new Uint8Array(2),
    logAreaLength: 65_536n,
    logAddress: 0xbedbf000n,
  }

  it.skipIf(!haveVectors)('of a real guest says what the manifest says', () => {
    const entry = recordedFiles('eventlogs').find(({ expected }) => expected.signature)
    const bytes = vector(`tdx/${entry?.file}`)
    const parsed = parseCcelTable(bytes)
    expect({
      signature: toLatin1(parsed.signature),
      length: parsed.length,
      ccType: parsed.ccType,
      ccSubtype: parsed.ccSubtype,
      logAreaLength: Number(parsed.logAreaLength),
      logAddress: `0x${parsed.logAddress.toString(16)}`,
    }).toEqual(entry?.expected)
    expect(encodeCcelTable(parsed)).toEqual(bytes)
  })

  it('is read back as it was written', () => {
    const bytes = encodeCcelTable(table)
    expect([bytes.length, bytes[36]]).toEqual([56, 2])
    expect(parseCcelTable(bytes)).toEqual(table)
  })

  it.each([
    ['another signature', 0, 'ccel.signature: is not CCEL (at byte 0)'],
    ['another length', 4, 'ccel.length: is 0x39, must be 0x38 (at byte 4)'],
  ])('is refused with %s', (_, at, says) => {
    const bytes = encodeCcelTable(table)
    bytes[at] = (bytes[at] ?? 0) ^ 1
    expect(() => parseCcelTable(bytes)).toThrow(says)
  })

  it('has 56 bytes', () => {
    expect(() => parseCcelTable(encodeCcelTable(table).subarray(1))).toThrow(MalformedError)
    expect(() => parseCcelTable(new Uint8Array([...encodeCcelTable(table), 0]))).toThrow('1 bytes left over')
  })
})
