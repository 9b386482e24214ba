import { describe, expect, it } from 'vitest'
import { appraiseQuote } from '../../src/verifier/tdx/appraise-quote.ts'
import { scenarios, stage } from './scenarios.ts'
import { createSimulator } from './simulator.ts'

const now = Date.UTC(2026, 5, 1)
const sim = createSimulator({ clock: { now: () => now } })
const reportData = Uint8Array.from({ length: 64 }, (_, at) => at + 1)
const anchors = [sim.pki.anchor]
const all = scenarios(now)
const inputs = { now, trustAnchors: anchors, reportData, simulator: true }

describe('a simulated quote with fresh report data (TDX-282)', () => {
  const [quote, collateral] = [sim.quote({ reportData }), sim.collateral()]

  it('verifies under the root of the simulator', () => {
    expect(appraiseQuote(quote, { ...inputs, collateral })).toMatchObject({ verified: true, affirmed: true })
  })

  it('is of an untrusted chain under the default anchors, and under another simulator', () => {
    const { trustAnchors: _own, ...others } = inputs
    const expected = { verified: false, class: 'untrusted_chain', affirmed: false }
    expect(appraiseQuote(quote, { ...others, collateral })).toMatchObject(expected)
    const stranger = createSimulator({ clock: { now: () => now } }).pki.anchor
    expect(appraiseQuote(quote, { ...inputs, trustAnchors: [stranger], collateral })).toMatchObject(expected)
  })

  it('is refused as simulated by every verifier that is not a test verifier (TDX-287)', () => {
    const appraisal = appraiseQuote(quote, { ...inputs, simulator: false, collateral })
    expect(appraisal).toMatchObject({ verified: true, affirmed: false })
    const failed = appraisal.findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)
    expect(failed).toEqual(['tdx.hardware'])
  })
})

describe('the scenarios of the simulator (TDX-283)', () => {
  it('have names of their own', () => {
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length)
  })

  it.each(all)('$name ($rules)', (scenario) => {
    const { quote, collateral, expected } = stage(sim, scenario, reportData)
    const appraisal = appraiseQuote(quote, { ...inputs, collateral })
    const failed = appraisal.findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)
    expect({ class: appraisal.class, status: appraisal.tcb?.status ?? null, failed }).toEqual({
      class: expected.class,
      status: expected.status,
      failed: expected.failed,
    })
    expect(appraisal.verified).toBe(expected.class === 'verified')
    expect(appraisal.affirmed).toBe(expected.failed.length === 0)
    if (expected.launch) expect(appraisal.tcb?.launch).toBe(expected.launch)
    if (expected.current) expect(appraisal.tcb?.current).toBe(expected.current)
    if (expected.advisoryIds) expect([...(appraisal.tcb?.advisoryIds ?? [])].sort()).toEqual(expected.advisoryIds)
  })
})
