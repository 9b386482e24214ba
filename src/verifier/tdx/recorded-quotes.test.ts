import { describe, expect, it } from 'vitest'
import {
  expectedVerdict,
  manifestEntries,
  type RecordedCase,
  recordedCases,
  recordedCollateral,
  recordedQuote,
  syntheticCases,
  verdictOf,
} from '../../../test/support/recorded-tdx.ts'
import { haveVectors, vector, vectorJson } from '../../../test/support/vectors.ts'
import { toHex } from '../../base/bytes.ts'
import { encodeCollateral, parseCollateral } from '../../endorsements/tdx/collateral.ts'
import { appraiseQuote } from './appraise-quote.ts'
import type { QuoteInputs } from './inputs.ts'
import { createQuoteMemo } from './quote-memo.ts'

const cases = haveVectors ? [...recordedCases(), ...syntheticCases()] : []

function appraise({ quote, collateral, trustAnchors, now }: RecordedCase, more: Partial<QuoteInputs> = {}) {
  return appraiseQuote(quote, { collateral, trustAnchors, now, reportData: 'any', ...more })
}

function expectRecorded(one: RecordedCase, more: Partial<QuoteInputs> = {}): void {
  const appraisal = appraise(one, more)
  expect(appraisal.verified).toBe(one.expected.accept)
  if (one.expected.accept) {
    expect(appraisal.class).toBe('verified')
    expect(verdictOf(appraisal)).toMatchObject(expectedVerdict(one.expected))
  } else {
    expect(one.expected.classes).toContain(appraisal.class)
    expect(appraisal).toMatchObject({ affirmed: false, claims: {}, tcb: null, debug: null, simulated: null })
  }
}

describe.skipIf(!haveVectors)('recorded and generated quotes', () => {
  it('are all there', () => expect(cases.length).toBeGreaterThanOrEqual(60))

  it.each(cases)('$name', (one) => expectRecorded(one))

  const memo = createQuoteMemo()
  for (const one of cases) appraise(one, { memo })

  it.each(cases)('$name, with a memo that knows all of them, twice', (one) => {
    expectRecorded(one, { memo })
    expectRecorded(one, { memo })
  })

  it('of other platforms have chains and signatures that are valid, and are complete only with collateral (TDX-099)', () => {
    for (const { file, expected, evaluateAt } of manifestEntries('quotes')) {
      const { pck, chainAndSignaturesUnderVendorAnchors: known, debug } = expected
      const now = Date.parse(evaluateAt ?? '2025-06-20T00:00:00Z')
      const inputs = { collateral: null, now, reportData: 'any' } as const
      const appraisal = appraiseQuote(recordedQuote(file), inputs)
      expect([file, appraisal.class], file).toEqual([file, known === 'valid' ? 'verified' : known])
      expect(appraisal).toMatchObject({ affirmed: false, complete: false, tcb: null, collateral: null, debug })
      expect(appraisal.findings.find(({ id }) => id === 'tdx.collateral.present')?.outcome).toBe('failed')
      if (appraisal.pck && pck) {
        const { sgx, serial } = appraisal.pck
        expect({ ...sgx, ppid: toHex(sgx.ppid) }).toMatchObject({ fmspc: pck.fmspc, pceId: pck.pceid, ppid: pck.ppid })
        expect(serial).toBe(BigInt(`0x${pck.serial}`))
      }
    }
  })
})

const sample = () => ({
  quote: recordedQuote('quotes/dcapqvl-tdx_quote-v4.bin'),
  collateral: recordedCollateral('collateral/dcapqvl-tdx-b0c06f-2025-06.json'),
})

describe.skipIf(!haveVectors)('the sample of version 4', () => {
  const first = Date.parse('2025-06-19T10:32:27Z')
  const last = Date.parse('2025-07-19T10:00:35Z')
  const classAt = (now: number, memo = createQuoteMemo()) => {
    const { quote, collateral } = sample()
    return appraiseQuote(quote, { collateral, now, memo, reportData: 'any' }).class
  }

  it('is verified from the first to the last second of its collateral, both included (tdx.md section 9)', () => {
    expect([first, first + 999, last, last + 999].map((now) => classAt(now))).toEqual(Array(4).fill('verified'))
    expect([first - 1, last + 1000].map((now) => classAt(now))).toEqual(['not_current', 'not_current'])
  })

  it('is judged by the time of each appraisal, whatever the memo knows', () => {
    const memo = createQuoteMemo()
    expect([first, last + 1000, last, first - 1].map((now) => classAt(now, memo))).toEqual([
      'verified',
      'not_current',
      'verified',
      'not_current',
    ])
  })

  it('has the collateral that it had, after it was written and read again', () => {
    const { quote, collateral } = sample()
    const again = parseCollateral(encodeCollateral(collateral))
    expect(appraiseQuote(quote, { collateral: again, now: first, reportData: 'any' }).verified).toBe(true)
  })

  it('is affirmed only with the report data that it carries', () => {
    const { quote, collateral } = sample()
    const own = quote.slice(48 + 520, 48 + 584)
    const outcome = (reportData?: Uint8Array) => {
      const inputs = { collateral, now: first, ...(reportData === undefined ? {} : { reportData }) }
      return appraiseQuote(quote, inputs)
    }
    expect(outcome(own)).toMatchObject({ affirmed: true, claims: { tdx: { report_data_bound: true } } })
    for (const other of [own.subarray(0, 63), own.map((byte, at) => byte ^ (at === 63 ? 1 : 0)), new Uint8Array()]) {
      expect(outcome(other)).toMatchObject({ affirmed: false, verified: true, claims: {} })
    }
    expect(outcome().findings.find(({ id }) => id === 'tdx.reportData')?.outcome).toBe('unreached')
    expect(outcome().affirmed).toBe(false)
    expect(() => outcome(new Uint8Array(65))).toThrow(TypeError)
  })
})

describe.skipIf(!haveVectors)('claims of recorded quotes (TDX-250, TDX-252)', () => {
  const claimsOf = (quote: string, collateral: string, now: string, more: Partial<QuoteInputs> = {}) =>
    appraiseQuote(recordedQuote(quote), {
      ...{ collateral: recordedCollateral(collateral), now: Date.parse(now), reportData: 'any', ...more },
    }).claims

  it.each([
    ['gotdx-v5-sample', 'gotdxv5-tdx-90c06f-2026-02', '2026-02-25T00:00:00Z'],
    ['trustee-tdx4-v4', 'gotdx-tdx-50806f-2023-06', '2023-07-01T01:00:00Z'],
  ])('%s says what the golden claims say, and what was verified', (name, bundle, now) => {
    const policy = { acceptDebug: true }
    const claims = claimsOf(`quotes/${name}.bin`, `collateral/${bundle}.json`, now, { policy })
    const { quote, td_attributes, report_data, init_data } = vectorJson(`tdx/golden/${name}.claims.json`)
    expect(claims).toMatchObject({ tdx: { quote, td_attributes }, report_data, init_data })
    expect((claims['tdx'] as Record<string, unknown>)['quote']).toEqual(quote)
    expect(JSON.stringify(claims)).not.toContain(toHex(vector(`tdx/quotes/${name}.bin`).subarray(1300, 1310)))
  })

  it('has the verification claims of an SGX quote under a tree of its own', () => {
    const claims = claimsOf(
      'quotes/dcapqvl-sgx_quote-v3.bin',
      'collateral/dcapqvl-sgx-00a067-2025-06.json',
      '2025-06-20T00:00:00Z',
      {
        policy: { tcbStatuses: ['ConfigurationAndSWHardeningNeeded'] },
      },
    )
    expect(Object.keys(claims)).toEqual(['sgx', 'tcb', 'report_data', 'init_data'])
    expect(claims['sgx']).toMatchObject({ tcb_status: 'ConfigurationAndSWHardeningNeeded', sgx_type: 'Standard' })
    expect(claims['sgx']).not.toHaveProperty('is_smt_enabled')
  })

  it('refuses a debug TD by default, and says debug where the policy accepts it (TDX-190)', () => {
    const args = [
      'quotes/trustee-tdx4-v4.bin',
      'collateral/gotdx-tdx-50806f-2023-06.json',
      '2023-07-01T01:00:00Z',
    ] as const
    expect(claimsOf(...args)).toEqual({})
    expect(claimsOf(...args, { policy: { acceptDebug: true } })).toMatchObject({
      tdx: { td_attributes: { debug: true } },
    })
  })
})
