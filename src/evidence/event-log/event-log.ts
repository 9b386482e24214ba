import { isFilledWith } from '../../base/bytes.ts'
import { bytesOf, constant, listOf, parse, sizedBytes, struct, u8, u16le, u32le } from '../../base/layout.ts'
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

const legacyHead = struct({ pcr: u32le, type: u32le, digest: bytesOf(20), data: sizedBytes(u32le) })
const agileHead = struct({ pcr: u32le, type: u32le })
const exactCount = (count: number) => constant(u32le, count)

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
  exactCount(algorithms.length).read(reader)
  const digests = new Map<number, Uint8Array>()
  for (let left = algorithms.length; left > 0; left--) {
    const id = u16le.read(reader)
    const declared = algorithms.find((algorithm) => algorithm.id === id)
    if (!declared) throw reader.malformed(`algorithm 0x${id.toString(16)} is not in the header`)
    if (digests.has(id)) throw reader.malformed(`algorithm 0x${id.toString(16)} occurs twice`)
    digests.set(id, reader.bytes(declared.size))
  }
  return digests
}

function readAgileEvent(reader: Reader, algorithms: readonly LogAlgorithm[]): Omit<LoggedEvent, 'index' | 'offset'> {
  const { pcr, type } = agileHead.read(reader)
  const digests = reader.field('digests', () => readDigests(reader, algorithms))
  const data = reader.field('data', () => sizedBytes(u32le).read(reader))
  return { pcr, type, digests, data }
}

function readLegacyEvent(reader: Reader): Omit<LoggedEvent, 'index' | 'offset'> {
  const { digest, ...event } = legacyHead.read(reader)
  return { ...event, digests: new Map([[sha1.id, digest]]) }
}

/** The padding behind the last event is all zero or all FF (ELOG-02). Looked for only where an entry could not begin. */
function isPadding(bytes: Uint8Array, offset: number): boolean {
  const first = bytes[offset]
  if (first !== 0 && first !== 0xff) return false
  if (!isFilledWith(bytes.subarray(offset, offset + 12), first)) return false
  return isFilledWith(bytes.subarray(offset), first)
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
  while (reader.remaining > 0 && !isPadding(bytes, reader.offset)) {
    if (events.length >= maxEvents) throw reader.malformed(`more than ${maxEvents} events`)
    const place = { index: events.length, offset: reader.offset }
    const event = reader.field(`events.${events.length}`, () =>
      header ? readAgileEvent(reader, algorithms) : readLegacyEvent(reader),
    )
    if (event.pcr > maxRegister && !(event.type === evNoAction && event.pcr === 0xffffffff)) {
      throw reader.malformed(`register ${event.pcr} of event ${place.index} is above ${maxRegister}`, place.offset)
    }
    events.push({ ...place, ...event })
  }
  return { format: header ? 'crypto-agile' : 'legacy', algorithms, events, trailingBytes: reader.remaining }
}
