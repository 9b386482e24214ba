import { Reader } from '../../base/layout-cursor.ts'
import { hashAlgorithms } from '../tpm/algorithms.ts'
import { evNoAction } from './event-types.ts'
import { type LogBytes, LogEntry, type LoggedEvent, logBytesOf } from './logged-event.ts'
import { type LogAlgorithm, readSpecIdHeader } from './spec-id.ts'

export type { LoggedEvent } from './logged-event.ts'

/** A TCG event log, unverified: whether it is true shows only its replay against quoted registers. */
export interface EventLog {
  /** `legacy` logs (TCG 1.2 form) speak for SHA-1 only (ELOG-01). */
  readonly format: 'crypto-agile' | 'legacy'
  readonly algorithms: readonly LogAlgorithm[]
  readonly events: readonly LoggedEvent[]
  /** Zero or FF bytes behind the last event. */
  readonly trailingBytes: number
}

export interface EventLogLimits {
  /** Highest register index; 23 for PCRs (ELOG-04). */
  readonly maxRegister?: number
  readonly maxEvents?: number
}

const sha1: LogAlgorithm = { ...hashAlgorithms.sha1, name: 'sha1' }

/** ELOG-03: each event carries each declared algorithm exactly once. */
function skipDigests(reader: Reader, sizes: ReadonlyMap<number, number>): void {
  const count = reader.integer(4, true)
  if (count !== sizes.size) throw reader.malformed(`has ${count} digests, must have ${sizes.size}`)
  const seen: number[] = []
  for (let left = count; left > 0; left--) {
    const id = reader.integer(2, true)
    const size = sizes.get(id)
    if (size === undefined) throw reader.malformed(`algorithm 0x${id.toString(16)} is not in the header`)
    if (seen.includes(id)) throw reader.malformed(`algorithm 0x${id.toString(16)} occurs twice`)
    seen.push(id)
    reader.skip(size)
  }
}

/** Reads one entry to its end: what is left of it is where it lies. */
function readEntry(reader: Reader, log: LogBytes, index: number): LogEntry {
  const { offset } = reader
  const pcr = reader.integer(4, true)
  const type = reader.integer(4, true)
  if (log.format === 'legacy') reader.skip(sha1.size)
  else reader.field('digests', () => skipDigests(reader, log.sizes))
  reader.field('data', () => reader.skip(reader.integer(4, true)))
  return new LogEntry(log, { index, offset, pcr, type })
}

/**
 * Where the bytes begin that are all zero or all FF up to the end: behind the last event they are padding (ELOG-02).
 * Looked for once: asked at every event, a log of events that begin with zeros would cost the square of its size.
 */
function paddingStart(bytes: Uint8Array): number {
  const fill = bytes[bytes.length - 1]
  if (fill !== 0 && fill !== 0xff) return bytes.length
  return bytes.findLastIndex((byte) => byte !== fill) + 1
}

/** ELOG-02. */
const headerLimits = { maxAlgorithms: 8, maxDigestSize: 64 }

/**
 * Parses a TCG event log, crypto-agile or legacy (TCG PC Client Platform Firmware Profile, section 10), to its
 * last byte. Every length is bounded by the rest of the buffer before use. Nothing is verified. Throws
 * `MalformedError` with the entry's index and the byte offset.
 */
export function parseEventLog(bytes: Uint8Array, limits: EventLogLimits = {}): EventLog {
  const { maxRegister = 23, maxEvents = 100_000 } = limits
  const header = readSpecIdHeader(bytes, headerLimits)
  const algorithms = header?.algorithms ?? [sha1]
  const format = header ? 'crypto-agile' : 'legacy'
  const log = logBytesOf(bytes, algorithms, format)
  const events: LoggedEvent[] = []
  const reader = new Reader(bytes, () => `eventlog.events.${events.length}`)
  reader.offset = header?.size ?? 0
  const end = paddingStart(bytes)
  while (reader.offset < end) {
    if (events.length >= maxEvents) throw reader.malformed(`more than ${maxEvents} events`)
    const entry = readEntry(reader, log, events.length)
    const { pcr, type, offset } = entry
    if (pcr > maxRegister && !(type === evNoAction && pcr === 0xffffffff)) {
      throw reader.malformed(`register ${pcr} of event ${entry.index} is above ${maxRegister}`, offset)
    }
    events.push(entry)
  }
  return { format, algorithms, events, trailingBytes: reader.remaining }
}
