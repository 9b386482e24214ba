import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { concatBytes } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { parseCcEventLog } from '../tdx/cc-event-log.ts'
import { parseEventLog } from './event-log.ts'
import { encodeSpecIdHeader } from './spec-id.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const mebibyte = 1024 * 1024

/** As many entries as fit into `size` bytes, each like `entry`. */
function repeated(header: Uint8Array, entry: Uint8Array, size: number, most = 100_000): Uint8Array {
  const count = Math.min(most, Math.floor((size - header.length) / entry.length))
  const log = new Uint8Array(header.length + count * entry.length)
  log.set(header)
  for (let at = header.length; at < log.length; at += entry.length) log.set(entry, at)
  return log
}

/** PCR 4, EV_EFI_ACTION; its digests of `fill`, its data one byte. */
function agileEntry(digests: readonly (readonly [id: number, size: number])[]): Uint8Array {
  const head = Uint8Array.of(4, 0, 0, 0, 7, 0, 0, 0x80, digests.length, 0, 0, 0)
  const list = digests.flatMap(([id, size]) => [Uint8Array.of(id, id >> 8), new Uint8Array(size).fill(9)])
  return concatBytes(head, ...list, Uint8Array.of(0, 0, 0, 0))
}

const legacyEntry = concatBytes(Uint8Array.of(4, 0, 0, 0, 7, 0, 0, 0x80), new Uint8Array(20).fill(9), new Uint8Array(4))
const agile = (digests: readonly (readonly [id: number, size: number])[]) =>
  repeated(
    encodeSpecIdHeader(
      0,
      digests.map(([id, size]) => ({ id, size })),
    ),
    agileEntry(digests),
    2 * mebibyte,
  )

/** Bytes of the heap that a parsed log holds, once nothing else does. */
function heldBy(parse: () => unknown): number {
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  const kept = [parse()]
  collectGarbage()
  const held = process.memoryUsage().heapUsed - before
  return kept.length === 1 ? held : Number.NaN
}

/** Least processor time of five runs, in milliseconds: other work on the machine does not count. */
function leastWork(work: () => unknown): number {
  const times = Array.from({ length: 5 }, () => {
    const before = process.cpuUsage()
    work()
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 1000
  })
  return Math.min(...times)
}

describe('a log of as many events as it can hold', () => {
  const header = encodeSpecIdHeader(1, [{ id: 12, size: 48 }])
  it.each<[string, Uint8Array, (bytes: Uint8Array) => { readonly events: readonly unknown[] }]>([
    ['of the TCG 1.2 form', repeated(legacyEntry, legacyEntry, 2 * mebibyte), parseEventLog],
    ['of one unknown algorithm with digests of one byte', agile([[0x99, 1]]), parseEventLog],
    ['of SHA-256', agile([[11, 32]]), parseEventLog],
    [
      'of eight algorithms',
      agile([4, 11, 12, 13, 0x91, 0x92, 0x93, 0x94].map((id, at) => [id, [20, 32, 48, 64][at] ?? 1])),
      parseEventLog,
    ],
    ['of a TD, without digests', repeated(header, agileEntry([]), 4 * mebibyte), parseCcEventLog],
    ['of a TD', repeated(header, agileEntry([[12, 48]]), 4 * mebibyte), parseCcEventLog],
  ])('%s takes less than ten times its bytes', (_what, log, parse) => {
    expect(parse(log).events.length).toBeGreaterThan(8000)
    expect(heldBy(() => parse(log))).toBeLessThan(10 * log.length)
  })

  it.each([
    ['cut in its last event', -1],
    ['cut in its first', 40],
  ])('and that is %s is refused within 50 ms (PERF-T4)', (_what, end) => {
    const log = repeated(legacyEntry, legacyEntry, 2 * mebibyte).subarray(0, end)
    const refuse = () => expect(() => parseEventLog(log)).toThrow(MalformedError)
    expect(leastWork(refuse)).toBeLessThan(50)
  })

  it('takes time that grows with its size alone', () => {
    const [small, large] = [25_000, 99_999].map((most) => {
      const log = repeated(legacyEntry, legacyEntry, 4 * mebibyte, most)
      parseEventLog(log)
      return leastWork(() => parseEventLog(log))
    })
    expect(large).toBeLessThan(16 * (small ?? 0) + 20)
  })
})
