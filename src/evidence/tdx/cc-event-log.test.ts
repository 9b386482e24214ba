import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { recordedFiles } from '../../../test/support/tdx-manifest.ts'
import { haveVectors, vector } from '../../../test/support/vectors.ts'
import { concatBytes, toHex } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import type { LoggedEvent } from '../event-log/event-log.ts'
import { encodeSpecIdHeader } from '../event-log/spec-id.ts'
import { encodeAaelHeader, encodeAaelRecord, isAaelData, parseAaelData } from './aael.ts'
import { type CcEventLog, ccEventLogLimits, composeCcEventLog, parseCcEventLog, sha384Of } from './cc-event-log.ts'

const sha384 = (...parts: readonly Uint8Array[]) =>
  new Uint8Array(
    createHash('sha384')
      .update(concatBytes(...parts))
      .digest(),
  )
const text = (value: string) => new TextEncoder().encode(value)
const u16 = (value: number) => Uint8Array.of(value, value >> 8)
const u32 = (value: number) => Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24)
const filled = (size: number, byte: number) => new Uint8Array(size).fill(byte)

const recorded = [...recordedFiles('eventlogs'), ...recordedFiles('synthetic')].filter(({ expected }) => expected.rtmr)

/** As TDX-233 says, apart from the verifier's own code. */
function replayed({ events }: CcEventLog): string[] {
  const registers = [1, 2, 3, 4].map(() => filled(48, 0))
  for (const event of events) {
    const [old, digest] = [registers[event.pcr - 1], sha384Of(event)]
    if (event.type !== 3 && old && digest) registers[event.pcr - 1] = sha384(old, digest)
  }
  return registers.map(toHex)
}

const isRecord = ({ type, data }: LoggedEvent) => type === 6 && isAaelData(data)

describe.skipIf(!haveVectors)('recorded logs', () => {
  it('are four', () => expect(recorded.length).toBe(4))

  it.each(recorded)('$file says what the manifest says', ({ file, expected }) => {
    const log = parseCcEventLog(vector(`tdx/${file}`))
    expect(log.headerRegister).toBe(expected.headerIndex)
    expect(log.algorithms.map(({ id, size }) => ({ id, size }))).toEqual(expected.algorithms)
    expect([log.events.length, log.end, log.logBytes]).toEqual([expected.events, expected.end, expected.logBytes])
    expect([...new Set(log.events.map(({ pcr }) => pcr))].sort()).toEqual(expected.mrIndexes)
    expect(log.events.filter(({ type }) => type === 3).length).toBe(expected.noActionEvents)
    expect(replayed(log)).toEqual(expected.rtmr)
  })

  it('have their runtime records read', () => {
    const { events } = parseCcEventLog(vector('tdx/eventlogs/alibaba-ccel-aael.bin'))
    const found = events.filter(isRecord).map(({ pcr, data }) => ({ pcr, ...parseAaelData(data) }))
    expect(found).toEqual([
      { pcr: 4, domain: 'coco.com', operation: 'some-operation', content: 'some-content' },
      {
        pcr: 4,
        domain: 'coco.com',
        operation: 'some-operation',
        content: '{"key": "value", "nested-key": {"sub-key": "value"}}',
      },
    ])
  })

  it('are cut, joined with runtime records and closed for evidence (TDX-022)', () => {
    const area = vector('tdx/eventlogs/cos113-ccel.bin')
    const { entry } = encodeAaelRecord(3, { domain: 'a', operation: 'b', content: 'c' })
    const joined = composeCcEventLog(area, entry)
    expect(joined).toEqual(concatBytes(area.subarray(0, 18_101), entry, filled(8, 0xff)))
    expect(composeCcEventLog(area, null)).toEqual(concatBytes(area.subarray(0, 18_101), filled(8, 0xff)))
    expect(composeCcEventLog(area, concatBytes(encodeAaelHeader(), entry, filled(8, 0xff), filled(3, 1)))).toEqual(
      joined,
    )
  })
})

const sha384Only = [{ id: 12, size: 48 }]
const header = (algorithms = sha384Only, register = 1) => encodeSpecIdHeader(register, algorithms)

interface Written {
  readonly register?: number
  readonly type?: number
  readonly digests?: readonly (readonly [id: number, size: number])[]
  readonly count?: number
  readonly data?: Uint8Array
}

function entry({
  register = 1,
  type = 1,
  digests = [[12, 48]],
  count = digests.length,
  data = text('x'),
}: Written = {}) {
  const list = digests.flatMap(([id, size]) => [u16(id), filled(size, 7)])
  return concatBytes(u32(register), u32(type), u32(count), ...list, u32(data.length), data)
}

const parseLog = (...parts: readonly Uint8Array[]) => parseCcEventLog(concatBytes(...parts))

describe('the end of a log (TDX-232)', () => {
  it.each([
    ['ff', filled(8, 0xff)],
    ['zero', filled(8, 0)],
    ['exact', filled(0, 0)],
  ])('%s', (end, marker) => {
    const log = parseLog(header(), entry(), marker)
    expect(log).toMatchObject({ end, logBytes: header().length + entry().length })
    expect(log.events.length).toBe(1)
  })

  it('hides whatever stands behind the marker', () => {
    expect(parseLog(header(), entry(), filled(8, 0xff), entry(), filled(77, 5)).events.length).toBe(1)
    expect(parseLog(header(), filled(8, 0), entry()).events.length).toBe(0)
  })

  it('is no marker of seven bytes', () => {
    expect(() => parseLog(header(), entry(), filled(7, 0xff))).toThrow('eventlog.events.1: register 4294967295')
    expect(() => parseLog(header(), entry(), filled(7, 0))).toThrow('eventlog.events.1: needs 4 bytes, has 3')
  })

  it('is no marker of eight other equal bytes', () => {
    for (const byte of [1, 4, 0x7f, 0xfe]) {
      expect(() => parseLog(header(), filled(8, byte))).toThrow(`eventlog.events.0: register ${byte * 0x01010101}`)
    }
  })

  it('is no marker where one byte differs', () => {
    for (let at = 0; at < 8; at++) {
      const marker = filled(8, 0xff)
      marker[at] = 0xfe
      expect(() => parseLog(header(), marker)).toThrow(MalformedError)
    }
  })
})

describe('a log', () => {
  it('takes digest sizes from its header, for algorithms of any number (TDX-230)', () => {
    const algorithms = [{ id: 0x77, size: 100 }, ...sha384Only, { id: 0x78, size: 1 }]
    const digests = [[0x78, 1] as const, [0x77, 100] as const]
    const { events } = parseLog(header(algorithms), entry({ digests }), entry())
    expect([...(events[0]?.digests ?? [])].map(([id, digest]) => [id, digest.length])).toEqual(digests)
    expect(events.map((event) => sha384Of(event)?.length)).toEqual([undefined, 48])
  })

  it.each([0, 1, 4])('may have its header in register %i', (register) => {
    expect(parseLog(header(sha384Only, register)).headerRegister).toBe(register)
  })

  it.each([
    ['nothing', filled(0, 0), 'eventlog.header.register: needs 4 bytes, has 0'],
    [
      'an entry that is no header',
      concatBytes(u32(1), u32(3), filled(20, 0), u32(16), filled(16, 65)),
      'Spec ID header',
    ],
    ['a header in register 5', header(sha384Only, 5), 'eventlog: register 5 does not exist (at byte 0)'],
    ['a header that says SHA-384 has 32 bytes', header([{ id: 12, size: 32 }]), 'header declares 32 bytes'],
    ['a header with an algorithm twice', header([...sha384Only, ...sha384Only]), 'algorithm 0xc twice'],
    [
      'a header with 17 algorithms',
      header(Array.from({ length: 17 }, (_, id) => ({ id: 256 + id, size: 1 }))),
      'above the limit 16',
    ],
    ['register 5', concatBytes(header(), entry({ register: 5 })), 'eventlog.events.0: register 5 does not exist'],
    [
      'an algorithm that is not declared',
      concatBytes(header(), entry({ digests: [[11, 32]] })),
      '0xb is not in the header',
    ],
    [
      'an algorithm twice in an event',
      concatBytes(
        header(),
        entry({
          digests: [
            [12, 48],
            [12, 48],
          ],
        }),
      ),
      'eventlog.events.0.digests: algorithm 0xc occurs twice',
    ],
    ['a digest count of 17', concatBytes(header(), entry({ count: 17 })), 'eventlog.events.0.digests: has 17 digests'],
    ['a digest count of all ones', concatBytes(header(), entry({ count: 0xffffffff })), 'has 4294967295 digests'],
    [
      'data beyond the end',
      concatBytes(header(), entry().subarray(0, -1)),
      'eventlog.events.0.data: needs 1 bytes, has 0',
    ],
    [
      'data of 4 GiB',
      concatBytes(header(), entry({ data: filled(0, 0) }).subarray(0, -4), u32(0xffffffff)),
      'needs 4294967295 bytes, has 0',
    ],
  ])('is malformed with %s', (_, bytes, says) => {
    expect(() => parseCcEventLog(bytes)).toThrow(says)
    expect(() => parseCcEventLog(bytes)).toThrow(MalformedError)
  })

  it('may have 16 digests in an event, and an event without any', () => {
    const algorithms = Array.from({ length: 16 }, (_, id) => ({ id: 256 + id, size: 2 }))
    const digests = algorithms.map(({ id, size }) => [id, size] as const)
    const { events } = parseLog(header(algorithms), entry({ digests }), entry({ digests: [] }))
    expect(events.map((event) => event.digests.size)).toEqual([16, 0])
  })

  it('has 100 000 events at most, in 4 MiB, and is read at once', () => {
    const small = entry({ digests: [], data: filled(0, 0) })
    const many = new Uint8Array(header().length + 100_001 * small.length)
    many.set(header())
    for (let at = header().length; at < many.length; at += small.length) many.set(small, at)
    expect(parseCcEventLog(many.subarray(0, -small.length)).events.length).toBe(100_000)
    expect(() => parseCcEventLog(many)).toThrow('eventlog.events.100000: more than 100000 events')
    const area = new Uint8Array(ccEventLogLimits.bytes)
    area.set(header())
    expect(parseCcEventLog(area).end).toBe('zero')
    expect(() => parseCcEventLog(new Uint8Array(ccEventLogLimits.bytes + 1))).toThrow('may have 4194304')
  })

  it('gives a value or a MalformedError whatever is changed or cut', () => {
    const whole = concatBytes(header(), entry(), entry({ type: 3 }), entry({ data: filled(60, 0) }), filled(8, 0xff))
    const edits = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 6 })
    fc.assert(
      fc.property(edits, fc.nat(whole.length), (changes, size) => {
        const bytes = Uint8Array.from(whole)
        for (const [at, value] of changes) bytes[at] = value
        try {
          parseCcEventLog(bytes.subarray(0, size))
        } catch (error) {
          if (!(error instanceof MalformedError)) throw error
        }
      }),
      { numRuns: 1000 },
    )
  })
})

describe('composing the log of evidence', () => {
  it('is null where there is no log (TDX-022)', () => expect(composeCcEventLog(null, null)).toBeNull())

  it('takes runtime records alone, which then have a header of their own (TDX-021)', () => {
    const { entry: record } = encodeAaelRecord(3, { domain: 'a', operation: 'b', content: '' })
    const composed = composeCcEventLog(null, concatBytes(encodeAaelHeader(), record))
    expect(composed).toEqual(concatBytes(encodeAaelHeader(), record, filled(8, 0xff)))
    expect(() => composeCcEventLog(null, record)).toThrow(MalformedError)
  })

  it('refuses records of an algorithm that the log does not declare', () => {
    const { entry: record } = encodeAaelRecord(3, { domain: 'a', operation: 'b', content: '' })
    const firmware = concatBytes(header([{ id: 11, size: 32 }]))
    expect(() => composeCcEventLog(firmware, record)).toThrow('algorithm 0xc is not in the header')
  })
})
