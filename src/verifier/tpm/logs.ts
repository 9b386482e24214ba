import type { HashName } from '../../evidence/tpm/algorithms.ts'
import type { ImaLogPart, TpmEvidence } from '../../evidence/tpm/evidence.ts'
import type { TpmCheckId } from './checks.ts'
import type { TpmChecklist } from './each-quote.ts'
import type { TpmRequirements } from './inputs.ts'
import type { LogOutcome, LogReplays, LogVerdict } from './log-replay.ts'
import type { PcrValues } from './pcr-values.ts'

/**
 * Records what a log says. Where policy makes the log optional a bad or absent one is waived and named: sending a bad
 * log and leaving it out come to the same (EVD-07).
 */
class LogChecks {
  #checklist: TpmChecklist
  #waiver: string | null

  constructor(checklist: TpmChecklist, member: 'eventLog' | 'ima', requirements: TpmRequirements) {
    this.#checklist = checklist
    this.#waiver = requirements[member] === 'optional' ? `requirements.${member} is optional` : null
  }

  record(id: TpmCheckId, { ok, detail }: LogVerdict): void {
    if (ok) this.#checklist.pass(id, detail)
    else if (this.#waiver === null) this.#checklist.fail(id, detail)
    else this.#checklist.waive(id, `${this.#waiver}; ${detail}`)
  }

  /** For checks that have nothing to judge because another one does not hold. */
  skip(...ids: readonly TpmCheckId[]): void {
    for (const id of ids) if (this.#waiver !== null) this.#checklist.waive(id, this.#waiver)
  }
}

function judgeReplay(
  checks: LogChecks,
  { wellFormed, replay }: LogOutcome,
  ids: { readonly wellFormed: TpmCheckId; readonly replay: TpmCheckId },
): void {
  checks.record(ids.wellFormed, wellFormed)
  if (replay === null) checks.skip(ids.replay)
  else checks.record(ids.replay, replay)
}

function judgeEventLog(checks: LogChecks, log: Uint8Array | null, quoted: PcrValues | null, replays: LogReplays): void {
  const ids = { wellFormed: 'tpm.eventlog.wellFormed', replay: 'tpm.eventlog.replay' } as const
  if (log === null) {
    checks.record('tpm.eventlog.present', { ok: false, detail: 'there is no event log' })
    checks.skip(ids.wellFormed, ids.replay)
    return
  }
  checks.record('tpm.eventlog.present', { ok: true, detail: `${log.length} bytes` })
  if (quoted !== null) judgeReplay(checks, replays.replayEventLog(log, quoted), ids)
}

/** The register that IMA extends, in every bank in which it is quoted. */
function imaRegister(quoted: PcrValues, pcr: number): ReadonlyMap<HashName, Uint8Array> {
  const values = [...quoted].map(([hash, bank]) => [hash, bank.get(pcr)] as const)
  return new Map(values.flatMap(([hash, value]) => (value === undefined ? [] : [[hash, value] as const])))
}

/** IMA-10: no running values are kept between appraisals, so no log can be continued. */
function judgeOffset(checks: LogChecks, { from }: ImaLogPart): boolean {
  checks.record('tpm.ima.offset', { ok: from === 0, detail: `begins at record ${from}` })
  return from === 0
}

/** True if the log leads to a quoted value only by padded SHA-1 values. */
function judgeIma(
  checks: LogChecks,
  ima: ImaLogPart | null,
  quoted: PcrValues | null,
  { requirements, replays }: { readonly requirements: TpmRequirements; readonly replays: LogReplays },
): boolean {
  const ids = { wellFormed: 'tpm.ima.wellFormed', replay: 'tpm.ima.replay' } as const
  if (ima === null) {
    checks.record('tpm.ima.present', { ok: false, detail: 'there is no IMA log' })
    checks.skip('tpm.ima.offset', ids.wellFormed, ids.replay)
    return false
  }
  const whole = judgeOffset(checks, ima)
  if (quoted === null) return false
  const { imaPcr: pcr, acceptSha1Padded = false } = requirements
  const register = imaRegister(quoted, pcr)
  // IMA-00: SHA-1 alone does not carry a log any more than it carries a quote (TPM-24).
  const carried = [...register.keys()].some((hash) => hash !== 'sha1')
  const lack = `PCR ${pcr} is not quoted in a bank stronger than SHA-1`
  checks.record('tpm.ima.present', { ok: carried, detail: carried ? `${ima.data.length} bytes` : lack })
  if (!carried || !whole) {
    checks.skip(ids.wellFormed, ids.replay)
    return false
  }
  const outcome = replays.replayImaLog(ima, register, pcr, { acceptSha1Padded })
  judgeReplay(checks, outcome, ids)
  return outcome.sha1Padded ?? false
}

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
