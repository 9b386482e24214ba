import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import type { TpmChecklist } from './each-quote.ts'
import type { TpmRequirements } from './inputs.ts'
import { judgeEventLog } from './judge-event-log.ts'
import { judgeIma } from './judge-ima.ts'
import { LogChecks } from './log-checks.ts'
import type { LogReplays } from './log-replay.ts'
import type { PcrValues } from './pcr-values.ts'

/** What claims about the logs depend on besides the outcomes of their checks. */
export interface LogFacts {
  /** IMA-06. */
  readonly imaSha1Padded: boolean
}

/**
 * Judges both logs against the quoted values; `quoted` is null while those are not proved, and then the logs, which
 * cost most, are not read (SVC-44).
 */
export function judgeLogs(
  checklist: TpmChecklist,
  { eventLog, ima }: TpmEvidence,
  requirements: TpmRequirements,
  { quoted, replays }: { readonly quoted: PcrValues | null; readonly replays: LogReplays },
): LogFacts {
  judgeEventLog(new LogChecks(checklist, 'eventLog', requirements), eventLog, quoted, replays)
  const imaChecks = new LogChecks(checklist, 'ima', requirements)
  return { imaSha1Padded: judgeIma(imaChecks, ima, quoted, { requirements, replays }) }
}
