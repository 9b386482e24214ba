import { expect, it } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { ShiftedClock } from './shifted-clock.ts'

const readings = (clock: ShiftedClock) => [clock.now(), clock.monotonic(), clock.boottime()]

it('goes on as the clocks of the machine do, each by its own shifts further', async () => {
  const base = new FakeClock()
  const clock = new ShiftedClock(base)
  const before = readings(clock)
  expect(before).toEqual([base.now(), base.monotonic(), base.boottime()])
  clock.shift({ wallMs: 10, monoMs: 200, bootMs: 3000 })
  clock.shift({ wallMs: -5, monoMs: 0, bootMs: -1000 })
  await base.advance(7)
  expect(readings(clock).map((reading, at) => reading - (before[at] ?? 0))).toEqual([12, 207, 2007])
})

it('wakes sleepers when the monotonic clock is moved past their time, and lets them sleep on when it is moved back', async () => {
  const base = new FakeClock()
  const clock = new ShiftedClock(base)
  let woken = 0
  const asleep = [1_000, 100_000].map((ms) => clock.sleep(ms).then(() => woken++))
  await base.advance(900)
  expect(woken).toBe(0)
  clock.shift({ wallMs: 0, monoMs: -500, bootMs: 0 })
  await base.advance(500)
  expect(woken).toBe(0)
  clock.shift({ wallMs: 0, monoMs: 99_000, bootMs: 0 })
  await base.advance(50)
  expect(woken).toBe(1)
  clock.shift({ wallMs: 0, monoMs: 1_000, bootMs: 0 })
  await base.advance(50)
  expect(woken).toBe(2)
  await Promise.all(asleep)
})

it('hears a signal while it sleeps', async () => {
  const stop = new AbortController()
  const asleep = new ShiftedClock(new FakeClock()).sleep(1e9, stop.signal)
  stop.abort('enough')
  await expect(asleep).rejects.toBe('enough')
  await expect(new ShiftedClock(new FakeClock()).sleep(Number.NaN)).rejects.toThrow(TypeError)
})
