/** A date and time of day of the Gregorian calendar, UTC. Months count from 1. */
export interface CivilTime {
  readonly year: number
  readonly month: number
  readonly day: number
  readonly hour: number
  readonly minute: number
  readonly second: number
}

const daysOfMonths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

function daysIn(year: number, month: number): number {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  return month === 2 && isLeap ? 29 : (daysOfMonths[month - 1] ?? 0)
}

/**
 * Milliseconds since the epoch, or null where no such date or time exists: `Date.UTC` takes 30 February for a day in
 * March. Years below 100, which it takes for those of the twentieth century, and leap seconds do not exist here.
 */
export function timeOfCalendar({ year, month, day, hour, minute, second }: CivilTime): number | null {
  if (!(year >= 100 && year <= 9999 && day >= 1 && day <= daysIn(year, month))) return null
  if (!(hour >= 0 && hour <= 23 && minute >= 0 && minute <= 59 && second >= 0 && second <= 59)) return null
  return Date.UTC(year, month - 1, day, hour, minute, second)
}
