import { AttestdError } from '../base/errors.ts'

const firstPauseMs = 100
const longestPauseMs = 2000

/** Milliseconds after which the agent itself says to come again (API-82); 0 where it says nothing. */
export function retryAfterMs(error: unknown): number {
  const ms = error instanceof AttestdError ? error.facts['retry_after_ms'] : undefined
  return typeof ms === 'number' && ms > 0 ? ms : 0
}

/**
 * How long to wait after the failure number `failures` (from 1) before the next attempt, in milliseconds; null: another
 * attempt is of no use. `draw` in [0, 1) spreads callers that failed together.
 */
export function retryPause(error: unknown, failures: number, draw: number): number | null {
  if (!(error instanceof AttestdError) || !error.retryable) return null
  const backoff = Math.min(longestPauseMs, firstPauseMs * 2 ** (failures - 1))
  return retryAfterMs(error) + backoff * (0.5 + draw / 2)
}
