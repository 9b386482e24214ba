import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { loadLibc } from '../../native/libc.ts'
import { SystemClock } from './system-clock.ts'

const libc = loadLibc()

describe('readings', () => {
  it('of the boot clock agree between the C library and /proc/uptime to its resolution', () => {
    const [native, fallback] = [new SystemClock(libc), new SystemClock(null)]
    const before = native.boottime()
    const read = fallback.boottime()
    expect(read).toBeGreaterThanOrEqual(before - 10.1)
    expect(read).toBeLessThanOrEqual(native.boottime() + 0.1)
    expect(Math.abs(read / 1000 - Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]))).toBeLessThan(1)
  })

  it('of the monotonic clock are finer than a millisecond and do not go back', () => {
    const clock = new SystemClock(libc)
    const readings = Array.from({ length: 1000 }, () => clock.monotonic())
    expect(readings.every((reading, at) => at === 0 || reading >= (readings[at - 1] ?? 0))).toBe(true)
    expect((readings.at(-1) ?? 0) - (readings[0] ?? 0)).toBeLessThan(1000)
    expect(readings.some((reading) => !Number.isInteger(reading))).toBe(true)
  })

  it('of the wall clock are milliseconds since 1970', () => {
    expect(Math.abs(new SystemClock(null).now() - Date.now())).toBeLessThan(1000)
  })
})

describe('sleep', () => {
  afterEach(() => vi.useRealTimers())

  const useTimers = () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'hrtime', 'Date'] })
    return { clock: new SystemClock(null), slices: vi.spyOn(globalThis, 'setTimeout') }
  }

  it('goes in slices of at most 30 s, so that a delay no timer can hold does not end at once (BRK-23)', async () => {
    const { clock, slices } = useTimers()
    let woken = false
    const sleeping = clock.sleep(2 ** 31 + 1000).then(() => {
      woken = true
    })
    await vi.advanceTimersByTimeAsync(100_000)
    expect(woken).toBe(false)
    expect(slices.mock.calls.map(([, ms]) => ms)).toEqual([30_000, 30_000, 30_000, 30_000])
    await vi.advanceTimersByTimeAsync(2 ** 31 + 1000 - 100_000)
    expect(woken).toBe(true)
    await sleeping
  })

  it('rejects with the reason of its signal, at once and in the middle, and leaves no timer', async () => {
    const { clock } = useTimers()
    const reason = new Error('stop')
    await expect(clock.sleep(1000, AbortSignal.abort(reason))).rejects.toBe(reason)
    const controller = new AbortController()
    const sleeping = clock.sleep(90_000, controller.signal)
    const refused = expect(sleeping).rejects.toBe(reason)
    await vi.advanceTimersByTimeAsync(45_000)
    controller.abort(reason)
    await refused
    expect(vi.getTimerCount()).toBe(0)
  })

  it('takes 0 and negative delays as no delay, and refuses NaN', async () => {
    const clock = new SystemClock(null)
    await clock.sleep(0)
    await clock.sleep(-5)
    await expect(clock.sleep(Number.NaN)).rejects.toThrow(TypeError)
  })
})
