import { describe, expect, it } from 'vitest'
import { haveVectors, vectorJson } from '../../test/support/vectors.ts'
import { toHex } from '../base/bytes.ts'
import { MalformedError } from '../base/errors.ts'
import type { JsonObject } from '../base/json.ts'
import { hashStructuredData, padReportData, parseRawRuntimeData } from './runtime-data.ts'

interface Table {
  readonly structured: readonly {
    readonly structured: JsonObject
    readonly sha256: string
    readonly sha512: string
    readonly reportDataSha384: string
  }[]
  readonly raw: readonly {
    readonly input: string
    readonly verdict: string
    readonly bytesHex: string
    readonly expectedReportDataHex: string
  }[]
}

describe.skipIf(!haveVectors)('the table of runtime data', () => {
  const table: Table = haveVectors ? vectorJson('token/runtime-data.json') : { structured: [], raw: [] }

  it.each(table.structured)('structured: $name', ({ structured, sha256, sha512, reportDataSha384 }) => {
    expect(toHex(hashStructuredData(structured))).toBe(reportDataSha384)
    expect(toHex(hashStructuredData(structured, 'sha256'))).toBe(sha256 + '00'.repeat(32))
    expect(toHex(hashStructuredData(structured, 'sha512'))).toBe(sha512)
  })

  it.each(table.raw)('raw: $input: $verdict, $why', ({ input, verdict, bytesHex, expectedReportDataHex }) => {
    if (verdict === 'reject') {
      expect(() => parseRawRuntimeData(input)).toThrow(MalformedError)
    } else {
      const bytes = parseRawRuntimeData(input)
      expect(toHex(bytes)).toBe(bytesHex)
      expect(toHex(padReportData(bytes))).toBe(expectedReportDataHex)
    }
  })

  it('agrees with the known answer of TDX-042', () => {
    const { input, report_data } = vectorJson('tdx/golden/runtime-data.json')
    expect(toHex(hashStructuredData(input))).toBe(report_data)
  })
})

describe('report data', () => {
  it('is padded behind what it binds, and nothing is ever cut (TDX-041)', () => {
    expect(toHex(padReportData(Uint8Array.of(1)))).toBe(`01${'00'.repeat(63)}`)
    expect(padReportData(new Uint8Array(64).fill(1))).toEqual(new Uint8Array(64).fill(1))
    expect(() => padReportData(new Uint8Array(65))).toThrow(RangeError)
  })

  it('of a document do not depend on the order of its members (TDX-042)', () => {
    const one = hashStructuredData({ a: 1, b: { d: 'x', c: [true] } })
    expect(hashStructuredData({ b: { c: [true], d: 'x' }, a: 1 })).toEqual(one)
    expect(hashStructuredData({ a: 1, b: { d: 'y', c: [true] } })).not.toEqual(one)
  })

  it.each(['=', '==', 'AA=A', '====', 'AAA==', 'AA==='])('is not decoded from %j (SVC-24)', (text) => {
    expect(() => parseRawRuntimeData(text)).toThrow(MalformedError)
  })

  it('may be given in the standard alphabet with or without padding', () => {
    expect(toHex(parseRawRuntimeData('+/+/+w=='))).toBe('fbffbffb')
    expect(toHex(parseRawRuntimeData('+/+/+w'))).toBe('fbffbffb')
    expect(toHex(parseRawRuntimeData('+/+/+/8='))).toBe('fbffbffbff')
    expect(toHex(parseRawRuntimeData('-_-_-_8='))).toBe('fbffbffbff')
    expect(toHex(parseRawRuntimeData('+/+/+/+/+/+/+w'))).toBe('fbffbffbffbffbffbffb')
    expect(() => parseRawRuntimeData('')).toThrow('runtime_data.raw: has 0 bytes, must have 1 to 64')
  })
})
