import { judgeReplay, type LogChecks } from './log-checks.ts'
import type { LogReplays } from './log-replay.ts'
import type { PcrValues } from './pcr-values.ts'

/** Judges the event log beside the quoted values; null while those are not proved, and the log is then not read. */
export function judgeEventLog(
  checks: LogChecks,
  log: Uint8Array | null,
  quoted: PcrValues | null,
  replays: LogReplays,
): void {
  const ids = { wellFormed: 'tpm.eventlog.wellFormed', replay: 'tpm.eventlog.replay' } as const
  if (log === null) {
    checks.record('tpm.eventlog.present', { ok: false, detail: 'there is no event log' })
    checks.skip(ids.wellFormed, ids.replay)
    return
  }
  checks.record('tpm.eventlog.present', { ok: true, detail: `${log.length} bytes` })
  if (quoted !== null) judgeReplay(checks, replays.replayEventLog(log, quoted), ids)
}
