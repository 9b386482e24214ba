import { eventLogChecks, type TpmEventLogCheckId } from './event-log-checks.ts'
import { type EventLogFacts, type EventLogOptions, judgeEventLogBytes } from './event-log-verdicts.ts'
import type { LogChecks } from './log-checks.ts'
import type { PcrValues } from './pcr-values.ts'

export const eventLogCheckIds = Object.keys(eventLogChecks) as TpmEventLogCheckId[]

/**
 * Judges the event log beside the quoted values; null while those are not proved, and the log is then not read. Gives
 * what a well-formed log says, whether or not it is believed.
 */
export function judgeEventLog(
  checks: LogChecks,
  log: Uint8Array | null,
  quoted: PcrValues | null,
  options: EventLogOptions,
): EventLogFacts | null {
  if (log === null) {
    checks.record('tpm.eventlog.present', { ok: false, detail: 'there is no event log' })
    checks.skip(...eventLogCheckIds.filter((id) => id !== 'tpm.eventlog.present'))
    return null
  }
  checks.record('tpm.eventlog.present', { ok: true, detail: `${log.length} bytes` })
  if (quoted === null) return null
  const { verdicts, facts } = judgeEventLogBytes(log, quoted, options)
  for (const [id, verdict] of verdicts) checks.record(id, verdict)
  const judged = new Set(verdicts.map(([id]) => id)).add('tpm.eventlog.present')
  checks.skip(...eventLogCheckIds.filter((id) => !judged.has(id)))
  return facts
}
