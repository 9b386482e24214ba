import { createHash } from 'node:crypto'

export interface ReplayEntry {
  readonly issuer: string
  readonly jti: string
  /** Seconds since the epoch, skew included: from then on the token is refused for its age anyway. */
  readonly expiresAt: number
  /** Seconds since the epoch. */
  readonly now: number
}

/** `full`: the token cannot be remembered, so it must not be accepted. */
export type ReplayVerdict = 'admitted' | 'seen' | 'full'

/**
 * Remembers which tokens were accepted (TOK-98). `admit` is one atomic step: of two calls with the same issuer and `jti`
 * only one is admitted. Implement it over a shared store when a service runs more than once; a store that fails must
 * throw.
 */
export interface ReplayCache {
  admit(entry: ReplayEntry): ReplayVerdict | Promise<ReplayVerdict>
}

class MemoryReplayCache implements ReplayCache {
  #capacity: number
  /** Digest of issuer and jti, so that an entry has one size whatever the token says → expiry. */
  #entries = new Map<string, number>()
  #earliest = Number.POSITIVE_INFINITY
  /** Entries up to this expiry were forgotten: should the clock be set back, such tokens stay refused. */
  #forgottenUntil = Number.NEGATIVE_INFINITY

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  admit({ issuer, jti, expiresAt, now }: ReplayEntry): ReplayVerdict {
    const key = createHash('sha256')
      .update(JSON.stringify([issuer, jti]))
      .digest('base64')
    if (this.#entries.has(key) || expiresAt <= this.#forgottenUntil) return 'seen'
    if (this.#entries.size >= this.#capacity) this.#forgetExpired(now)
    if (this.#entries.size >= this.#capacity) return 'full'
    this.#entries.set(key, expiresAt)
    this.#earliest = Math.min(this.#earliest, expiresAt)
    return 'admitted'
  }

  #forgetExpired(now: number): void {
    if (this.#earliest > now) return
    this.#earliest = Number.POSITIVE_INFINITY
    for (const [key, expiresAt] of this.#entries) {
      if (expiresAt <= now) this.#entries.delete(key)
      else this.#earliest = Math.min(this.#earliest, expiresAt)
    }
    this.#forgottenUntil = Math.max(this.#forgottenUntil, now)
  }
}

/**
 * A replay cache in the memory of this process, for at most `capacity` tokens (default 100 000, about 15 MB). It never
 * forgets a token that is still valid: when it is full of them, new tokens are refused.
 */
export function createReplayCache(options: { readonly capacity?: number } = {}): ReplayCache {
  const { capacity = 100_000 } = options
  if (!Number.isSafeInteger(capacity) || capacity < 1) throw new TypeError('capacity is a positive integer')
  return new MemoryReplayCache(capacity)
}
