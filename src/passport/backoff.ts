/** Pauses after failures (BRK-40 to BRK-44, BRK-47). Pure; milliseconds; a `unit` is one draw from [0, 1). */

const longestRetryAfterMs = 120_000

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high)
}

function halfTo(value: number, unit: number): number {
  return value * (0.5 + unit / 2)
}

/**
 * Pause while a token with `leftMs` is still valid (BRK-40): attempts get denser as expiry approaches, and the last comes
 * no later than expiry.
 */
export function pauseWithToken(leftMs: number, unit: number): number {
  return Math.min(halfTo(clamp(leftMs / 8, 2_000, 60_000), unit), Math.max(leftMs, 0))
}

/** Pause after the `failures`-th failure in a row without a valid token (BRK-41): 1, 2, 4 … at most 30 seconds. */
export function pauseWithoutToken(failures: number, unit: number): number {
  return halfTo(Math.min(1_000 * 2 ** Math.min(failures - 1, 5), 30_000), unit)
}

/** What a pause that the issuer asked for is weighed against. */
export interface RetryAfterCase {
  readonly retryAfterMs: number
  /** Life that the token at hand has left, or `null` without a valid one, and its life at receipt. */
  readonly leftMs: number | null
  readonly lifeMs: number
}

/**
 * Pause after a failure with `Retry-After` (BRK-43): honoured up to 120 s. Where it would pass expiry, one attempt comes
 * shortly before instead, unless that is less than 30 s away.
 */
export function pauseAsAsked({ retryAfterMs, leftMs, lifeMs }: RetryAfterCase): number {
  const asked = clamp(retryAfterMs, 0, longestRetryAfterMs)
  if (leftMs === null || asked < leftMs) return asked
  const lastChance = leftMs - Math.max(10_000, 0.05 * lifeMs)
  return lastChance >= 30_000 ? lastChance : asked
}

/** Pause after the issuer's verdict against us (BRK-47). */
export function pauseAfterVerdict(unit: number): number {
  return 300_000 * (0.8 + 0.4 * unit)
}

/** Pause after an answer that only a change of configuration can mend (broker.md section 5). */
export const pauseWhenMisconfigured = 300_000
