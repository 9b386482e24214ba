import { concatBytes } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { Reader } from '../../base/layout-cursor.ts'
import { type LogBytes, LogEntry, type LoggedEvent, logBytesOf } from '../event-log/logged-event.ts'
import { beginsWithSpecId, type LogAlgorithm, readSpecIdHeader, type SpecIdHeader } from '../event-log/spec-id.ts'
import { hashAlgorithms } from '../tpm/algorithms.ts'

/** What stands behind the last entry: eight bytes FF, eight bytes zero, or the end of the data (TDX-232). */
export type LogEnd = 'ff' | 'zero' | 'exact'

/**
 * An event log of a TD, unverified: whether it is true shows only its replay against quoted registers. `pcr` of an event
 * is its measurement register: 0 is MRTD, 1 to 4 are RTMR0 to RTMR3 (TDX-231).
 */
export interface CcEventLog {
  /** Register of the header entry: firmware writes 0 or 1. */
  readonly headerRegister: number
  readonly algorithms: readonly LogAlgorithm[]
  readonly events: readonly LoggedEvent[]
  readonly end: LogEnd
  /** Bytes up to the end marker, header included. */
  readonly logBytes: number
}

/** TDX-231, TDX-235. */
export const ccEventLogLimits = {
  bytes: 4 * 1024 * 1024,
  events: 100_000,
  /** Digests of one event, and algorithms of the header. */
  digests: 16,
  highestRegister: 4,
} as const

const headerLimits = { maxAlgorithms: ccEventLogLimits.digests, maxDigestSize: 0xffff }
const markerSize = 8

/** TDX-230: the header says how long digests are. An event need not carry each of its algorithms (TDX-234). */
function skipDigests(reader: Reader, sizes: ReadonlyMap<number, number>): void {
  const count = reader.integer(4, true)
  if (count > ccEventLogLimits.digests) throw reader.malformed(`has ${count} digests`)
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

function readEntry(reader: Reader, log: LogBytes, index: number): LogEntry {
  const { offset } = reader
  const pcr = reader.integer(4, true)
  if (pcr > ccEventLogLimits.highestRegister) throw reader.malformed(`register ${pcr} does not exist`, offset)
  const type = reader.integer(4, true)
  reader.field('digests', () => skipDigests(reader, log.sizes))
  reader.field('data', () => reader.skip(reader.integer(4, true)))
  return new LogEntry(log, { index, offset, pcr, type })
}

/** The end marker at an entry boundary; undefined where another entry begins. */
function endAt(bytes: Uint8Array, offset: number): LogEnd | undefined {
  if (offset === bytes.length) return 'exact'
  const fill = bytes[offset]
  if (fill !== 0 && fill !== 0xff) return undefined
  for (let at = offset + 1; at < offset + markerSize; at++) if (bytes[at] !== fill) return undefined
  return fill === 0 ? 'zero' : 'ff'
}

function readEvents(bytes: Uint8Array, start: number, algorithms: readonly LogAlgorithm[]) {
  const log = logBytesOf(bytes, algorithms, 'crypto-agile')
  const events: LoggedEvent[] = []
  const reader = new Reader(bytes, () => `eventlog.events.${events.length}`)
  reader.offset = start
  let end = endAt(bytes, start)
  while (end === undefined) {
    if (events.length >= ccEventLogLimits.events) throw reader.malformed(`more than ${ccEventLogLimits.events} events`)
    events.push(readEntry(reader, log, events.length))
    end = endAt(bytes, reader.offset)
  }
  return { events, end, logBytes: reader.offset }
}

function malformed(problem: string, offset = 0): MalformedError {
  return new MalformedError({ path: 'eventlog', offset }, problem)
}

function requireHeader(bytes: Uint8Array): SpecIdHeader {
  const { bytes: maximum, highestRegister } = ccEventLogLimits
  if (bytes.length > maximum) throw malformed(`has ${bytes.length} bytes, may have ${maximum}`, maximum)
  const header = readSpecIdHeader(bytes, headerLimits)
  if (header === undefined) throw malformed('does not begin with a Spec ID header')
  if (header.register > highestRegister) throw malformed(`register ${header.register} does not exist`)
  return header
}

/**
 * Parses a confidential-computing event log (TDX section 5): a Spec ID header and TCG_PCR_EVENT2 entries up to the end
 * marker, behind which everything is ignored. Every length is bounded before use; the work is linear (TDX-235). Unknown
 * event types and algorithms that the header declares are carried along. Bytes in the result are views of `bytes`.
 * Nothing is verified. Throws only `MalformedError`, with the entry's index and the byte offset.
 */
export function parseCcEventLog(bytes: Uint8Array): CcEventLog {
  const { register, algorithms, size } = requireHeader(bytes)
  return { headerRegister: register, algorithms, ...readEvents(bytes, size, algorithms) }
}

/** The digest that registers of a TD are extended with, where the event has one (TDX-234). */
export function sha384Of(event: LoggedEvent): Uint8Array | undefined {
  return event.digest(hashAlgorithms.sha384.id)
}

const endMarker = new Uint8Array(markerSize).fill(0xff)

/** The entries of runtime records, without the header that only a log of its own begins with (TDX-021). */
function runtimeEntries(records: Uint8Array, algorithms: readonly LogAlgorithm[]): Uint8Array {
  const start = beginsWithSpecId(records) ? requireHeader(records).size : 0
  return records.subarray(start, readEvents(records, start, algorithms).logBytes)
}

/**
 * The log that goes into evidence (TDX-022): the firmware's log cut at its end marker, the runtime records, and eight
 * bytes FF. `firmware` is the CCEL area as the kernel shows it; `runtime` are records of TDX-034, with a header of their
 * own where there is no CCEL. Null where there is neither. Throws `MalformedError` for a log that does not parse.
 */
export function composeCcEventLog(firmware: Uint8Array | null, runtime: Uint8Array | null): Uint8Array | null {
  if (firmware === null) return runtime === null ? null : closedLog(runtime)
  if (runtime === null) return closedLog(firmware)
  const { algorithms, logBytes } = parseCcEventLog(firmware)
  return concatBytes(firmware.subarray(0, logBytes), runtimeEntries(runtime, algorithms), endMarker)
}

function closedLog(bytes: Uint8Array): Uint8Array {
  return concatBytes(bytes.subarray(0, parseCcEventLog(bytes).logBytes), endMarker)
}
