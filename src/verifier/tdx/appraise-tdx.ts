import type { TdxEvidence } from '../../evidence/tdx/evidence.ts'
import type { Rtmrs } from '../../evidence/tdx/td-report.ts'
import type { Finding } from '../../results/appraisal.ts'
import { Checklist } from '../../results/checklist.ts'
import { appraiseQuote } from './appraise-quote.ts'
import type { TdxCheckId } from './checks.ts'
import { eventLogClaims } from './event-log-claims.ts'
import {
  defaultEventLogPolicy,
  type EventLogChecklist,
  type EventLogVerdict,
  judgeEventLog,
} from './event-log-policy.ts'
import type { TdxInputs } from './inputs.ts'
import { eventLogChecks } from './policy-checks.ts'
import type { QuoteAppraisal } from './quote-appraisal.ts'

/** The appraisal of a quote together with that of its event log. */
export interface TdxAppraisal extends Omit<QuoteAppraisal, 'findings'> {
  readonly findings: readonly Finding<TdxCheckId>[]
  /** Null without a log, for one that does not parse, and while the quote is not verified. */
  readonly eventLog: EventLogVerdict | null
}

/** The registers of a verified TD; those of anything else prove nothing. */
function provedRegisters({ quote, verified }: QuoteAppraisal): Rtmrs | null {
  return verified && quote !== null && quote.body.kind !== 'sgx' ? quote.body.report.rtmr : null
}

function judgeKind(checklist: EventLogChecklist, { quote }: QuoteAppraisal): void {
  if (quote === null) return
  checklist.judge('tdx.evidence.kind', quote.body.kind !== 'sgx', () => 'the quote is about an SGX enclave')
}

function claimsOf({ claims }: QuoteAppraisal, logClaims: Readonly<Record<string, unknown>>): QuoteAppraisal['claims'] {
  const { tdx } = claims
  const tree = typeof tdx === 'object' && tdx !== null ? tdx : {}
  return { ...claims, tdx: { ...tree, ...logClaims } }
}

/**
 * Appraises the evidence of a TD: its quote as `appraiseQuote` does, and its event log against the quoted registers
 * (TDX-230 to TDX-238). A log that does not match contributes no claim, whatever the policy makes of it.
 *
 * Pure but for the memo, synchronous, and never throws for bad evidence.
 */
export function appraiseTdx(evidence: TdxEvidence, inputs: TdxInputs): TdxAppraisal {
  const quote = appraiseQuote(evidence.quote, { ...inputs, simulated: evidence.simulated })
  const checklist = new Checklist(eventLogChecks)
  judgeKind(checklist, quote)
  const policy = inputs.eventLog ?? defaultEventLogPolicy
  const eventLog = judgeEventLog(checklist, evidence.ccEventLog, provedRegisters(quote), policy)
  const affirmed = quote.affirmed && checklist.affirmed()
  return {
    ...quote,
    affirmed,
    findings: [...quote.findings, ...checklist.findings()],
    claims: affirmed ? claimsOf(quote, eventLogClaims(evidence.ccEventLog !== null, eventLog)) : {},
    eventLog,
  }
}
