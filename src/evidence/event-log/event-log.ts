import { sizedBytes, u32le } from '../../base/layout.ts'
import { Reader } from '../../base/layout-cursor.ts'
import { hashAlgorithms } from '../tpm/algorithms.ts'
import { evNoAction } from './event-types.ts'
import { type LogAlgorithm, legacyEntryLayout, readSpecIdHeader } from './spec-id.ts'

export interface LoggedEvent {
  /** Position in the log, the header event not counted. */
  readonly index: number
  /** Byte offset of the entry in the log. */
  readonly offset: number
  /** PCR index; for confidential-computing logs the measurement register index. */
  readonly pcr: number
  readonly type: number
  /** TPM_ALG_ID → digest: what firmware says it extended. */
  readonly digests: ReadonlyMap<number, Uint8Array>
  readonly data: Uint8Array
}

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
const eventData = sizedBytes(u32le)

/** ELOG-03: each event carries each declared algorithm exactly once. */
function readDigests(reader: Reader, algorithms: readonly LogAlgorithm[]): Map<number, Uint8Array> {
  const count = reader.integer(4, true)
  if (count !== algorithms.length) throw reader.malformed(`has ${count} digests, must have ${algorithms.length}`)
  const digests = new Map<number, Uint8Array>()
  for (let left = count; left > 0; left--) {
    const id = reader.integer(2, true)
    const declared = algorithms.find((algorithm) => algorithm.id === id)
    if (!declared) throw reader.malformed(`algorithm 0x${id.toString(16)} is not in the header`)
    if (digests.has(id)) throw reader.malformed(`algorithm 0x${id.toString(16)} occurs twice`)
    digests.set(id, reader.bytes(declared.size))
  }
  return digests
}

/** What one event says; a log has up to 100 000, so that they are read by hand and not by a layout. */
type Entry = Omit<LoggedEvent, 'index' | 'offset'>

function readAgileEvent(reader: Reader, algorithms: readonly LogAlgorithm[]): Entry {
  const pcr = reader.integer(4, true)
  const type = reader.integer(4, true)
  const digests = reader.field('digests', () => readDigests(reader, algorithms))
  return { pcr, type, digests, data: reader.field('data', () => eventData.read(reader)) }
}

function readLegacyEvent(reader: Reader): Entry {
  const { register, type, digest, data } = legacyEntryLayout.read(reader)
  return { pcr: register, type, digests: new Map([[sha1.id, digest]]), data }
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
  const reader = new Reader(bytes, 'eventlog')
  reader.offset = header?.size ?? 0
  const events: LoggedEvent[] = []
  const end = paddingStart(bytes)
  while (reader.offset < end) {
    if (events.length >= maxEvents) throw reader.malformed(`more than ${maxEvents} events`)
    const { offset } = reader
    const index = events.length
    const { pcr, type, digests, data } = reader.field(`events.${index}`, () =>
      header ? readAgileEvent(reader, algorithms) : readLegacyEvent(reader),
    )
    if (pcr > maxRegister && !(type === evNoAction && pcr === 0xffffffff)) {
      throw reader.malformed(`register ${pcr} of event ${index} is above ${maxRegister}`, offset)
    }
    events.push({ index, offset, pcr, type, digests, data })
  }
  return { format: header ? 'crypto-agile' : 'legacy', algorithms, events, trailingBytes: reader.remaining }
}
