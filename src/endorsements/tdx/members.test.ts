import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseDate } from './members.ts'

describe('dates of signed documents (TDX-179)', () => {
  it.each([
    '2025-06-19T10:16:03Z',
    '1970-01-01T00:00:00Z',
    '2024-02-29T23:59:59Z',
    '2000-02-29T00:00:00Z',
    '9999-12-31T23:59:59Z',
  ])('%s', (text) => {
    expect(parseDate(text)).toBe(Date.parse(text))
  })

  it.each([
    ['nothing', ''],
    ['the word never', 'never'],
    ['a date alone', '2025-06-19'],
    ['no seconds', '2025-06-19T10:16Z'],
    ['a fraction', '2025-06-19T10:16:03.000Z'],
    ['an offset', '2025-06-19T10:16:03+00:00'],
    ['local time', '2025-06-19T10:16:03'],
    ['a small t', '2025-06-19t10:16:03Z'],
    ['a space', '2025-06-19 10:16:03Z'],
    ['white space behind it', '2025-06-19T10:16:03Z\n'],
    ['white space before it', ' 2025-06-19T10:16:03Z'],
    ['30 February', '2025-02-30T00:00:00Z'],
    ['29 February in a year that has none', '2025-02-29T00:00:00Z'],
    ['29 February 1900', '1900-02-29T00:00:00Z'],
    ['31 April', '2025-04-31T00:00:00Z'],
    ['month 13', '2025-13-01T00:00:00Z'],
    ['month 0', '2025-00-01T00:00:00Z'],
    ['day 0', '2025-01-00T00:00:00Z'],
    ['hour 24', '2025-01-01T24:00:00Z'],
    ['minute 60', '2025-01-01T00:60:00Z'],
    ['a leap second', '2016-12-31T23:59:60Z'],
    ['year 0', '0000-01-01T00:00:00Z'],
    ['a year of five digits', '+12025-01-01T00:00:00Z'],
    ['digits of another script', '２025-06-19T10:16:03Z'],
  ])('%s is none', (_what, text) => {
    expect(parseDate(text)).toBeNull()
  })

  it('every second of the calendar comes back', () => {
    const seconds = fc.integer({ min: Date.UTC(1000, 0, 1) / 1000, max: Date.UTC(9999, 11, 31) / 1000 })
    fc.assert(
      fc.property(seconds, (second) => {
        expect(parseDate(new Date(second * 1000).toISOString().replace('.000Z', 'Z'))).toBe(second * 1000)
      }),
    )
  })
})
