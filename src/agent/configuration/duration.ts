const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `30s`, `15m`, `6h`, `90d`, `250ms` to milliseconds; undefined for anything else. */
export function millisecondsOf(text: string): number | undefined {
  const match = /^([1-9][0-9]{0,8}|0)(ms|s|m|h|d)$/.exec(text)
  return match ? Number(match[1]) * (units[match[2] ?? ''] ?? Number.NaN) : undefined
}
