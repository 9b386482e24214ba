import { MalformedError } from '../base/errors.ts'
import type { HistoryEntry } from '../registry/appraisal-history.ts'
import type { EnrolmentRecord } from '../registry/enrolment-record.ts'
import { parseImaCheckpoint } from '../verifier/ima/checkpoint.ts'
import type { TpmCounters } from '../verifier/tpm/inputs.ts'

/** Counters as the admin socket tells them; `clock` in decimal digits, for it has 64 bits. */
export interface ShownCounters {
  readonly resetCount: number
  readonly restartCount: number
  readonly clock: string
  readonly safe: boolean
}

/** How far the IMA log was judged, and in which boot. */
export interface ShownCheckpoint {
  readonly records: number
  readonly resetCount: number
  readonly restartCount: number
}

/**
 * An enrolment as the admin socket tells it: neither keys nor certificates nor checkpoints. Names and digests in lower-case
 * hexadecimal, times in seconds since the epoch.
 */
export interface ShownEnrolment {
  readonly akName: string
  readonly ekName: string
  readonly state: EnrolmentRecord['state']['is']
  /** Why it is not active, and since when; null while it is. */
  readonly reason: string | null
  readonly since: number | null
  readonly trust: EnrolmentRecord['trust']
  readonly anchor: string | null
  readonly identity: string | null
  readonly instanceId: string | null
  readonly simulated: boolean
  readonly ekCertSha256: string | null
  readonly ekNotAfter: number | null
  readonly crlStatus: EnrolmentRecord['crlStatus']
  readonly created: number
  readonly lastSeen: number
  readonly counters: ShownCounters | null
  readonly firmwareVersion: string | null
  readonly checkpoint: ShownCheckpoint | null
}

/** An appraisal as the admin socket tells it; time in seconds since the epoch. */
export interface ShownAppraisal {
  readonly at: number
  readonly affirmed: boolean
  readonly failed: readonly string[]
  readonly changes: HistoryEntry['changes']
  readonly counters: ShownCounters | null
  readonly firmwareVersion: string | null
}

const seconds = (ms: number) => Math.floor(ms / 1000)
const secondsOrNull = (ms: number | null) => (ms === null ? null : seconds(ms))

function shownCounters(counters: TpmCounters | null): ShownCounters | null {
  return counters && { ...counters, clock: String(counters.clock) }
}

/** One that does not read is none to the verifier either (IMA-11). */
function shownCheckpoint(checkpoint: Uint8Array | null): ShownCheckpoint | null {
  if (checkpoint === null) return null
  try {
    const { records, resetCount, restartCount } = parseImaCheckpoint(checkpoint)
    return { records, resetCount, restartCount }
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}

export function describeEnrolment(record: EnrolmentRecord): ShownEnrolment {
  const { akName, ekName, state, trust, anchor, identity, instanceId, simulated } = record
  const { ekCertSha256, crlStatus, firmwareVersion } = record
  return {
    ...{ akName, ekName, state: state.is },
    reason: state.is === 'active' ? null : state.reason,
    since: state.is === 'active' ? null : seconds(state.since),
    ...{ trust, anchor, identity, instanceId, simulated, ekCertSha256 },
    ekNotAfter: secondsOrNull(record.ekNotAfter),
    crlStatus,
    created: seconds(record.created),
    lastSeen: seconds(record.lastSeen),
    counters: shownCounters(record.counters),
    firmwareVersion,
    checkpoint: shownCheckpoint(record.checkpoint),
  }
}

const longestName = 128

function cut(name: string | null): string | null {
  return name === null || name.length <= longestName ? name : `${name.slice(0, longestName)}…`
}

/** With long names cut: a page is no longer than a client takes, whatever stands in certificates. */
export function describeInList(record: EnrolmentRecord): ShownEnrolment {
  const shown = describeEnrolment(record)
  const { anchor, identity, instanceId } = shown
  return { ...shown, anchor: cut(anchor), identity: cut(identity), instanceId: cut(instanceId) }
}

export function describeAppraisal(entry: HistoryEntry): ShownAppraisal {
  const { at, affirmed, failed, changes, counters, firmwareVersion } = entry
  return { at: seconds(at), affirmed, failed, changes, counters: shownCounters(counters), firmwareVersion }
}
