import { AttestdError } from '../base/errors.ts'
import type { TokenRequest } from '../results/token-request.ts'
import type { CacheEntry } from './cache-entry.ts'
import { sameSet } from './cache-key.ts'
import type { Instant } from './clock-watch.ts'
import { generationIn } from './entry.ts'
import { leftMs, wallExpiryOf } from './held-token.ts'
import type { BrokerLimits } from './limits.ts'
import type { TokenSource } from './token-source.ts'

/** A verified token for those who deliver it, with its end on both clocks: only what both call valid is valid (BRK-62). */
export interface TokenOffer {
  readonly token: string
  /** Seconds since the Unix epoch. */
  readonly issuedAt: number
  readonly expiresAt: number
  /** Milliseconds on the wall clock and of boot time. */
  readonly wallExpiry: number
  readonly bootExpiry: number
  /** Life at receipt, milliseconds. */
  readonly lifeMs: number
  /** Grows with every token of the entry; 0 for one that is in no entry. */
  readonly generation: number
}

/** What the entry holds at this moment; null for nothing that is valid. */
export function offerOf(entry: CacheEntry | undefined, instant: Instant): TokenOffer | null {
  if (entry === undefined) return null
  entry.age(instant)
  const { held, state } = entry
  if (held === null || leftMs(held, instant) <= 0) return null
  const { token, accepted, wallExpiry, bootExpiry, lifeMs } = held
  const { issuedAt, expiresAt } = accepted
  return { token, issuedAt, expiresAt, wallExpiry, bootExpiry, lifeMs, generation: generationIn(state) }
}

export interface RecognitionPorts {
  readonly source: TokenSource
  readonly limits: Pick<BrokerLimits, 'maxAgeS' | 'maxLifetimeS'>
  readonly read: () => Instant
}

/**
 * Believes a token of an earlier run if its issuer's source verifies it for exactly this audience and it is still valid.
 * Boot time did not see it issued, so that it gets what the wall clock leaves it, and never more than its own span.
 */
export async function recogniseToken(
  token: string,
  request: TokenRequest,
  { source, limits, read }: RecognitionPorts,
): Promise<TokenOffer | null> {
  try {
    const accepted = await source.recogniseToken?.(token, request)
    if (accepted === undefined) return null
    if (!sameSet(accepted.audience, source.fixedAudience ?? request.audience)) return null
    const { wall, boot } = read()
    const { issuedAt, expiresAt } = accepted
    const wallExpiry = wallExpiryOf(accepted, limits)
    const span = (expiresAt - issuedAt) * 1000
    const lifeMs = Math.min(wallExpiry - wall, span)
    if (lifeMs <= 0 || span > limits.maxLifetimeS * 1000) return null
    return { token, issuedAt, expiresAt, wallExpiry, bootExpiry: boot + lifeMs, lifeMs: span, generation: 0 }
  } catch (error) {
    if (error instanceof AttestdError) return null
    throw error
  }
}
