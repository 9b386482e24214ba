import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import type { TpmChecklist } from './each-quote.ts'
import type { EventLogFacts } from './event-log-verdicts.ts'
import type { TpmRequirements } from './inputs.ts'
import { eventLogCheckIds, judgeEventLog } from './judge-event-log.ts'
import { judgeIma } from './judge-ima.ts'
import { LogChecks } from './log-checks.ts'
import type { LogReplays } from './log-replay.ts'
import type { PcrValues } from './pcr-values.ts'

/** What claims about the logs depend on besides the outcomes of their checks. */
export interface LogFacts {
  /** What the event log says; null unless every check of it passed. */
  readonly eventLog: EventLogFacts | null
  /** IMA-06. */
  readonly imaSha1Padded: boolean
}

/**
 * Judges both logs against the quoted values; `quoted` is null while those are not proved, and then the logs, which
 * cost most, are not read (SVC-44).
 */
export function judgeLogs(
  checklist: TpmChecklist,
  { eventLog, ima, kernelCmdline }: TpmEvidence,
  requirements: TpmRequirements,
  { quoted, replays }: { readonly quoted: PcrValues | null; readonly replays: LogReplays },
): LogFacts {
  const eventChecks = new LogChecks(checklist, 'eventLog', requirements)
  const facts = judgeEventLog(eventChecks, eventLog, quoted, {
    imaPcr: requirements.imaPcr,
    kernelCmdline: kernelCmdline ?? null,
  })
  const imaChecks = new LogChecks(checklist, 'ima', requirements)
  const imaSha1Padded = judgeIma(imaChecks, ima, quoted, { requirements, replays })
  return { eventLog: checklist.passed(...eventLogCheckIds) ? facts : null, imaSha1Padded }
}
