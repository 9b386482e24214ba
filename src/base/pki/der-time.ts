import { timeOfCalendar } from '../calendar.ts'

function twoDigits(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) - 0x30) * 10 + (bytes[at + 1] ?? 0) - 0x30
}

/**
 * Milliseconds since the epoch of the content of a UTCTime (13 octets; years 1950 to 2049) or GeneralizedTime (15
 * octets) from `start` to `end`, in the form that `requireDer` leaves; null for a date or time that does not exist.
 */
export function timeOfDer(bytes: Uint8Array, start: number, end: number): number | null {
  const isGeneral = end - start === 15
  const first = twoDigits(bytes, start)
  const year = isGeneral ? first * 100 + twoDigits(bytes, start + 2) : first + (first < 50 ? 2000 : 1900)
  const rest = isGeneral ? start + 4 : start + 2
  return timeOfCalendar({
    year,
    month: twoDigits(bytes, rest),
    day: twoDigits(bytes, rest + 2),
    hour: twoDigits(bytes, rest + 4),
    minute: twoDigits(bytes, rest + 6),
    second: twoDigits(bytes, rest + 8),
  })
}
