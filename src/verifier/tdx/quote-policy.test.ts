import { describe, expect, it } from 'vitest'
import { teeTcbSvn } from '../../../mocks/tdx/platform.ts'
import { createSimulator } from '../../../mocks/tdx/simulator.ts'
import { recordedCollateral, recordedQuote, syntheticCases } from '../../../test/support/recorded-tdx.ts'
import { sampleQuote } from '../../../test/support/tdx-quotes.ts'
import { haveVectors } from '../../../test/support/vectors.ts'
import { parseQuote } from '../../evidence/tdx/quote.ts'
import { appraiseQuote } from './appraise-quote.ts'
import type { AcceptableTcbStatus, QuoteInputs, TdxReferences } from './inputs.ts'
import { isParavisor } from './quote-policy.ts'

const last = Date.parse('2025-07-19T10:00:35Z')

function appraise(inputs: Partial<QuoteInputs>) {
  return appraiseQuote(recordedQuote('quotes/dcapqvl-tdx_quote-v4.bin'), {
    collateral: recordedCollateral('collateral/dcapqvl-tdx-b0c06f-2025-06.json'),
    now: last,
    reportData: 'any',
    ...inputs,
  })
}

const outcomeOf = ({ findings }: ReturnType<typeof appraise>, id: string) =>
  findings.find((finding) => finding.id === id)

describe.skipIf(!haveVectors)('a grace period for collateral (TDX-190)', () => {
  const withGrace = (seconds: number, now: number) => appraise({ policy: { collateralGraceSeconds: seconds }, now })

  it('admits collateral until its last second, and says so in the claims and the findings', () => {
    const appraisal = withGrace(10, last + 10_999)
    expect(appraisal).toMatchObject({ affirmed: true, class: 'verified', collateral: { expired: true } })
    expect(appraisal.claims).toMatchObject({ tdx: { collateral_expiration_status: '1' } })
    expect(outcomeOf(appraisal, 'tdx.pckCrl.validity')).toMatchObject({
      outcome: 'waived',
      detail: 'policy.collateralGraceSeconds is 10; ended at 2025-07-19T10:00:35.000Z',
    })
    expect(withGrace(10, last + 11_000)).toMatchObject({ affirmed: false, class: 'not_current' })
  })

  it('has seconds, also where it has many', () => {
    const day = 86_400
    expect(withGrace(day, last + day * 1000 + 999).affirmed).toBe(true)
    expect(withGrace(day, last + day * 1000 + 1000).class).toBe('not_current')
  })

  it('is not used, and not claimed, where the collateral is current', () => {
    const appraisal = withGrace(10, last)
    expect(appraisal.claims).toMatchObject({ tdx: { collateral_expiration_status: '0' } })
    expect(outcomeOf(appraisal, 'tdx.pckCrl.validity')?.outcome).toBe('passed')
  })

  it('admits neither collateral from the future nor certificates that have ended', () => {
    const first = Date.parse('2025-06-19T10:32:27Z')
    expect(withGrace(3600, first - 1)).toMatchObject({ affirmed: false, class: 'not_current' })
    const ended = withGrace(1e9, Date.parse('2033-01-01T00:00:00Z'))
    expect(ended).toMatchObject({ affirmed: false, class: 'not_current' })
    expect(outcomeOf(ended, 'tdx.pck.validity')?.outcome).toBe('failed')
  })

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY])('is never %d seconds', (seconds) => {
    expect(() => withGrace(seconds, last)).toThrow(TypeError)
  })
})

describe('a TCB that was revoked while the TD ran', () => {
  it.each([3, 4] as const)('is refused in a body of type %d, although it was up to date at the launch', (bodyType) => {
    const now = 1_800_000_000_000
    const simulator = createSimulator({ clock: { now: () => now } })
    const judged = (module: 'UpToDate' | 'Revoked') => {
      const later = { teeTcbSvn: teeTcbSvn(), teeTcbSvn2: teeTcbSvn({ module }) }
      const quote = simulator.quote({ version: 5, bodyType, reportData: new Uint8Array(64), ...later })
      const trust = { trustAnchors: [simulator.pki.anchor], simulator: true }
      return appraiseQuote(quote, { collateral: simulator.collateral(), now, reportData: 'any', ...trust })
    }
    expect(judged('UpToDate').affirmed).toBe(true)
    const appraisal = judged('Revoked')
    expect(appraisal).toMatchObject({
      affirmed: false,
      verified: true,
      tcb: { status: 'UpToDate', current: 'Revoked' },
    })
    expect(outcomeOf(appraisal, 'tdx.policy.tcbStatus')).toMatchObject({
      outcome: 'failed',
      detail: 'the status is UpToDate, that of the TCB as it is now Revoked',
    })
  })
})

describe.skipIf(!haveVectors)('the policy of the caller', () => {
  it('keeps its defaults for what it leaves undefined', () => {
    const policy = { tcbStatuses: undefined, collateralGraceSeconds: undefined } as unknown as NonNullable<
      QuoteInputs['policy']
    >
    expect(appraise({ policy }).affirmed).toBe(true)
  })

  it('accepts the TCB status by name, and no revoked platform whatever it names', () => {
    expect(appraise({ policy: { tcbStatuses: [] } })).toMatchObject({ affirmed: false, verified: true })
    const revoked = syntheticCases().find(({ name }) => name === 'QE revoked')
    if (revoked === undefined) throw new Error('the case is missing')
    const tcbStatuses = ['Revoked'] as unknown as readonly AcceptableTcbStatus[]
    const appraisal = appraiseQuote(revoked.quote, { ...revoked, reportData: 'any', policy: { tcbStatuses } })
    expect(appraisal).toMatchObject({ affirmed: false, verified: true, tcb: { status: 'Revoked' } })
  })

  it.each([
    ['relaunch, type 3', 'TDRelaunchAdvised'],
    ['relaunch with configuration', 'TDRelaunchAdvisedConfigurationNeeded'],
  ] as const)('of %s never takes %s for UpToDate', (name, status) => {
    const one = syntheticCases().find((candidate) => candidate.name === name)
    if (one === undefined) throw new Error('the case is missing')
    const affirmed = (policy: NonNullable<QuoteInputs['policy']>) =>
      appraiseQuote(one.quote, { ...one, reportData: 'any', policy: { acceptParavisor: true, ...policy } }).affirmed
    expect(affirmed({})).toBe(false)
    expect(affirmed({ tcbStatuses: ['UpToDate', 'SWHardeningNeeded', 'OutOfDate'] })).toBe(false)
    expect(affirmed({ tcbStatuses: [status] })).toBe(true)
  })

  it('requires the evaluation number or a higher one', () => {
    expect(appraise({ policy: { minTcbEvalNum: 17 } }).affirmed).toBe(true)
    expect(appraise({ policy: { minTcbEvalNum: 18 } }).affirmed).toBe(false)
  })
})

describe('a paravisor (TDX-190)', () => {
  const { body } = sampleQuote({ version: 5, kind: 'td-1.5' })
  if (body.kind !== 'td-1.5') throw new TypeError('another kind')
  const [zero, other] = [new Uint8Array(48), new Uint8Array(48).fill(1)]
  const report = { ...body.report, tdAttributes: new Uint8Array(8), rtmr: [zero, zero, zero, zero] } as const
  const isOne = (change: Partial<typeof body.report>) =>
    isParavisor({ kind: 'td-1.5', report: { ...report, ...change } })

  it('is told by attributes and registers that are all zero, and by nothing less', () => {
    expect(isOne({})).toBe(true)
    expect(isOne({ tdAttributes: Uint8Array.of(0, 0, 0, 0x10, 0, 0, 0, 0) })).toBe(false)
    expect(isOne({ rtmr: [other, zero, zero, zero] })).toBe(false)
    expect(isOne({ rtmr: [zero, zero, zero, other] })).toBe(false)
    expect(isOne({ rtmr: [other, other, other, other] })).toBe(false)
  })
})

describe.skipIf(!haveVectors)('reference values', () => {
  const { report } = haveVectors ? parseQuote(recordedQuote('quotes/dcapqvl-tdx_quote-v4.bin')).body : { report: null }
  const outcome = (references: TdxReferences) => outcomeOf(appraise({ references }), 'tdx.references')

  it('hold where each field has one of its values', () => {
    if (report === null || !('mrTd' in report)) throw new Error('the quote is not about a TD')
    const { mrTd, rtmr, xfam, tdAttributes, mrSeam } = report
    const none = new Uint8Array(48)
    const references = {
      mrTd: [none, mrTd],
      rtmr0: [rtmr[0]],
      rtmr3: [rtmr[3]],
      xfam: [xfam],
      tdAttributes: [tdAttributes],
    }
    expect(outcome({ ...references, mrSeam: [mrSeam] })?.outcome).toBe('passed')
    expect(outcome({ ...references, mrSeam: [none] })).toMatchObject({ outcome: 'failed' })
    expect(outcome({ ...references, mrSeam: [none] })?.detail).toMatch(
      /^mrSeam is [0-9a-f]{96}, none of 1 accepted values$/,
    )
  })

  it('accept nothing by an empty list, a prefix, or a field that a TD does not have', () => {
    if (report === null || !('mrTd' in report)) throw new Error('the quote is not about a TD')
    const { mrTd } = report
    for (const references of [
      { mrTd: [] },
      { mrTd: [mrTd.subarray(0, 47)] },
      { mrEnclave: [mrTd] },
      { mrServiceTd: [mrTd] },
    ]) {
      expect(outcome(references)?.outcome).toBe('failed')
    }
  })

  it('pad init data with zeros, which no other field allows (TDX-043)', () => {
    expect(outcome({ mrConfigId: [new Uint8Array(32)] })?.outcome).toBe('passed')
    expect(outcome({ mrConfigId: [new Uint8Array(49)] })?.outcome).toBe('failed')
    expect(outcome({ mrConfigId: [new Uint8Array()] })?.outcome).toBe('failed')
    expect(outcome({ mrOwner: [new Uint8Array(32)] })?.outcome).toBe('failed')
  })

  it('are waived by name where there are none', () => {
    expect(outcome({})).toMatchObject({ outcome: 'waived', detail: 'inputs.references names no field' })
  })
})
