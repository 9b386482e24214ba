import { describe, expect, it } from 'vitest'
import { createSimulator } from '../../../mocks/tdx/simulator.ts'
import { directTdVerifier } from '../../../test/support/direct-td-verifier.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import type { Finding, Outcome } from '../../results/appraisal.ts'
import { tdxChecks } from '../../verifier/index.ts'
import { composeProblem } from '../problem.ts'
import { refusalOf } from './evidence-refusal.ts'

const ids = Object.keys(tdxChecks)

/** Every check passed but these. */
function findingsWith(against: Readonly<Record<string, Outcome>>, detail = 'what was wrong'): Finding[] {
  return ids.map((id) => ({ id, outcome: against[id] ?? 'passed', ...(against[id] === 'failed' ? { detail } : {}) }))
}

const codeFor = (against: Readonly<Record<string, Outcome>>, detail?: string) =>
  refusalOf({ findings: findingsWith(against, detail) }, 'evidence.quote').code

describe('the code of a refusal (ERR-03)', () => {
  it.each([
    ['tdx.quote.version', 'AS.EVIDENCE.INVALID_QUOTE'],
    ['tdx.quote.padding', 'AS.EVIDENCE.INVALID_QUOTE'],
    ['tdx.evidence.kind', 'AS.EVIDENCE.INVALID_QUOTE'],
    ['tdx.quote.key', 'AS.EVIDENCE.VERIFICATION_FAILED'],
    ['tdx.quote.signature', 'AS.EVIDENCE.VERIFICATION_FAILED'],
    ['tdx.pck.anchor', 'AS.EVIDENCE.VERIFICATION_FAILED'],
    ['tdx.policy.tcbStatus', 'AS.EVIDENCE.VERIFICATION_FAILED'],
    ['tdx.reportData', 'AS.EVIDENCE.BINDING_MISMATCH'],
    ['tdx.eventlog.wellFormed', 'AS.EVIDENCE.VERIFICATION_FAILED'],
    ['tdx.eventlog.replay', 'AS.EVIDENCE.BINDING_MISMATCH'],
  ])('%s: %s', (id, code) => {
    expect(codeFor({ [id]: 'failed' })).toBe(code)
  })

  it('is that of a binding where MRCONFIGID is among the references that differ', () => {
    const failed = { 'tdx.references': 'failed' } as const
    expect(codeFor(failed, 'mrTd is 00, none of 1 accepted values')).toBe('AS.EVIDENCE.VERIFICATION_FAILED')
    expect(codeFor(failed, 'mrTd is 00, none of 1; mrConfigId is 00, none of 1')).toBe('AS.EVIDENCE.BINDING_MISMATCH')
  })

  it('is that of the first failed check, and not of one before it that was not reached', () => {
    expect(codeFor({ 'tdx.pck.anchor': 'failed', 'tdx.reportData': 'failed' })).toBe('AS.EVIDENCE.VERIFICATION_FAILED')
    expect(codeFor({ 'tdx.quote.size': 'unreached', 'tdx.reportData': 'failed' })).toBe('AS.EVIDENCE.BINDING_MISMATCH')
    expect(codeFor({ 'tdx.reportData': 'unreached' })).toBe('AS.EVIDENCE.BINDING_MISMATCH')
  })

  it('is a bug for an appraisal with nothing against it', () => {
    expect(() => refusalOf({ findings: findingsWith({}) }, 'evidence.quote')).toThrow(TypeError)
  })
})

describe('a refusal of what the verifier found', () => {
  const clock = new FakeClock()
  const simulator = createSimulator({ clock })
  const reportData = new Uint8Array(64).fill(7)
  const statements = { runtimeData: null, runtimeDataClaims: null, initDataClaims: null }
  const request = { ccEventLog: null, reportData, freshness: 'nonce', policyIds: [], statements } as const
  const trustAnchors = [{ ...simulator.pki.anchor, simulator: true }]
  const verifier = directTdVerifier({ clock, trustAnchors, collateral: () => simulator.collateral() })

  async function refusalFor(quote: Uint8Array) {
    const { appraisal } = await verifier.verify({ ...request, quote }, new AbortController().signal)
    return appraisal.affirmed ? 'affirmed' : refusalOf(appraisal, 'evidence.quote').code
  }

  it.each([
    ['the expected quote', (quote: Uint8Array) => quote, 'affirmed'],
    ['a quote that was cut', (quote: Uint8Array) => quote.subarray(0, 1100), 'AS.EVIDENCE.INVALID_QUOTE'],
    ['one changed byte', (quote: Uint8Array) => quote.with(200, 1), 'AS.EVIDENCE.VERIFICATION_FAILED'],
  ])('%s', async (_, change, expected) => {
    expect(await refusalFor(change(simulator.quote({ reportData })))).toBe(expected)
  })

  it('other report data', async () => {
    const quote = simulator.quote({ reportData: reportData.with(0, 8) })
    expect(await refusalFor(quote)).toBe('AS.EVIDENCE.BINDING_MISMATCH')
  })
})

describe('the findings of a refusal (ERR-02)', () => {
  it('are those against it with their rules, in the order of the appraisal', () => {
    const against = { 'tdx.reportData': 'failed', 'tdx.pck.anchor': 'unreached' } as const
    const { body } = composeProblem(refusalOf({ findings: findingsWith(against) }, 'evidence.quote'))
    expect(JSON.parse(body)).toMatchObject({
      field: 'evidence.quote',
      findings: [
        { id: 'tdx.pck.anchor', rule: 'TDX-113', outcome: 'unreached' },
        { id: 'tdx.reportData', rule: 'TDX-041', outcome: 'failed', detail: 'what was wrong' },
      ],
    })
  })

  it('have details of bounded length', () => {
    const { findings } = refusalOf({ findings: findingsWith({ 'tdx.pck.anchor': 'failed' }, 'x'.repeat(5000)) }, 'e')
    expect(findings[0]?.detail).toHaveLength(257)
  })

  it('are absent from a bare problem, which clients still believe (ERR-02, ERR-10)', () => {
    const refusal = refusalOf({ findings: findingsWith({ 'tdx.pck.anchor': 'failed' }) }, 'evidence.quote')
    const instance = 'urn:uuid:0'
    const { status, body } = composeProblem(refusal, { bare: true, instance })
    expect(JSON.parse(body)).toEqual({ status, code: 'AS.EVIDENCE.VERIFICATION_FAILED', instance })
  })
})
