import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CivilTime, timeOfCalendar } from './calendar.ts'

const usual: CivilTime = { year: 2024, month: 2, day: 29, hour: 23, minute: 59, second: 59 }

describe('a time of the calendar', () => {
  it('is that of any second since the year 100', () => {
    const seconds = fc.integer({ min: -59_011_459_200 + 1, max: 253_402_300_799 })
    fc.assert(
      fc.property(seconds, (second) => {
        const date = new Date(second * 1000)
        const civil = {
          year: date.getUTCFullYear(),
          month: date.getUTCMonth() + 1,
          day: date.getUTCDate(),
          hour: date.getUTCHours(),
          minute: date.getUTCMinutes(),
          second: date.getUTCSeconds(),
        }
        expect(timeOfCalendar(civil)).toBe(second * 1000)
      }),
    )
  })

  it.each<[string, Partial<CivilTime>]>([
    ['29 February of a common year', { year: 2023 }],
    ['29 February of 2100', { year: 2100 }],
    ['day 0', { day: 0 }],
    ['31 April', { month: 4, day: 31 }],
    ['32 January', { month: 1, day: 32 }],
    ['month 0', { month: 0, day: 1 }],
    ['month 13', { month: 13, day: 1 }],
    ['hour 24', { hour: 24 }],
    ['hour -1', { hour: -1 }],
    ['minute 60', { minute: 60 }],
    ['a leap second', { second: 60 }],
    ['year 99', { year: 99, day: 1 }],
    ['year 10000', { year: 10_000 }],
    ['no number', { day: Number.NaN }],
  ])('does not exist: %s', (_what, change) => {
    expect(timeOfCalendar(usual)).toBe(Date.UTC(2024, 1, 29, 23, 59, 59))
    expect(timeOfCalendar({ ...usual, ...change })).toBeNull()
  })
})
