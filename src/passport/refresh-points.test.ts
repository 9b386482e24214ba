import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { boundedTimeoutMs, eventJitterMs, refreshDelayMs, startJitterMs, timerSliceMs } from './refresh-points.ts'

const almostOne = 1 - 2 ** -32
const hour = 3_600_000

describe('refresh points (BRK-20 to BRK-25)', () => {
  it.each([
    // life ms, draw, delay ms
    [hour, 0, 0.7 * hour],
    [hour, 0.5, 0.75 * hour],
    [6 * hour, 0, 0.7 * 6 * hour],
    [1_200_000, 0, 840_000],
    [1_199_999, 0, 0.45 * 1_199_999],
    [300_000, 0, 135_000],
    [300_000, 0.5, 157_500],
    [10_000, 0, 4_500],
    [2_000, 0, 1_000],
    [1_000, 0.9, 1_000],
  ])('a token with %i ms left and draw %f is renewed after %f ms (BRK-20, BRK-22)', (life, unit, delay) => {
    expect(refreshDelayMs(life, unit)).toBeCloseTo(delay, 6)
  })

  it('never draws more than its share of the life', () => {
    expect(refreshDelayMs(hour, almostOne)).toBeLessThan(0.8 * hour)
    expect(refreshDelayMs(300_000, almostOne)).toBeLessThan(0.6 * 300_000)
  })

  it.each([
    [1_800_000, 1_200_000],
    [1_799_999, almostOne * 0.1 * 1_799_999 + 0.7 * 1_799_999],
    [hour, almostOne * 0.1 * hour + 0.7 * hour],
    [2_400_000, 1_800_000],
  ])('a file of %i ms is renewed ten minutes before its end at the latest (BRK-21)', (life, delay) => {
    expect(refreshDelayMs(life, almostOne, { forFile: true })).toBeCloseTo(delay, 3)
  })

  it('lies after a tenth of the life and a second, and before the end of all usable lives', () => {
    const life = fc.integer({ min: 2_000, max: 3_456_000_000 })
    const unit = fc.double({ min: 0, max: almostOne, noNaN: true })
    fc.assert(
      fc.property(life, unit, fc.boolean(), (lifeMs, draw, forFile) => {
        const delay = refreshDelayMs(lifeMs, draw, { forFile })
        expect(delay).toBeGreaterThanOrEqual(Math.max(1_000, 0.1 * lifeMs))
        expect(delay).toBeLessThanOrEqual(0.8 * lifeMs)
      }),
    )
  })

  it('keeps timers in slices and under what Node can hold (BRK-23)', () => {
    expect([-1, 0, 29_999, 30_000, 30_001, 2 ** 40].map(timerSliceMs)).toEqual([0, 0, 29_999, 30_000, 30_000, 30_000])
    expect([2 ** 31 - 1, 2 ** 31, -5].map(boundedTimeoutMs)).toEqual([2 ** 31 - 1, 2 ** 31 - 1, 0])
  })

  it('spreads starts over 2 s and events over 5 s (BRK-24)', () => {
    expect([0, 0.5, almostOne].map((unit) => Math.ceil(startJitterMs(unit)))).toEqual([0, 1_000, 2_000])
    expect([0, 0.5, almostOne].map((unit) => Math.ceil(eventJitterMs(unit)))).toEqual([0, 2_500, 5_000])
  })
})
