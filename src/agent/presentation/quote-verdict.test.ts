import { describe, expect, it } from 'vitest'
import { scenarios, stage } from '../../../mocks/tdx/scenarios.ts'
import { createSimulator } from '../../../mocks/tdx/simulator.ts'
import { appraiseQuote, type QuoteAppraisal, type QuoteInputs } from '../../verifier/index.ts'
import { quoteVerdictDocument, renderQuoteVerdict } from './quote-verdict.ts'

const now = Date.UTC(2026, 5, 1)
const sim = createSimulator({ clock: { now: () => now } })
const reportData = new Uint8Array(64).fill(5)
const all = scenarios(now)

function verdictOf(name: string, change: Partial<QuoteInputs> = {}): QuoteAppraisal {
  const scenario = all.find((each) => each.name === name)
  if (!scenario) throw new TypeError(`there is no scenario ${name}`)
  const { quote, collateral } = stage(sim, scenario, reportData)
  return appraiseQuote(quote, {
    ...{ now, reportData, collateral, trustAnchors: [sim.pki.anchor], simulator: true },
    ...change,
  })
}
const linesOf = (name: string, change: Partial<QuoteInputs> = {}) =>
  renderQuoteVerdict(verdictOf(name, change)).trimEnd().split('\n')

const until = 'collateral: newest of 2026-05-31T23:00:00Z, all of it current until 2026-06-30T23:00:00Z'
const heads = ['short of the best TCB level:', '  component   have   need']

describe('the verdict on a quote', () => {
  it.each<[string, string[]]>([
    [
      'TD 1.0, version 4',
      ['quote: verified', 'TCB status: UpToDate, of 2025-05-14, by evaluation 17', 'advisories: none', until],
    ],
    [
      'QE out of date hides hardening',
      [
        'quote: verified',
        'TCB status: OutOfDate, of 2024-03-13, by evaluation 17',
        'advisories: SIM-SA-00001, SIM-SA-00003',
        until,
        ...heads,
        '  tdx[2]         6      7  TDX TCB component 2 is 6, 1 below 7: update SEAM loader and microcode of the host, and restart the TD',
        '  qe             3      4  the SVN of the quoting enclave is 3, 1 below 4: update the quoting enclave (DCAP software) of the host',
      ],
    ],
    [
      'relaunch for the module, type 3',
      [
        'quote: verified',
        'TCB status: TDRelaunchAdvised (OutOfDate at launch, UpToDate now), of 2024-03-13, by evaluation 17',
        'advisories: SIM-SA-00003',
        until,
        ...heads,
        '  module         3      4  the SVN of the TDX module is 3, 1 below 4: the host was updated since this TD was launched: restart the TD',
      ],
    ],
    [
      'platform below every level',
      [
        'quote: not verified (tcb_not_supported)',
        ...heads,
        '  tdx[2]         0      7  TDX TCB component 2 is 0, 7 below 7: update SEAM loader and microcode of the host, and restart the TD',
      ],
    ],
    ['PCK revoked', ['quote: not verified (revoked)']],
    ['a byte behind the quote', ['quote: not verified (malformed)']],
  ])('%s', (name, lines) => {
    expect(linesOf(name)).toEqual(lines)
  })

  it('without collateral says no more than that the quote is genuine so far (TDX-099)', () => {
    expect(linesOf('platform OutOfDate', { collateral: null })).toEqual([
      'quote: genuine as far as that shows without collateral',
    ])
  })

  it('says where collateral was used after its end', () => {
    const lines = linesOf('tcbInfo expired', { policy: { collateralGraceSeconds: 10 * 86_400 } })
    expect(lines[0]).toBe('quote: verified')
    expect(lines.at(-1)).toMatch(/^collateral: .* current until 2026-\S+Z \(expired, and still used\)$/)
  })

  it('shows nothing that a terminal would obey, also of what the maker signed', () => {
    const verdict = verdictOf('TD 1.0, version 4')
    if (verdict.tcb === null) throw new TypeError('the scenario is verified')
    const tcb = { ...verdict.tcb, advisoryIds: ['SA-1\u001b[2J\n'] }
    expect(renderQuoteVerdict({ ...verdict, tcb })).toContain('advisories: SA-1\\x1b[2J\\x0a\n')
  })
})

describe('the verdict as JSON', () => {
  it('has everything in forms that JSON can hold', () => {
    const document = quoteVerdictDocument(verdictOf('relaunch for the module, type 3'))
    expect(JSON.parse(JSON.stringify(document))).toEqual(document)
    expect(document).toMatchObject({
      class: 'verified',
      verified: true,
      complete: true,
      simulated: true,
      tcb: {
        ...{ status: 'TDRelaunchAdvised', launch: 'OutOfDate', current: 'UpToDate' },
        ...{ platform: 'UpToDate', module: 'OutOfDate', qe: 'UpToDate' },
        ...{ date: '2024-03-13T00:00:00Z', date_current: '2025-05-14T00:00:00Z' },
        ...{ advisory_ids: ['SIM-SA-00003'], advisory_ids_current: [], evaluation_number: 17 },
      },
      shortfall: [{ component: 'module', have: 3, need: 4 }],
      collateral: {
        latest_issue_date: '2026-05-31T23:00:00Z',
        expired: false,
        pck_crl_number: expect.stringMatching(/^\d+$/),
      },
    })
  })

  it('says null for what was not proved', () => {
    expect(quoteVerdictDocument(verdictOf('PCK revoked'))).toMatchObject({
      ...{ class: 'revoked', verified: false, debug: null, simulated: null, tcb: null, collateral: null },
    })
  })
})
