import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../test/support/seeded-random.ts'
import { drawUnit } from '../base/random.ts'
import { pauseAfterVerdict, pauseAsAsked, pauseWithoutToken, pauseWithToken } from './backoff.ts'

const almostOne = 1 - 2 ** -32

describe('pauses with a valid token (BRK-40)', () => {
  it.each([
    // left ms, draw, pause ms
    [3_600_000, 0, 30_000],
    [480_000, 0, 30_000],
    [479_992, 0, 29_999.5],
    [160_000, 0, 10_000],
    [16_000, 0, 1_000],
    [10_000, 0, 1_000],
    [1_500, almostOne, 1_500],
    [1, 0, 1],
    [0, 0.5, 0],
    [-5, 0.5, 0],
  ])('%i ms left, draw %f: %f ms', (left, unit, pause) => {
    expect(pauseWithToken(left, unit)).toBeCloseTo(pause, 3)
  })

  it('is never above a minute', () => {
    expect(pauseWithToken(86_400_000, almostOne)).toBeLessThanOrEqual(60_000)
  })

  /** Attempts that fail at once, from `leftMs` to the end, as the rule says them to be simulated. */
  function attempts(leftMs: number, seed: number): number {
    const random = seededRandom(seed)
    let left = leftMs
    let count = 0
    while (left > 0) {
      count++
      left -= pauseWithToken(left, drawUnit(random))
    }
    return count
  }

  const average = (leftMs: number) => {
    const runs = Array.from({ length: 200 }, (_, seed) => attempts(leftMs, seed))
    return runs.reduce((sum, count) => sum + count, 0) / runs.length
  }

  it('gives about 55 attempts in 900 s and 34 in 150 s', () => {
    expect(average(900_000)).toBeGreaterThan(52)
    expect(average(900_000)).toBeLessThan(58)
    expect(average(150_000)).toBeGreaterThan(31)
    expect(average(150_000)).toBeLessThan(37)
  })
})

describe('pauses without a valid token (BRK-41)', () => {
  it('doubles from 1 s to 30 s and stays there', () => {
    const pauses = [1, 2, 3, 4, 5, 6, 7, 50, 5_000].map((failures) => pauseWithoutToken(failures, almostOne))
    expect(pauses.map((pause) => Math.round(pause / 1_000))).toEqual([1, 2, 4, 8, 16, 30, 30, 30, 30])
    expect(pauseWithoutToken(1, 0)).toBe(500)
    expect(pauseWithoutToken(60, 0)).toBe(15_000)
  })
})

describe('pauses that the issuer asks for (BRK-43)', () => {
  const asked = (retryAfterMs: number, leftMs: number | null, lifeMs = 3_600_000) =>
    pauseAsAsked({ retryAfterMs, leftMs, lifeMs })

  it.each([
    ['honoured', 30_000, null, 30_000],
    ['up to 120 s', 120_000, null, 120_000],
    ['and no more', 120_001, null, 120_000],
    ['an hour is no more', 3_600_000, null, 120_000],
    ['zero is zero', 0, null, 0],
    ['inside of the life left', 30_000, 30_001, 30_000],
    ['past the end: one attempt before, 5 % of the life early', 120_000, 1_000_000_000, 120_000],
    ['past the end, but less than 30 s away', 30_000, 30_000, 30_000],
  ])('%s', (_, retryAfterMs, leftMs, pause) => {
    expect(asked(retryAfterMs, leftMs)).toBe(pause)
  })

  it('makes one attempt before the end where 30 s have passed by then', () => {
    expect(asked(120_000, 110_000, 600_000)).toBe(110_000 - 30_000)
    expect(asked(120_000, 60_000, 600_000)).toBe(30_000)
    expect(asked(120_000, 59_999, 600_000)).toBe(120_000)
    expect(asked(100_000, 90_000, 100_000)).toBe(80_000)
  })
})

it('probes after a verdict every 240 to 360 s (BRK-47)', () => {
  expect([0, 0.5, almostOne].map((unit) => Math.round(pauseAfterVerdict(unit)))).toEqual([240_000, 300_000, 360_000])
})
