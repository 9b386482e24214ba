import { toHex } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { eventTypeName } from '../../evidence/event-log/event-types.ts'
import type { LoggedEvent } from '../../evidence/event-log/logged-event.ts'
import { type CcEventLog, parseCcEventLog, sha384Of } from '../../evidence/tdx/cc-event-log.ts'
import type { Rtmrs } from '../../evidence/tdx/td-report.ts'
import type { Checklist } from '../../results/checklist.ts'
import { bindEvent, type EventBinding } from '../event-log/event-binding.ts'
import type { EventLogCheckId } from './policy-checks.ts'
import { matchRtmrs, type RegisterMatch, type RtmrIndex, replayCcEventLog, rtmrOf } from './replay-cc-event-log.ts'

export type EventLogChecklist = Checklist<EventLogCheckId>

export interface EventLogPolicy {
  /** `ifPresent`: an absent log is waived, a bad one refused. `optional`: both are waived and say so. */
  readonly requirement: 'required' | 'ifPresent' | 'optional'
  /**
   * `report`: a difference is told and not refused. What is left out: RTMR0 to RTMR2 are enforced, and RTMR3 where the
   * log extends it (TDX-236), because kernels extend it without a record (TDX-024).
   */
  readonly registers?: { readonly [Index in RtmrIndex]?: 'enforce' | 'report' }
}

export const defaultEventLogPolicy: EventLogPolicy = { requirement: 'ifPresent' }

/** One event of the log, as it can be shown; `data` are for those that judge content and only where it is bound. */
export interface JudgedEvent {
  readonly index: number
  /** Null for entries about MRTD, which are listed only (TDX-237). */
  readonly rtmr: RtmrIndex | null
  readonly type: number
  readonly typeName: string
  readonly bound: EventBinding
  readonly data: Uint8Array
  /** SHA-384; undefined for an event without one. */
  readonly digest: Uint8Array | undefined
}

/** What a well-formed log says beside the quoted registers. */
export interface EventLogVerdict {
  readonly registers: readonly RegisterMatch[]
  readonly events: readonly JudgedEvent[]
  /** RTMR3 is not zero, and the log has no event for it (TDX-024). */
  readonly rtmr3Unaccounted: boolean
  /** No register that the log extends differs: the log may speak (TDX-236). */
  readonly matches: boolean
}

/** Keeps the entry and the verdict alone: views of the data of a hundred thousand events would outweigh the log. */
class JudgedEntry implements JudgedEvent {
  readonly bound: EventBinding
  #event: LoggedEvent

  constructor(event: LoggedEvent) {
    this.#event = event
    this.bound = bindEvent(event, 'sha384')
  }

  get index(): number {
    return this.#event.index
  }

  get rtmr(): RtmrIndex | null {
    return rtmrOf(this.#event)
  }

  get type(): number {
    return this.#event.type
  }

  get typeName(): string {
    return eventTypeName(this.type)
  }

  get data(): Uint8Array {
    return this.#event.data
  }

  get digest(): Uint8Array | undefined {
    return sha384Of(this.#event)
  }
}

function isEnforced({ rtmr, events }: RegisterMatch, { registers = {} }: EventLogPolicy): boolean {
  return (registers[rtmr] ?? (rtmr < 3 || events > 0 ? 'enforce' : 'report')) === 'enforce'
}

function describeDifference({ rtmr, expected, actual, outcome }: RegisterMatch): string {
  return outcome === 'unaccounted'
    ? `RTMR${rtmr} is ${toHex(actual)}, and no event extends it`
    : `the log leads RTMR${rtmr} to ${toHex(expected)}, the quote has ${toHex(actual)}`
}

/** Records outcomes; where the log is optional its failures become waivers that say what failed (EVD-07). */
class LogRecord {
  #checklist: EventLogChecklist
  #optional: boolean

  constructor(checklist: EventLogChecklist, { requirement }: EventLogPolicy) {
    this.#checklist = checklist
    this.#optional = requirement === 'optional'
  }

  judge(id: EventLogCheckId, problem: string | null, detail?: string): boolean {
    if (problem === null) this.#checklist.pass(id, detail)
    else if (this.#optional) this.#checklist.waive(id, `eventLog.requirement is optional; ${problem}`)
    else this.#checklist.fail(id, problem)
    return problem === null
  }

  /** For checks that have nothing to judge because another one does not hold. */
  skip(...ids: readonly EventLogCheckId[]): void {
    if (this.#optional) for (const id of ids) this.#checklist.waive(id, 'eventLog.requirement is optional')
  }
}

const replayIds = ['tdx.eventlog.digests', 'tdx.eventlog.replay'] as const

function judgeAbsent(checklist: EventLogChecklist, { requirement }: EventLogPolicy): void {
  if (requirement === 'required') {
    checklist.fail('tdx.eventlog.present', 'there is no event log')
    return
  }
  for (const id of ['tdx.eventlog.present', 'tdx.eventlog.wellFormed', ...replayIds] as const) {
    checklist.waive(id, `eventLog.requirement is ${requirement}, and there is no event log`)
  }
}

function parseLog(record: LogRecord, bytes: Uint8Array): CcEventLog | null {
  try {
    const log = parseCcEventLog(bytes)
    record.judge('tdx.eventlog.wellFormed', null, `${log.events.length} events`)
    return log
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    record.judge('tdx.eventlog.wellFormed', error.message)
    record.skip(...replayIds)
    return null
  }
}

/** The first few of a list that a hostile log may have made long. */
const few = (items: readonly number[]) => items.slice(0, 4).join(', ') + (items.length > 4 ? ', …' : '')

function judgeReplay(record: LogRecord, log: CcEventLog, quoted: Rtmrs, policy: EventLogPolicy): EventLogVerdict {
  const replay = replayCcEventLog(log)
  const lacking = replay.withoutDigest
  record.judge('tdx.eventlog.digests', lacking.length === 0 ? null : `events ${few(lacking)} have no SHA-384 digest`)
  const registers = matchRtmrs(replay, quoted)
  const different = registers.filter(({ outcome }) => outcome !== 'matched')
  const refused = different.filter((register) => isEnforced(register, policy))
  const reported = different.filter((register) => !refused.includes(register))
  const problem = refused.length === 0 ? null : refused.map(describeDifference).join('; ')
  record.judge('tdx.eventlog.replay', problem, reported.map(describeDifference).join('; ') || 'every register')
  const matches = problem === null && lacking.length === 0 && !different.some(({ outcome }) => outcome === 'different')
  const rtmr3Unaccounted = registers.some(({ rtmr, outcome }) => rtmr === 3 && outcome === 'unaccounted')
  return { registers, events: log.events.map((event) => new JudgedEntry(event)), rtmr3Unaccounted, matches }
}

/**
 * Judges the event log of a TD against its quoted registers (TDX-230 to TDX-238). Null without a well-formed log, and
 * while `quoted` is null: registers that are not proved are no measure, and the log is then not read. Never throws for a
 * bad log.
 */
export function judgeEventLog(
  checklist: EventLogChecklist,
  bytes: Uint8Array | null,
  quoted: Rtmrs | null,
  policy: EventLogPolicy,
): EventLogVerdict | null {
  if (bytes === null) {
    judgeAbsent(checklist, policy)
    return null
  }
  checklist.pass('tdx.eventlog.present', `${bytes.length} bytes`)
  if (quoted === null) return null
  const record = new LogRecord(checklist, policy)
  const log = parseLog(record, bytes)
  return log === null ? null : judgeReplay(record, log, quoted, policy)
}
