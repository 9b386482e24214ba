const daysOfMonths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/**
 * Milliseconds since the epoch of the content of a UTCTime (13 octets; years 1950 to 2049) or GeneralizedTime (15
 * octets) in the form that `requireDer` leaves; null for a date or time that does not exist.
 */
export function timeOfDer(content: Uint8Array): number | null {
  const long = content.length === 15
  const two = (at: number) => ((content[at] ?? 0) - 0x30) * 10 + (content[at + 1] ?? 0) - 0x30
  const year = long ? two(0) * 100 + two(2) : two(0) + (two(0) < 50 ? 2000 : 1900)
  const rest = long ? 4 : 2
  const [month, day, hour, minute, second] = [two(rest), two(rest + 2), two(rest + 4), two(rest + 6), two(rest + 8)]
  const isDate = month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month)
  // Years below 100 would be taken for those of the twentieth century; no certificate is that old.
  if (year < 100 || !isDate || hour > 23 || minute > 59 || second > 59) return null
  return Date.UTC(year, month - 1, day, hour, minute, second)
}

function daysIn(year: number, month: number): number {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  return month === 2 && isLeap ? 29 : (daysOfMonths[month - 1] ?? 0)
}
