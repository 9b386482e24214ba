import { bytesOf, listOf, parse, sizedBytes, struct, u8, u16le, u32le } from '../../base/layout.ts'
import { Reader } from '../../base/layout-cursor.ts'
import { type HashName, hashAlgorithms, hashNameOf } from '../tpm/algorithms.ts'
import { evNoAction } from './event-types.ts'

/** An algorithm that the log's header declares; `name` is undefined for those that this project does not compute. */
export interface LogAlgorithm {
  readonly id: number
  readonly size: number
  readonly name: HashName | undefined
}

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
const specIdSignature = new TextEncoder().encode('Spec ID Event03\0')

const specIdLayout = struct({
  signature: bytesOf(16),
  platformClass: u32le,
  minor: u8,
  major: u8,
  errata: u8,
  uintnSize: u8,
  algorithms: listOf(u32le, struct({ id: u16le, size: u16le }), { min: 1, max: 8 }),
  vendor: sizedBytes(u8),
})

const eventData = sizedBytes(u32le)

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return bytes.length >= start.length && start.every((byte, at) => bytes[at] === byte)
}

/** ELOG-02: known algorithms have their size, and none occurs twice. */
function requireAlgorithms(reader: Reader, listed: readonly { id: number; size: number }[]): LogAlgorithm[] {
  const seen = new Set<number>()
  return listed.map(({ id, size }) => {
    const name = hashNameOf(id)
    if (seen.has(id)) throw reader.malformed(`header declares algorithm 0x${id.toString(16)} twice`)
    if (size === 0 || size > 64 || (name !== undefined && hashAlgorithms[name].size !== size)) {
      throw reader.malformed(`header declares ${size} bytes for algorithm 0x${id.toString(16)}`)
    }
    seen.add(id)
    return { id, size, name }
  })
}

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
  const pcr = reader.integer(4, true)
  const type = reader.integer(4, true)
  const digests = new Map([[sha1.id, reader.bytes(sha1.size)]])
  return { pcr, type, digests, data: reader.field('data', () => eventData.read(reader)) }
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

function readHeader(bytes: Uint8Array): { algorithms: LogAlgorithm[]; size: number } | undefined {
  const reader = new Reader(bytes, 'eventlog')
  const first = reader.field('header', () => readLegacyEvent(reader))
  if (first.type !== evNoAction || !startsWith(first.data, specIdSignature)) return undefined
  const header = parse(specIdLayout, first.data, 'eventlog.header')
  return { algorithms: requireAlgorithms(reader, header.algorithms), size: reader.offset }
}

/**
 * Parses a TCG event log, crypto-agile or legacy (TCG PC Client Platform Firmware Profile, section 10), to its
 * last byte. Every length is bounded by the rest of the buffer before use. Nothing is verified. Throws
 * `MalformedError` with the entry's index and the byte offset.
 */
export function parseEventLog(bytes: Uint8Array, limits: EventLogLimits = {}): EventLog {
  const { maxRegister = 23, maxEvents = 100_000 } = limits
  const header = readHeader(bytes)
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
