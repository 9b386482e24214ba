import { equalBytes, isFilledWith } from '../../base/bytes.ts'
import type { LoggedEvent } from '../../evidence/event-log/event-log.ts'
import { evNoAction } from '../../evidence/event-log/event-types.ts'
import { type CcEventLog, sha384Of } from '../../evidence/tdx/cc-event-log.ts'
import type { Rtmrs } from '../../evidence/tdx/td-report.ts'
import { ExtendedRegister } from '../extended-register.ts'

export type RtmrIndex = 0 | 1 | 2 | 3
export const rtmrIndexes = [0, 1, 2, 3] as const

/** Where the log leads one register. */
export interface ReplayedRegister {
  /** 48 bytes; zeros if no event extends it. */
  readonly value: Uint8Array
  /** Events that extend it. */
  readonly events: number
}

export interface CcEventLogReplay {
  /** Of RTMR0 to RTMR3. */
  readonly registers: readonly [ReplayedRegister, ReplayedRegister, ReplayedRegister, ReplayedRegister]
  /** Indexes of events that should extend a register and have no SHA-384 digest (TDX-234). */
  readonly withoutDigest: readonly number[]
}

/** Measurement registers 1 to 4 are RTMR0 to RTMR3. Number 0 is MRTD, which no log leads to (TDX-237). */
export function rtmrOf({ pcr }: Pick<LoggedEvent, 'pcr'>): RtmrIndex | null {
  return rtmrIndexes[pcr - 1] ?? null
}

/** EV_NO_ACTION is never extended, whatever register it names (TDX-233). */
const isExtended = ({ type }: LoggedEvent) => type !== evNoAction

function replayRegister(events: readonly LoggedEvent[], index: RtmrIndex): ReplayedRegister {
  const register = new ExtendedRegister('sha384')
  let count = 0
  for (const event of events) {
    if (event.pcr !== index + 1 || !isExtended(event)) continue
    const digest = sha384Of(event)
    if (digest === undefined) continue
    register.extend(digest)
    count++
  }
  return { value: register.value, events: count }
}

/**
 * Computes the runtime registers to which a confidential-computing event log leads (TDX-233): from 48 zero bytes on,
 * R = SHA-384(R ‖ digest), in the order of the log. Pure; the log is unverified until the values equal quoted ones.
 */
export function replayCcEventLog({ events }: CcEventLog): CcEventLogReplay {
  const [rtmr0, rtmr1, rtmr2, rtmr3] = [0, 1, 2, 3].map((index) => replayRegister(events, index as RtmrIndex))
  if (!rtmr0 || !rtmr1 || !rtmr2 || !rtmr3) throw new TypeError('there are four registers')
  const lacking = events.filter((event) => rtmrOf(event) !== null && isExtended(event) && !sha384Of(event))
  return { registers: [rtmr0, rtmr1, rtmr2, rtmr3], withoutDigest: lacking.map(({ index }) => index) }
}

/** One register beside its quoted value (TDX-236). */
export interface RegisterMatch {
  readonly rtmr: RtmrIndex
  /** 48 bytes: to which the log leads. */
  readonly expected: Uint8Array
  /** 48 bytes: as quoted. */
  readonly actual: Uint8Array
  /** Events of the log that extend it. */
  readonly events: number
  /** `unaccounted`: quoted as something else than zero, and no event extends it (TDX-024). */
  readonly outcome: 'matched' | 'different' | 'unaccounted'
}

/** Compares a replay with the quoted registers. Whether a difference is refused is for the policy. */
export function matchRtmrs({ registers }: CcEventLogReplay, quoted: Rtmrs): RegisterMatch[] {
  return rtmrIndexes.map((rtmr) => {
    const { value: expected, events } = registers[rtmr]
    const actual = quoted[rtmr]
    if (equalBytes(expected, actual)) return { rtmr, expected, actual, events, outcome: 'matched' }
    const outcome = events === 0 && !isFilledWith(actual, 0) ? 'unaccounted' : 'different'
    return { rtmr, expected, actual, events, outcome }
  })
}
