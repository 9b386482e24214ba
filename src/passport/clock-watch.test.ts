import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { type ClockEvent, ClockWatch, compareInstants } from './clock-watch.ts'

const at = (wall: number, monotonic: number, boot: number) => ({ wall, monotonic, boot })
const zero = at(0, 0, 0)

describe('what happened between two readings (BRK-61)', () => {
  it.each<[string, ReturnType<typeof at>, readonly ClockEvent[]]>([
    ['nothing', at(5_000, 5_000, 5_000), []],
    ['2 s of sleep are noise', at(7_000, 5_000, 7_000), []],
    ['more is a suspend', at(7_001, 5_000, 7_001), [{ kind: 'suspend', ms: 2_001 }]],
    ['2 s of wall are noise', at(7_000, 5_000, 5_000), []],
    ['more is a step', at(7_001, 5_000, 5_000), [{ kind: 'wall-step', ms: 2_001 }]],
    ['also backwards', at(2_999, 5_000, 5_000), [{ kind: 'wall-step', ms: -2_001 }]],
    ['2 s backwards are noise', at(3_000, 5_000, 5_000), []],
    [
      'both',
      at(0, 0, 10_000),
      [
        { kind: 'suspend', ms: 10_000 },
        { kind: 'wall-step', ms: -10_000 },
      ],
    ],
    ['monotonic back', at(0, -1, 0), [{ kind: 'snapshot' }]],
    ['boot time back', at(0, 0, -1), [{ kind: 'snapshot' }]],
    ['boot time 2 s behind is noise', at(5_000, 7_000, 5_000), []],
    ['further behind was set back', at(5_000, 7_001, 5_000), [{ kind: 'snapshot' }]],
  ])('%s', (_, after, events) => {
    expect(compareInstants(zero, after)).toEqual(events)
  })

  it('compares differences only: any offset between the clocks is fine (BRK-60)', () => {
    expect(compareInstants(at(1e12, 900_000, 5), at(1e12 + 10, 900_010, 15))).toEqual([])
  })
})

describe('the watch', () => {
  function watching(builtAtS = 0) {
    const clock = new FakeClock()
    const seen: ClockEvent[][] = []
    const watch = new ClockWatch(clock, builtAtS, (events) => seen.push([...events]))
    return { clock, watch, seen }
  }

  it('tells of an event once, at the next reading', async () => {
    const { clock, watch, seen } = watching()
    clock.suspend(10_000)
    watch.read()
    watch.read()
    expect(seen).toEqual([[{ kind: 'suspend', ms: 10_000 }]])
    clock.jump(-400_000)
    watch.read()
    expect(seen).toHaveLength(2)
    clock.restore(1)
    watch.read()
    expect(seen[2]).toEqual([{ kind: 'snapshot' }])
  })

  it('compares with a sample at most 5 s old, so that a slow slew is no step (BRK-60)', async () => {
    const { clock, watch, seen } = watching()
    for (let turn = 0; turn < 10; turn++) {
      await clock.advance(5_000)
      clock.jump(1_500)
      watch.read()
    }
    expect(seen).toEqual([])
  })

  it('but two small steps within one sample are one', () => {
    const { clock, watch, seen } = watching()
    clock.jump(1_500)
    watch.read()
    clock.jump(1_500)
    watch.read()
    expect(seen).toEqual([[{ kind: 'wall-step', ms: 3_000 }]])
  })

  it('tells of clocks that go back by less than the age of the sample', async () => {
    const { clock, watch, seen } = watching()
    await clock.advance(4_000)
    watch.read()
    clock.restore(1)
    watch.read()
    watch.read()
    expect(seen).toEqual([[{ kind: 'snapshot' }]])
  })

  it('is unsafe before the build date and 300 s before the newest `iat` (BRK-64)', () => {
    const built = Date.UTC(2026, 0, 1) / 1000
    const { clock, watch } = watching(built)
    expect(watch.isUnsafe(watch.read())).toBe(false)
    clock.jump(-1)
    expect(watch.isUnsafe(watch.read())).toBe(true)
    clock.jump(1_000_001)
    watch.noteIssuedAt(built + 1_300)
    watch.noteIssuedAt(built + 5)
    expect(watch.isUnsafe(watch.read())).toBe(false)
    clock.jump(-1)
    expect(watch.isUnsafe(watch.read())).toBe(true)
  })
})
