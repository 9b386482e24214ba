import { describe, expect, it } from 'vitest'
import { haveVectors, vectorJson } from '../../../test/support/vectors.ts'
import { toHex } from '../../base/bytes.ts'
import { isInitDataDigest, padReportData, reportDataOfRuntimeData } from './report-data.ts'

describe('report data of other services', () => {
  it('are padded with zeros behind, and never cut (TDX-041)', () => {
    expect(padReportData(Uint8Array.of(1, 2))).toEqual(Uint8Array.from([1, 2, ...Array<number>(62).fill(0)]))
    const full = new Uint8Array(64).fill(9)
    expect(padReportData(full)).toEqual(full)
    expect(() => padReportData(new Uint8Array(65))).toThrow('65')
  })

  it('do not depend on the order of members (TDX-042)', () => {
    const one = reportDataOfRuntimeData({ a: 1, b: { d: 'x', c: [true] } })
    expect(reportDataOfRuntimeData({ b: { c: [true], d: 'x' }, a: 1 })).toEqual(one)
    expect(reportDataOfRuntimeData({ a: 1, b: { d: 'y', c: [true] } })).not.toEqual(one)
    expect([...one.subarray(48)]).toEqual(Array(16).fill(0))
  })

  it.skipIf(!haveVectors)('of structured runtime data are those of the known answer', () => {
    const { input, report_data } = vectorJson('tdx/golden/runtime-data.json')
    expect(toHex(reportDataOfRuntimeData(input))).toBe(report_data)
  })
})

describe('init data (TDX-043)', () => {
  const digest = new Uint8Array(32).fill(7)
  const padded = Uint8Array.from([...digest, ...Array<number>(16).fill(0)])

  it('is in MRCONFIGID with zeros behind it', () => {
    expect(isInitDataDigest(padded, digest)).toBe(true)
    expect(isInitDataDigest(padded, padded)).toBe(true)
    expect(isInitDataDigest(new Uint8Array(48).fill(7), digest)).toBe(false)
    expect(isInitDataDigest(new Uint8Array(48), digest)).toBe(false)
    expect(isInitDataDigest(padded.subarray(0, 32), digest)).toBe(false)
    expect(() => isInitDataDigest(padded, new Uint8Array(49))).toThrow('49')
  })
})
