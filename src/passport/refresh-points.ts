/** When a token is renewed (BRK-20 to BRK-25). Pure; milliseconds; a `unit` is one draw from [0, 1). */

/** Node fires a longer timeout after 1 ms. */
const longestTimerMs = 2 ** 31 - 1
const longestSliceMs = 30_000

function between(low: number, high: number, unit: number): number {
  return low + (high - low) * unit
}

/**
 * How long after its receipt a token with `lifeMs` left is to be renewed (BRK-20). Drawn once per token, so that a fleet
 * started together does not stay together. With `forFile`, consumers may keep what they read for ten minutes (BRK-21).
 * Never before a tenth of its life or one second has passed: a short-lived token must not cause a tight loop (BRK-22).
 */
export function refreshDelayMs(lifeMs: number, unit: number, options: { readonly forFile?: boolean } = {}): number {
  const share = lifeMs >= 1_200_000 ? between(0.7, 0.8, unit) : between(0.45, 0.6, unit)
  const drawn = share * lifeMs
  const latest = options.forFile && lifeMs >= 1_800_000 ? Math.min(drawn, lifeMs - 600_000) : drawn
  return Math.max(latest, 1_000, 0.1 * lifeMs)
}

/** A delay as a timer may have it: not negative, and in slices short enough to notice a clock that moved (BRK-23). */
export function timerSliceMs(ms: number): number {
  return Math.min(Math.max(ms, 0), longestSliceMs)
}

/** The longest that anybody may be promised to be woken after: what a timer of Node can hold (BRK-23). */
export function boundedTimeoutMs(ms: number): number {
  return Math.min(Math.max(ms, 0), longestTimerMs)
}

/** Wait of a declared token before its first fetch after start (BRK-24). */
export function startJitterMs(unit: number): number {
  return between(0, 2_000, unit)
}

/** Wait before renewal after resume or a clock step (BRK-24). */
export function eventJitterMs(unit: number): number {
  return between(0, 5_000, unit)
}
