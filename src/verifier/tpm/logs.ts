import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import type { TpmChecklist } from './each-quote.ts'
import type { EventLogFacts } from './event-log-verdicts.ts'
import type { TpmInputs } from './inputs.ts'
import { eventLogCheckIds, judgeEventLog } from './judge-event-log.ts'
import { type ImaFacts, judgeIma, type ProvedQuotes } from './judge-ima.ts'
import { LogChecks } from './log-checks.ts'
import type { LogReplays } from './log-replay.ts'

/** What claims about the logs depend on besides the outcomes of their checks. */
export interface LogFacts {
  /** What the event log says; null unless every check of it passed. */
  readonly eventLog: EventLogFacts | null
  readonly ima: ImaFacts
}

/**
 * Judges both logs against the quoted values; `quotes` is null while those are not proved, and then the logs, which
 * cost most, are not read (SVC-44).
 */
export function judgeLogs(
  checklist: TpmChecklist,
  { eventLog, ima, kernelCmdline }: TpmEvidence,
  inputs: TpmInputs,
  { quotes, replays }: { readonly quotes: ProvedQuotes | null; readonly replays: LogReplays },
): LogFacts {
  const { requirements } = inputs
  const eventChecks = new LogChecks(checklist, 'eventLog', requirements)
  const facts = judgeEventLog(eventChecks, eventLog, quotes?.values ?? null, {
    imaPcr: requirements.imaPcr,
    kernelCmdline: kernelCmdline ?? null,
  })
  const imaChecks = new LogChecks(checklist, 'ima', requirements)
  const imaFacts = judgeIma(imaChecks, ima, quotes, { inputs, replays })
  return { eventLog: checklist.passed(...eventLogCheckIds) ? facts : null, ima: imaFacts }
}
