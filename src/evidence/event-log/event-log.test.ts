import { describe, expect, it } from 'vitest'
import { encodeEventLog, evEfiAction, evNoAction, type MeasuredEvent } from '../../../test/support/measured-logs.ts'
import { concatBytes } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { digestOf, type HashName } from '../tpm/algorithms.ts'
import { parseEventLog } from './event-log.ts'

const u16 = (value: number) => Uint8Array.of(value, value >> 8)
const u32 = (value: number) => Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24)
const text = new TextEncoder()

const action = (pcr: number, data: Uint8Array = text.encode('boot')): MeasuredEvent => ({
  pcr,
  type: evEfiAction,
  data,
})
const log = (...events: readonly MeasuredEvent[]) => encodeEventLog(events, ['sha1', 'sha256'])
const filling = (size: number, byte: number): Uint8Array => new Uint8Array(size).fill(byte)

interface LegacyEvent {
  readonly pcr?: number
  readonly type?: number
  readonly digest?: Uint8Array
  readonly data?: Uint8Array
}

/** An entry of the TCG 1.2 form; all zeros but for what is given. */
function legacyEvent(event: LegacyEvent = {}): Uint8Array {
  const { pcr = 0, type = 0, digest = filling(20, 0), data = filling(0, 0) } = event
  return concatBytes(u32(pcr), u32(type), digest, u32(data.length), data)
}

interface Header {
  readonly algorithms?: readonly (readonly [id: number, size: number])[]
  readonly vendor?: Uint8Array
  readonly tail?: Uint8Array
}

function header({ algorithms = [[11, 32]], vendor = filling(0, 0), tail = filling(0, 0) }: Header = {}): Uint8Array {
  const list = algorithms.flatMap(([id, size]) => [u16(id), u16(size)])
  const head = concatBytes(text.encode('Spec ID Event03\0'), u32(0), Uint8Array.of(0, 2, 0, 2), u32(algorithms.length))
  const data = concatBytes(head, ...list, Uint8Array.of(vendor.length), vendor, tail)
  return legacyEvent({ type: evNoAction, data })
}

function agileEvent(digests: readonly (readonly [id: number, size: number])[], { count = digests.length } = {}) {
  const list = digests.flatMap(([id, size]) => [u16(id), filling(size, 7)])
  return concatBytes(u32(4), u32(evEfiAction), u32(count), ...list, u32(0))
}

const problemOf = (bytes: Uint8Array, limits = {}): string => {
  try {
    parseEventLog(bytes, limits)
    return 'none'
  } catch (error) {
    if (error instanceof MalformedError) return error.message
    throw error
  }
}

describe('a crypto-agile event log', () => {
  it('gives its events with place, digests by algorithm, and data', () => {
    const bytes = log(action(4), action(23, filling(300, 1)))
    const { format, algorithms, events, trailingBytes } = parseEventLog(bytes)
    expect({ format, trailingBytes }).toEqual({ format: 'crypto-agile', trailingBytes: 0 })
    expect(algorithms).toEqual([
      { id: 4, size: 20, name: 'sha1' },
      { id: 11, size: 32, name: 'sha256' },
    ])
    expect(events.map(({ index, pcr, type }) => [index, pcr, type])).toEqual([
      [0, 4, evEfiAction],
      [1, 23, evEfiAction],
    ])
    expect(events.map(({ data }) => data.length)).toEqual([4, 300])
    const hashes: HashName[] = ['sha1', 'sha256']
    expect([...(events[0]?.digests.values() ?? [])]).toEqual(hashes.map((hash) => digestOf(hash, text.encode('boot'))))
    expect(bytes.subarray(events[1]?.offset, (events[1]?.offset ?? 0) + 4)).toEqual(u32(23))
  })

  it('may end after its header', () => {
    expect(parseEventLog(header()).events).toEqual([])
  })

  it('carries algorithms that are not known here, of any size up to 64', () => {
    const algorithms = [[11, 32] as const, [0x12, 32] as const, [0x99, 64] as const]
    const parsed = parseEventLog(concatBytes(header({ algorithms }), agileEvent(algorithms)))
    expect(parsed.algorithms.map(({ name }) => name)).toEqual(['sha256', undefined, undefined])
    expect(parsed.events[0]?.digests.get(0x99)).toEqual(filling(64, 7))
  })

  it.each<[string, Uint8Array, string]>([
    ['a byte behind the vendor information', header({ tail: Uint8Array.of(0) }), '1 bytes left over'],
    ['no algorithm', header({ algorithms: [] }), 'below the minimum 1'],
    ['nine algorithms', header({ algorithms: Array.from({ length: 9 }, (_, id) => [256 + id, 1]) }), 'above the limit'],
    [
      'an algorithm twice',
      header({
        algorithms: [
          [11, 32],
          [11, 32],
        ],
      }),
      'twice',
    ],
    ['SHA-256 of 20 bytes', header({ algorithms: [[11, 20]] }), '20 bytes for algorithm 0xb'],
    ['digests of no bytes', header({ algorithms: [[0x99, 0]] }), '0 bytes for algorithm'],
    ['digests of 65 bytes', header({ algorithms: [[0x99, 65]] }), '65 bytes for algorithm'],
  ])('with %s in its header is refused (ELOG-02)', (_what, bytes, problem) => {
    expect(problemOf(bytes)).toContain(problem)
  })

  const two = header({
    algorithms: [
      [4, 20],
      [11, 32],
    ],
  })
  it.each<[string, Uint8Array, string]>([
    ['lacks a digest', agileEvent([[4, 20]]), 'has 1 digests, must have 2'],
    [
      'has one digest too many',
      agileEvent([
        [4, 20],
        [11, 32],
        [11, 32],
      ]),
      'has 3 digests, must have 2',
    ],
    [
      'has a digest twice',
      agileEvent([
        [4, 20],
        [4, 20],
      ]),
      'occurs twice',
    ],
    [
      'has a digest that the header does not declare',
      agileEvent([
        [4, 20],
        [12, 48],
      ]),
      '0xc is not in the header',
    ],
    ['claims four thousand million digests', agileEvent([], { count: 0xffffffff }), 'has 4294967295 digests'],
  ])('an event of which %s is refused (ELOG-03)', (_what, event, problem) => {
    expect(problemOf(concatBytes(two, event))).toContain(problem)
  })

  it.each([
    ['is above 23', 24, evEfiAction, 'register 24 of event 0 is above 23'],
    ['is above 23, for EV_NO_ACTION', 24, evNoAction, 'register 24 of event 0 is above 23'],
    ['is none, for an event that extends', 0xffffffff, evEfiAction, 'register 4294967295'],
    ['is none, for EV_NO_ACTION', 0xffffffff, evNoAction, 'none'],
  ])('whose register %s (ELOG-04)', (_what, pcr, type, problem) => {
    expect(problemOf(log({ pcr, type, data: filling(1, 1) }))).toContain(problem)
  })

  it('names field and offset of a length that is longer than the rest', () => {
    const bytes = log(action(4))
    bytes[bytes.length - 8] = 0xff
    expect(problemOf(bytes)).toMatch(/^eventlog\.events\.0\.data: needs 255 bytes, has 4 \(at byte \d+\)$/)
    expect(problemOf(bytes.slice(0, -1))).toContain('eventlog.events.0.data')
    expect(problemOf(log(action(4)).slice(0, 80))).toContain('eventlog.events.0')
  })

  it('has at most as many events as the limit says', () => {
    const bytes = log(action(1), action(2), action(3))
    expect(problemOf(bytes, { maxEvents: 3 })).toBe('none')
    expect(problemOf(bytes, { maxEvents: 2 })).toContain('more than 2 events')
  })

  it('has at most 100 000 events', () => {
    const algorithms = [[0x99, 1]] as const
    const event = agileEvent(algorithms)
    const of = (count: number) => concatBytes(header({ algorithms }), ...Array.from({ length: count }, () => event))
    expect(problemOf(of(100_000))).toBe('none')
    expect(problemOf(of(100_001))).toContain('more than 100000 events')
  })
})

describe('bytes behind the last event (ELOG-02)', () => {
  it.each([
    [1, 0],
    [11, 0],
    [4096, 0],
    [1, 0xff],
    [4096, 0xff],
  ])('are padding if all %i are %i', (size, byte) => {
    const parsed = parseEventLog(concatBytes(log(action(4)), filling(size, byte)))
    expect([parsed.events.length, parsed.trailingBytes]).toEqual([1, size])
  })

  it('may have the value of the last bytes of the event', () => {
    const parsed = parseEventLog(concatBytes(log(action(4, filling(9, 0xff))), filling(5, 0xff)))
    expect([parsed.events[0]?.data.length, parsed.trailingBytes]).toEqual([9, 5])
  })

  it.each<[string, Uint8Array]>([
    ['another byte at the end', concatBytes(filling(64, 0), Uint8Array.of(1))],
    ['another byte at the start', concatBytes(Uint8Array.of(1), filling(64, 0))],
    ['both kinds of filling', concatBytes(filling(64, 0), filling(64, 0xff))],
  ])('are an error with %s', (_what, rest) => {
    expect(() => parseEventLog(concatBytes(log(action(4)), rest))).toThrow(MalformedError)
  })
})

describe('a legacy event log (ELOG-01)', () => {
  it('speaks for SHA-1 alone, and its first event counts', () => {
    const parsed = parseEventLog(legacyEvent({ pcr: 5, type: evNoAction, digest: filling(20, 3) }))
    expect(parsed.format).toBe('legacy')
    expect(parsed.algorithms.map(({ name }) => name)).toEqual(['sha1'])
    expect(parsed.events).toMatchObject([{ pcr: 5, type: evNoAction, digests: new Map([[4, filling(20, 3)]]) }])
  })

  it('is what stands under another signature than that of the agile form', () => {
    const bytes = header()
    bytes[32] = 0x73
    expect(parseEventLog(bytes).format).toBe('legacy')
  })

  it('is what begins with an entry of another type, whatever its data: that one is extended', () => {
    const bytes = header()
    bytes[4] = 0x05
    expect(parseEventLog(bytes)).toMatchObject({ format: 'legacy', events: [{ type: 5 }] })
  })

  it('of 2 MiB of events that begin with zeros, and one that does not end so, is read in one pass', () => {
    const events = Array.from({ length: 65_000 }, () => legacyEvent())
    const bytes = concatBytes(...events, legacyEvent({ data: Uint8Array.of(7) }))
    const begun = process.cpuUsage()
    expect(parseEventLog(bytes).events.length).toBe(65_001)
    expect(process.cpuUsage(begun).user).toBeLessThan(5_000_000)
  })

  it.each([[new Uint8Array()], [filling(31, 0)]])('that is cut in its first event is refused', (bytes) => {
    expect(() => parseEventLog(bytes)).toThrow(MalformedError)
  })
})
