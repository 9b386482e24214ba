import { type EventLog, parseEventLog } from '../../evidence/event-log/event-log.ts'
import type { HashName } from '../../evidence/tpm/algorithms.ts'
import { LoadOptionsHint } from '../event-log/event-binding.ts'
import { payloadProblems, separatorProblems, typeProblems } from '../event-log/event-log-rules.ts'
import { bindEventLog, type JudgedEventLog, provingBanks } from '../event-log/judged-event-log.ts'
import { type EventLogReplay, matchRegisters, replayEventLog } from '../event-log/replay-event-log.ts'
import { judgeSecureBoot, type SecureBoot } from '../event-log/secure-boot.ts'
import { attempt } from './each-quote.ts'
import type { TpmEventLogCheckId } from './event-log-checks.ts'
import type { LogVerdict } from './log-replay.ts'
import type { PcrValues } from './pcr-values.ts'

/** What a well-formed log says beside quoted registers. It holds only if every verdict is good. */
export interface EventLogFacts {
  readonly judged: JudgedEventLog
  /** 0, 3 or 4; null where the log does not say (ELOG-06). */
  readonly startupLocality: number | null
  /** Quoted PCRs from 8 on that are not zero, and that the log has no event for (ELOG-10). */
  readonly unaccounted: readonly number[]
  readonly secureBoot: SecureBoot
}

export interface EventLogVerdicts {
  /** Of every check that could be judged, in their order. */
  readonly verdicts: readonly (readonly [TpmEventLogCheckId, LogVerdict])[]
  /** Null for a log that does not parse, or that has none of the quoted banks. */
  readonly facts: EventLogFacts | null
}

export interface EventLogOptions {
  /** The register of IMA, whose value the event log does not account for. */
  readonly imaPcr: number
  /** A command line that came beside the log, unauthenticated (ELOG-20). */
  readonly kernelCmdline?: string | null
}

/** The first few of a list that a hostile log may have made long. */
const few = (items: readonly string[]) =>
  items.length > 4 ? `${items.slice(0, 4).join('; ')}; and ${items.length - 4} more` : items.join('; ')

function verdictOf(problems: readonly string[], detail: string): LogVerdict {
  return problems.length === 0 ? { ok: true, detail } : { ok: false, detail: few(problems) }
}

function replayVerdict(mismatches: readonly string[], unaccounted: readonly number[]): LogVerdict {
  const open = unaccounted.length === 0 ? 'no register' : `PCR ${unaccounted.join(', ')}`
  return verdictOf(mismatches, `accounts for all quoted registers from 0 to 7, leaves open ${open}`)
}

/** TPM-24: beside another bank SHA-1 has to agree, and proves nothing by itself. */
function withoutSha1(quoted: PcrValues): PcrValues {
  return new Map([...quoted].filter(([bank]) => bank !== 'sha1'))
}

function boundLog(log: EventLog, replay: EventLogReplay, quoted: PcrValues, hint: string | null): JudgedEventLog {
  const banks = provingBanks(replay, withoutSha1(quoted))
  const present = [...quoted.keys()].filter((bank) => replay.registers.has(bank))
  return bindEventLog(log, { banks, present }, { loadOptions: hint === null ? null : new LoadOptionsHint(hint) })
}

function bindingDetail({ log, bounds }: JudgedEventLog): string {
  const open = bounds.filter((bound) => bound === 'none').length
  return `${log.events.length - open} events are bound to their data, ${open} are not`
}

const stateTexts = { enabled: 'is enabled', disabled: 'is disabled', unknown: 'is not stated' } as const

function contentVerdicts(judged: JudgedEventLog, banks: Iterable<HashName>, secureBoot: SecureBoot) {
  return [
    ['tpm.eventlog.payloads', verdictOf(payloadProblems(judged), bindingDetail(judged))],
    ['tpm.eventlog.separators', verdictOf(separatorProblems(judged), 'every separator is one')],
    ['tpm.eventlog.types', verdictOf(typeProblems(judged, banks), 'types and digests agree')],
    ['tpm.eventlog.secureBoot', verdictOf(secureBoot.problems, `secure boot ${stateTexts[secureBoot.state]}`)],
  ] as const
}

function judgeParsed(
  log: EventLog,
  quoted: PcrValues,
  { imaPcr, kernelCmdline = null }: EventLogOptions,
): EventLogVerdicts {
  const replay = replayEventLog(log, quoted)
  const { mismatches, missingBanks, unaccounted } = matchRegisters(replay, quoted)
  const missing = missingBanks.map((bank) => `the log has no bank ${bank}`)
  const banks = verdictOf(missing, [...replay.registers.keys()].join(', '))
  if (replay.registers.size === 0) return { verdicts: [['tpm.eventlog.banks', banks]], facts: null }
  const open = unaccounted.filter((pcr) => pcr !== imaPcr)
  const judged = boundLog(log, replay, quoted, kernelCmdline)
  const secureBoot = judgeSecureBoot(judged)
  const { startupLocality, localityProblem } = replay
  const start = startupLocality === null ? 'no locality is stated' : `locality ${startupLocality}`
  const differing = mismatches.map(({ bank, pcr, problem }) => `${bank} PCR ${pcr}: ${problem}`)
  return {
    verdicts: [
      ['tpm.eventlog.banks', banks],
      ['tpm.eventlog.locality', verdictOf(localityProblem === null ? [] : [localityProblem], start)],
      ['tpm.eventlog.replay', replayVerdict(differing, open)],
      ...contentVerdicts(judged, replay.registers.keys(), secureBoot),
    ],
    facts: { judged, startupLocality, unaccounted: open, secureBoot },
  }
}

/**
 * Judges the bytes of an event log against quoted registers, bank → PCR → value, which the caller has proved (ELOG-01 to
 * ELOG-15, SB-01 to SB-05). Never throws for a bad log.
 */
export function judgeEventLogBytes(bytes: Uint8Array, quoted: PcrValues, options: EventLogOptions): EventLogVerdicts {
  const id = 'tpm.eventlog.wellFormed'
  const { value, problem } = attempt(() => parseEventLog(bytes))
  if (value === null) return { verdicts: [[id, { ok: false, detail: problem }]], facts: null }
  const { verdicts, facts } = judgeParsed(value, quoted, options)
  return { verdicts: [[id, { ok: true, detail: `${value.events.length} events` }], ...verdicts], facts }
}
