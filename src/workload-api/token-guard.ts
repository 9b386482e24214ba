import type { ServedToken } from '../results/served-token.ts'
import type { TokenRequest } from '../results/token-request.ts'

export interface GuardDemand {
  readonly minValidS: number | null
  /** Milliseconds since the epoch, read after all waiting. */
  readonly now: number
  readonly floorS: number
}

/** Seconds that must be left (API-90, section 6.1): what was asked for, and never less than the floor. */
function requiredLifeS({ issuedAt, expiresAt }: ServedToken, minValidS: number | null, floorS: number): number {
  if (minValidS === 0) return Math.min(1, floorS)
  return Math.max(floorS, minValidS ?? Math.min(60, 0.2 * (expiresAt - issuedAt)))
}

/**
 * The last look at a token before it is written, independent of whoever provided it: null, or why it must not be written.
 * An expired token, or one that names another audience, leaves this room on no path.
 */
export function unservableBecause(
  token: ServedToken,
  request: TokenRequest,
  { minValidS, now, floorS }: GuardDemand,
): 'expires_too_soon' | 'wrong_audience' | 'not_a_token' | null {
  if (!/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/.test(token.token)) return 'not_a_token'
  const named = new Set(token.audience)
  if (named.size !== request.audience.length || !request.audience.every((one) => named.has(one)))
    return 'wrong_audience'
  const left = token.expiresAt - now / 1000
  return left >= requiredLifeS(token, minValidS, floorS) ? null : 'expires_too_soon'
}
