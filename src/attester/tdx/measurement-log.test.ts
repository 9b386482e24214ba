import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareLog, tdxGuestRig } from '../../../test/support/tdx-guest-rig.ts'
import { concatBytes, toHex } from '../../base/bytes.ts'
import { encodeAaelHeader } from '../../evidence/tdx/aael.ts'
import { composeCcEventLog, parseCcEventLog } from '../../evidence/tdx/cc-event-log.ts'
import { encodePendingRecord, parsePendingRecord } from '../pending-record.ts'
import type { RuntimeLogFiles } from './event-log-sources.ts'
import { MeasurementLog } from './measurement-log.ts'
import type { ExtendableRtmr, MeasurementRegisters } from './measurement-registers.ts'

const event = { domain: 'example.org', operation: 'load', content: 'image sha256:0123' }
type Rig = ReturnType<typeof tdxGuestRig>

const logOf = ({ kernel: { registers, runtimeLog, bootLog } }: Rig, more: object = {}) =>
  new MeasurementLog({ registers, runtimeLog, bootLog, ...more })

/** RTMRs that the logs do not lead to. */
async function differing(rig: Rig): Promise<readonly number[]> {
  const { bootLog, runtimeLog, rtmrs } = rig.kernel
  const log = composeCcEventLog(await bootLog.readLog(1 << 22), await runtimeLog.read(1 << 22))
  return log === null ? [] : compareLog(log, rtmrs.values).differing
}

const entriesOf = async (rig: Rig) => ((await rig.kernel.runtimeLog.read(1 << 22)) ?? new Uint8Array()).length

describe('an extension', () => {
  it.each([2, 3] as const)(
    'reaches RTMR %i and the log, under the number of that register (TDX-032)',
    async (register) => {
      const rig = tdxGuestRig()
      const before = rig.kernel.rtmrs.read(register)
      const { digest, value } = await logOf(rig).extend(register, event)
      expect(value).toEqual(rig.kernel.rtmrs.read(register))
      expect(toHex(value)).toBe(createHash('sha384').update(before).update(digest).digest('hex'))
      expect(await differing(rig)).toEqual([])
      const log = composeCcEventLog(
        await rig.kernel.bootLog.readLog(1 << 22),
        await rig.kernel.runtimeLog.read(1 << 22),
      )
      const last = parseCcEventLog(log ?? new Uint8Array()).events.at(-1)
      expect(last?.pcr).toBe(register + 1)
      expect(last?.digests.get(0x0c)).toEqual(digest)
      expect(await rig.kernel.runtimeLog.readRecord()).toBeNull()
    },
  )

  it('begins a log of its own where the firmware left none (TDX-021)', async () => {
    const rig = tdxGuestRig({ boot: null, runtime: [] })
    const log = logOf(rig)
    await log.extend(3, event)
    await log.extend(3, event)
    const bytes = (await rig.kernel.runtimeLog.read(1 << 22)) ?? new Uint8Array()
    const header = encodeAaelHeader()
    expect(bytes.subarray(0, header.length)).toEqual(header)
    expect(parseCcEventLog(bytes).events).toHaveLength(2)
    expect(await differing(rig)).toEqual([])
  })

  it.each([
    { ...event, domain: 'a domain' },
    { ...event, operation: '' },
    { ...event, content: 'two\nlines' },
    { ...event, content: 'x'.repeat(8193) },
  ])('with %j is refused before anything happens (TDX-035)', async (bad) => {
    const rig = tdxGuestRig()
    const before = toHex(rig.kernel.rtmrs.read(3))
    await expect(logOf(rig).extend(3, bad)).rejects.toMatchObject({ code: 'MALFORMED' })
    expect(toHex(rig.kernel.rtmrs.read(3))).toBe(before)
    expect(await rig.kernel.runtimeLog.readRecord()).toBeNull()
  })

  it.each([
    ['ENOENT', 'rtmr_unsupported'],
    ['ENOTTY', 'rtmr_unsupported'],
    ['EOPNOTSUPP', 'rtmr_unsupported'],
    ['EACCES', 'rtmr_permission'],
    ['EPERM', 'rtmr_permission'],
    ['EBUSY', 'rtmr_not_extended'],
    ['EINVAL', 'rtmr_not_extended'],
  ])('that the kernel refuses with %s is %s, and leaves nothing behind (TDX-031)', async (errno, code) => {
    for (const place of ['readRegister', 'extendRegister'] as const) {
      const rig = tdxGuestRig()
      const size = await entriesOf(rig)
      rig.kernel.faults.inject(place, errno)
      await expect(logOf(rig).extend(3, event)).rejects.toMatchObject({ code, facts: { errno } })
      expect(await rig.kernel.runtimeLog.readRecord()).toBeNull()
      expect(await entriesOf(rig)).toBe(size)
      expect(await differing(rig)).toEqual([])
    }
  })

  it('without any registers is unsupported', async () => {
    const rig = tdxGuestRig()
    await expect(logOf(rig, { registers: null }).extend(3, event)).rejects.toMatchObject({ code: 'rtmr_unsupported' })
  })

  it('that the kernel only says it did is no success (TDX-031)', async () => {
    const rig = tdxGuestRig()
    const lying: MeasurementRegisters = { read: rig.kernel.registers.read, extend: async () => undefined }
    const size = await entriesOf(rig)
    await expect(logOf(rig, { registers: lying }).extend(3, event)).rejects.toMatchObject({ code: 'rtmr_not_extended' })
    expect(await entriesOf(rig)).toBe(size)
  })

  it('that the kernel did although it reported an error is logged all the same', async () => {
    const rig = tdxGuestRig()
    const { registers } = rig.kernel
    const odd: MeasurementRegisters = {
      read: registers.read,
      extend: async (index, digest) => {
        await registers.extend(index, digest)
        throw Object.assign(new Error('late'), { code: 'EIO', syscall: 'write' })
      },
    }
    await logOf(rig, { registers: odd }).extend(3, event)
    expect(await differing(rig)).toEqual([])
  })

  it.each([0, 47, 49])('is not tried on a register that reads as %i bytes', async (size) => {
    const rig = tdxGuestRig()
    const registers = { ...rig.kernel.registers, read: async () => new Uint8Array(size) }
    await expect(logOf(rig, { registers }).extend(3, event)).rejects.toMatchObject({ code: 'rtmr_not_extended' })
    expect(await differing(rig)).toEqual([])
  })

  it('beside one by somebody else parts register and log, and is the last', async () => {
    const rig = tdxGuestRig()
    const { registers } = rig.kernel
    const raced: MeasurementRegisters = {
      read: registers.read,
      extend: async (index, digest) => {
        await registers.extend(index, new Uint8Array(48).fill(1))
        await registers.extend(index, digest)
      },
    }
    const size = await entriesOf(rig)
    await expect(logOf(rig, { registers: raced }).extend(3, event)).rejects.toMatchObject({ code: 'rtmr_log_diverged' })
    await expect(logOf(rig).extend(3, event)).rejects.toMatchObject({ code: 'rtmr_log_diverged' })
    expect(await logOf(rig).recover()).toBe(false)
    expect(await entriesOf(rig)).toBe(size)
  })

  it('has no room in a log of 2 MiB', async () => {
    const rig = tdxGuestRig()
    const runtimeLog: RuntimeLogFiles = { ...rig.kernel.runtimeLog, read: async () => new Uint8Array(2 << 20) }
    const before = toHex(rig.kernel.rtmrs.read(3))
    await expect(logOf(rig, { runtimeLog }).extend(3, event)).rejects.toMatchObject({ code: 'rtmr_log_full' })
    expect(toHex(rig.kernel.rtmrs.read(3))).toBe(before)
  })

  it('has no room beyond the share of its domains, which is counted from the log itself', async () => {
    const rig = tdxGuestRig({ boot: null, runtime: [] })
    const covers = (domain: string) => domain.startsWith('app/')
    const extend = (domain: string, bytes: number, content = 'x'.repeat(100)) =>
      logOf(rig).extend(3, { domain, operation: 'load', content }, { bytes, covers })
    await extend('app/a', 1024)
    const size = (await entriesOf(rig)) - encodeAaelHeader().length
    // Other domains do not count.
    await logOf(rig).extend(3, event)
    const before = toHex(rig.kernel.rtmrs.read(3))
    await expect(extend('app/b', 2 * size - 1)).rejects.toMatchObject({ code: 'rtmr_log_share', retryable: false })
    expect([toHex(rig.kernel.rtmrs.read(3)), await rig.kernel.runtimeLog.readRecord()]).toEqual([before, null])
    expect((await extend('app/b', 2 * size)).logIndex).toBe(2)
    await expect(extend('app/a', 2 * size, '')).rejects.toMatchObject({ code: 'rtmr_log_share' })
    await expect(logOf(rig).extend(3, event)).resolves.toMatchObject({ logIndex: 3 })
  })

  it('whose record cannot be written ahead does not happen', async () => {
    const rig = tdxGuestRig()
    const before = toHex(rig.kernel.rtmrs.read(3))
    rig.kernel.faults.inject('writeRecord', 'ENOSPC')
    await expect(logOf(rig).extend(3, event)).rejects.toMatchObject({
      code: 'rtmr_not_extended',
      facts: { errno: 'ENOSPC' },
    })
    expect(toHex(rig.kernel.rtmrs.read(3))).toBe(before)
  })

  it('whose log cannot be written is pending, told so, and logged as soon as it can be', async () => {
    const rig = tdxGuestRig()
    const log = logOf(rig)
    rig.kernel.faults.inject('writeRuntimeLog', 'ENOSPC', 'ENOSPC')
    await expect(log.extend(3, event)).rejects.toMatchObject({ code: 'rtmr_log_pending', retryable: false })
    expect(await differing(rig)).toEqual([3])
    await expect(log.extend(3, event)).rejects.toMatchObject({ code: 'rtmr_log_pending' })
    await log.extend(3, { ...event, content: 'the next one' })
    expect(await differing(rig)).toEqual([])
  })
})

describe('evidence after an interruption', () => {
  it('has the log mended first', async () => {
    const rig = tdxGuestRig()
    rig.kernel.faults.inject('writeRuntimeLog', 'ENOSPC')
    await expect(rig.attester.extend(event)).rejects.toMatchObject({ code: 'rtmr_log_pending' })
    expect((await rig.attester.collect(new Uint8Array(64))).logMatches).toBe(true)
  })

  it('is given, with the difference, where it cannot be mended', async () => {
    const rig = tdxGuestRig()
    rig.kernel.faults.inject('writeRuntimeLog', 'ENOSPC', 'ENOSPC')
    await expect(rig.attester.extend(event)).rejects.toMatchObject({ code: 'rtmr_log_pending' })
    expect(await rig.attester.collect(new Uint8Array(64))).toMatchObject({ logMatches: false, rtmr3Unaccounted: true })
    expect(rig.warnings).toEqual([expect.stringContaining('rtmr_log_pending')])
  })
})

describe('the record of an extension that is under way', () => {
  const extension = {
    register: 3 as const,
    before: new Uint8Array(48),
    after: new Uint8Array(48).fill(1),
    offset: 17,
    entry: Uint8Array.of(1, 2, 3),
  }

  it('reads back as it was written', () => {
    const record = { kind: 'extending', extension } as const
    expect(parsePendingRecord(encodePendingRecord(record))).toEqual(record)
    expect(parsePendingRecord(encodePendingRecord({ kind: 'diverged' }))).toEqual({ kind: 'diverged' })
  })

  it.each(['', '{', '[]', '{}', '{"diverged":false}', '{"register":1}'])(
    '%j is none, and parts register and log',
    async (text) => {
      const rig = tdxGuestRig()
      await rig.kernel.runtimeLog.writeRecord(Buffer.from(text))
      expect(await logOf(rig).recover()).toBe(false)
    },
  )

  it.each([
    ['register', 24],
    ['register', -1],
    ['register', '3'],
    ['before', '00'],
    ['after', 'zz'],
    ['offset', -1],
    ['offset', 1.5],
    ['entry', 7],
    ['entry', 'AQ='],
  ])('with %s %j is none', (member, value) => {
    const object = JSON.parse(Buffer.from(encodePendingRecord({ kind: 'extending', extension })).toString())
    expect(() => parsePendingRecord(Buffer.from(JSON.stringify({ ...object, [member]: value })))).toThrow()
  })

  it.each([
    ['is shorter than the record says', (log: Uint8Array) => log.subarray(0, -1)],
    ['goes on with the bytes of somebody else', (log: Uint8Array) => concatBytes(log, Uint8Array.of(9, 9))],
  ])('is of no use where the log %s', async (_what, change) => {
    const rig = tdxGuestRig()
    rig.kernel.faults.inject('writeRuntimeLog', 'ENOSPC')
    await expect(logOf(rig).extend(3, event)).rejects.toMatchObject({ code: 'rtmr_log_pending' })
    const log = (await rig.kernel.runtimeLog.read(1 << 22)) ?? new Uint8Array()
    await rig.kernel.runtimeLog.writeAt(0, change(log))
    expect(await logOf(rig).recover()).toBe(false)
  })
})

/** The machine loses its process at one step: before the step, after it, or in the middle of a write. */
class Killed extends Error {}

interface Kill {
  /** Operation, counted from 0, at which it happens. */
  readonly at: number
  readonly when: 'before' | 'after' | 'torn'
}

function killable(rig: Rig, kill: Kill) {
  let step = 0
  let dead = false
  const guard = async <T>(run: () => Promise<T>, torn: () => Promise<unknown> = run): Promise<T> => {
    if (dead) throw new Killed()
    dead = step++ === kill.at
    if (dead && kill.when === 'before') throw new Killed()
    if (dead && kill.when === 'torn') {
      await torn()
      throw new Killed()
    }
    const value = await run()
    if (dead) throw new Killed()
    return value
  }
  const { registers, runtimeLog, bootLog } = rig.kernel
  return {
    steps: () => step,
    registers: {
      read: (index: number) => guard(() => registers.read(index)),
      extend: (index: number, digest: Uint8Array) => guard(() => registers.extend(index, digest)),
    },
    bootLog,
    runtimeLog: {
      read: (limit: number) => guard(() => runtimeLog.read(limit)),
      readRecord: () => guard(() => runtimeLog.readRecord()),
      writeRecord: (record: Uint8Array) => guard(() => runtimeLog.writeRecord(record)),
      removeRecord: () => guard(() => runtimeLog.removeRecord()),
      writeAt: (offset: number, bytes: Uint8Array) =>
        guard(
          () => runtimeLog.writeAt(offset, bytes),
          () => runtimeLog.writeAt(offset, bytes.subarray(0, bytes.length >> 1)),
        ),
    },
  }
}

describe('a process that is killed (TDX-036)', () => {
  const kills = fc.record({
    at: fc.nat({ max: 12 }),
    when: fc.constantFrom<Kill['when']>('before', 'after', 'torn'),
  })
  const work = fc.record({
    boot: fc.boolean(),
    registers: fc.array(fc.constantFrom<ExtendableRtmr>(2, 3), { minLength: 1, maxLength: 3 }),
    kills: fc.array(kills, { minLength: 1, maxLength: 4 }),
  })

  it('at any step, again and again also while it recovers, never parts register and log', async () => {
    let killed = 0
    await fc.assert(
      fc.asyncProperty(work, async ({ boot, registers, kills: planned }) => {
        const rig = boot ? tdxGuestRig() : tdxGuestRig({ boot: null, runtime: [] })
        for (const [at, kill] of planned.entries()) {
          const life = killable(rig, kill)
          const log = new MeasurementLog(life)
          try {
            expect(await log.recover()).toBe(true)
            const register = registers[at % registers.length] ?? 3
            await log.extend(register, { ...event, content: `life ${at}` })
          } catch (error) {
            if (!(error instanceof Killed)) throw error
            killed++
          }
        }
        expect(await logOf(rig).recover()).toBe(true)
        expect(await differing(rig)).toEqual([])
        expect(await rig.kernel.runtimeLog.readRecord()).toBeNull()
        await logOf(rig).extend(3, event)
        expect(await differing(rig)).toEqual([])
      }),
      { numRuns: 150 },
    )
    expect(killed).toBeGreaterThan(150)
  })

  it.each(['before', 'after', 'torn'] as const)(
    '%s each single step: the event is logged exactly if it was measured',
    async (when) => {
      const steps = killable(tdxGuestRig(), { at: -1, when })
      await new MeasurementLog(steps).extend(3, event)
      expect(steps.steps()).toBeGreaterThanOrEqual(8)
      for (let at = 0; at < steps.steps(); at++) {
        const rig = tdxGuestRig()
        const before = toHex(rig.kernel.rtmrs.read(3))
        const size = await entriesOf(rig)
        await expect(new MeasurementLog(killable(rig, { at, when })).extend(3, event)).rejects.toBeInstanceOf(Killed)
        const measured = toHex(rig.kernel.rtmrs.read(3)) !== before
        expect(await logOf(rig).recover()).toBe(true)
        expect((await entriesOf(rig)) > size).toBe(measured)
        expect(await differing(rig)).toEqual([])
      }
    },
  )
})
