import { createHash } from 'node:crypto'

export interface ReplayEntry {
  readonly issuer: string
  readonly jti: string
  /** Seconds since the epoch, skew included: from then on the token is refused for its age anyway. */
  readonly expiresAt: number
  /** Seconds since the epoch. */
  readonly now: number
}

/** `full`: the token cannot be remembered, in all or for this issuer, so it must not be accepted. */
export type ReplayVerdict = 'admitted' | 'seen' | 'full'

/**
 * Remembers which tokens were accepted (TOK-98). `admit` is one atomic step: of two calls with the same issuer and `jti`
 * only one is admitted. Implement it over a shared store when a service runs more than once; a store that fails must
 * throw.
 */
export interface ReplayCache {
  admit(entry: ReplayEntry): ReplayVerdict | Promise<ReplayVerdict>
}

/** Bounds of a cache in memory. */
interface ReplayBounds {
  readonly capacity: number
  readonly perIssuer: number
}

class MemoryReplayCache implements ReplayCache {
  #bounds: ReplayBounds
  /** Digest of issuer and jti, so that an entry has one size whatever the token says → issuer. */
  #entries = new Map<string, string>()
  /** Digests by their expiry. */
  #expiring = new Map<number, string[]>()
  /** Entries of each issuer that has some. */
  #counts = new Map<string, number>()
  #earliest = Number.POSITIVE_INFINITY
  /** Entries up to this expiry were forgotten: should the clock be set back, such tokens stay refused. */
  #forgottenUntil = Number.NEGATIVE_INFINITY

  constructor(bounds: ReplayBounds) {
    this.#bounds = bounds
  }

  admit({ issuer, jti, expiresAt, now }: ReplayEntry): ReplayVerdict {
    const key = createHash('sha256')
      .update(JSON.stringify([issuer, jti]))
      .digest('base64')
    if (this.#entries.has(key) || expiresAt <= this.#forgottenUntil) return 'seen'
    if (this.#isFull(issuer)) this.#forgetExpired(now)
    if (this.#isFull(issuer)) return 'full'
    this.#remember(key, issuer, expiresAt)
    return 'admitted'
  }

  #isFull(issuer: string): boolean {
    const { capacity, perIssuer } = this.#bounds
    return this.#entries.size >= capacity || (this.#counts.get(issuer) ?? 0) >= perIssuer
  }

  #remember(key: string, issuer: string, expiresAt: number): void {
    this.#entries.set(key, issuer)
    this.#counts.set(issuer, (this.#counts.get(issuer) ?? 0) + 1)
    const together = this.#expiring.get(expiresAt)
    if (together === undefined) this.#expiring.set(expiresAt, [key])
    else together.push(key)
    this.#earliest = Math.min(this.#earliest, expiresAt)
  }

  #forgetExpired(now: number): void {
    if (this.#earliest > now) return
    this.#earliest = Number.POSITIVE_INFINITY
    for (const [expiresAt, keys] of this.#expiring) {
      if (expiresAt > now) {
        this.#earliest = Math.min(this.#earliest, expiresAt)
        continue
      }
      this.#expiring.delete(expiresAt)
      for (const key of keys) this.#forget(key)
    }
    this.#forgottenUntil = Math.max(this.#forgottenUntil, now)
  }

  #forget(key: string): void {
    const issuer = this.#entries.get(key) ?? ''
    this.#entries.delete(key)
    const left = (this.#counts.get(issuer) ?? 1) - 1
    if (left === 0) this.#counts.delete(issuer)
    else this.#counts.set(issuer, left)
  }
}

/**
 * A replay cache in the memory of this process, for at most `capacity` tokens (default 100 000, about 15 MB), of which one
 * issuer has at most `perIssuer` (default: all). For proofs of possession the key of the proof stands for the issuer: with
 * a bound below the capacity nobody can fill the memory with the proofs of one key. It never forgets a token that is still
 * valid: when it is full of them, new tokens are refused.
 */
export function createReplayCache(
  options: { readonly capacity?: number; readonly perIssuer?: number } = {},
): ReplayCache {
  const { capacity = 100_000, perIssuer = capacity } = options
  if (!Number.isSafeInteger(capacity) || capacity < 1) throw new TypeError('capacity is a positive integer')
  if (!Number.isSafeInteger(perIssuer) || perIssuer < 1) throw new TypeError('perIssuer is a positive integer')
  return new MemoryReplayCache({ capacity, perIssuer })
}
