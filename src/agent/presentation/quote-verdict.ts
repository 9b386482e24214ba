import type { CollateralFacts, Shortfall, TcbVerdict } from '../../verifier/index.ts'
import type { QuoteVerdict } from '../offline/appraise-offline.ts'
import { escaped } from './terminal.ts'

const shownTime = (time: number): string => new Date(time).toISOString().replace('.000Z', 'Z')
const shownDate = (time: number): string => shownTime(time).replace('T00:00:00Z', '')

function verdictLine({ verified, complete, class: verdict }: QuoteVerdict): string {
  if (!verified) return `quote: not verified (${verdict})`
  return complete ? 'quote: verified' : 'quote: genuine as far as that shows without collateral'
}

/** The status of now is told where it is another one: then a restart of the TD mends it (TDX-176). */
function tcbLines({ status, current, launch, tcbDate, advisoryIds, evaluationNumber }: TcbVerdict): string[] {
  const now = current === launch ? '' : ` (${launch} at launch, ${current} now)`
  return [
    `TCB status: ${status}${now}, of ${shownDate(tcbDate)}, by evaluation ${evaluationNumber}`,
    `advisories: ${advisoryIds.length === 0 ? 'none' : advisoryIds.map(escaped).join(', ')}`,
  ]
}

function collateralLine({ latestIssueDate, earliestExpirationDate, expired }: CollateralFacts): string {
  const end = `${shownTime(earliestExpirationDate)}${expired ? ' (expired, and still used)' : ''}`
  return `collateral: newest of ${shownTime(latestIssueDate)}, all of it current until ${end}`
}

/** TDX-177: operators ask for this first. */
function shortfallLines(shortfall: readonly Shortfall[]): string[] {
  if (shortfall.length === 0) return []
  const rows = shortfall.map(({ component, have, need, advice }) => {
    return `  ${component.padEnd(9)}  ${String(have).padStart(5)}  ${String(need).padStart(5)}  ${advice}`
  })
  return ['short of the best TCB level:', '  component   have   need', ...rows]
}

/** What was found about a quote besides its findings, one fact a line; only facts that the checks cover. */
export function renderQuoteVerdict(verdict: QuoteVerdict): string {
  const { tcb, collateral, shortfall } = verdict
  const lines = [
    verdictLine(verdict),
    ...(tcb === null ? [] : tcbLines(tcb)),
    ...(collateral === null ? [] : [collateralLine(collateral)]),
    ...shortfallLines(shortfall),
  ]
  return `${lines.join('\n')}\n`
}

function tcbDocument(tcb: TcbVerdict): Record<string, unknown> {
  return {
    status: tcb.status,
    launch: tcb.launch,
    current: tcb.current,
    platform: tcb.platform,
    module: tcb.module,
    qe: tcb.qe,
    date: shownTime(tcb.tcbDate),
    date_current: shownTime(tcb.tcbDateCurrent),
    advisory_ids: tcb.advisoryIds,
    advisory_ids_current: tcb.advisoryIdsCurrent,
    evaluation_number: tcb.evaluationNumber,
  }
}

/** Numbers of lists as decimal digits: they may have 20 octets. */
function collateralDocument(collateral: CollateralFacts): Record<string, unknown> {
  return {
    earliest_issue_date: shownTime(collateral.earliestIssueDate),
    latest_issue_date: shownTime(collateral.latestIssueDate),
    earliest_expiration_date: shownTime(collateral.earliestExpirationDate),
    expired: collateral.expired,
    root_ca_crl_number: String(collateral.rootCaCrlNumber),
    pck_crl_number: String(collateral.pckCrlNumber),
    tcb_info_evaluation_number: collateral.tcbInfoEvaluationNumber,
    qe_identity_evaluation_number: collateral.qeIdentityEvaluationNumber,
  }
}

/** The same as JSON, and all that the verdict says. */
export function quoteVerdictDocument(verdict: QuoteVerdict): Record<string, unknown> {
  const { verified, complete, tcb, shortfall, collateral, debug, paravisor, simulated } = verdict
  return {
    class: verdict.class,
    verified,
    complete,
    debug,
    paravisor,
    simulated,
    tcb: tcb === null ? null : tcbDocument(tcb),
    shortfall,
    collateral: collateral === null ? null : collateralDocument(collateral),
  }
}
