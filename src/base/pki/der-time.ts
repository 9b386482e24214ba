import { timeOfCalendar } from '../calendar.ts'

/**
 * Milliseconds since the epoch of the content of a UTCTime (13 octets; years 1950 to 2049) or GeneralizedTime (15
 * octets) in the form that `requireDer` leaves; null for a date or time that does not exist.
 */
export function timeOfDer(content: Uint8Array): number | null {
  const two = (at: number) => ((content[at] ?? 0) - 0x30) * 10 + (content[at + 1] ?? 0) - 0x30
  const isGeneral = content.length === 15
  const year = isGeneral ? two(0) * 100 + two(2) : two(0) + (two(0) < 50 ? 2000 : 1900)
  const rest = isGeneral ? 4 : 2
  return timeOfCalendar({
    year,
    month: two(rest),
    day: two(rest + 2),
    hour: two(rest + 4),
    minute: two(rest + 6),
    second: two(rest + 8),
  })
}
