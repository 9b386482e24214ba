import type { Clock } from './clock.ts'

export interface Rate {
  readonly perS: number
  readonly burst: number
}

interface Bucket {
  tokens: number
  /** Monotonic milliseconds. */
  filledAt: number
}

const idleMs = 600_000
const capacity = 4096
/** Fractions of a token that are lost in sums of doubles: who waited as long as told must not be told to wait again. */
const rounding = 1e-9

/**
 * Token buckets by key (API-85): those idle for ten minutes are dropped, at most 4096 are kept. When the table is full
 * the one that idled longest goes, and a newcomer starts with a quarter of its burst, so that a flood of new keys does
 * not buy full bursts.
 */
export class TokenBuckets {
  #clock: Pick<Clock, 'monotonic'>
  /** In the order of their last use. */
  #buckets = new Map<string, Bucket>()

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
  }

  get size(): number {
    return this.#buckets.size
  }

  /** Takes one token. Gives 0, or the milliseconds until one is there. */
  take(key: string, rate: Rate): number {
    const now = this.#clock.monotonic()
    this.#dropIdle(now)
    const bucket = this.#filled(key, rate, now)
    this.#buckets.delete(key)
    this.#buckets.set(key, bucket)
    const missing = 1 - bucket.tokens
    if (missing > rounding) return Math.max(1, Math.ceil(((missing - rounding) / rate.perS) * 1000))
    bucket.tokens = Math.max(0, -missing)
    return 0
  }

  /** Whole tokens that are there. */
  left(key: string, rate: Rate): number {
    const bucket = this.#buckets.get(key)
    return Math.floor(bucket ? tokensAt(bucket, rate, this.#clock.monotonic()) : rate.burst)
  }

  #filled(key: string, rate: Rate, now: number): Bucket {
    const bucket = this.#buckets.get(key)
    if (bucket) return { tokens: tokensAt(bucket, rate, now), filledAt: now }
    const full = this.#buckets.size >= capacity
    const [oldest] = this.#buckets.keys()
    if (full && oldest !== undefined) this.#buckets.delete(oldest)
    return { tokens: full ? rate.burst / 4 : rate.burst, filledAt: now }
  }

  #dropIdle(now: number): void {
    for (const [key, { filledAt }] of this.#buckets) {
      if (now - filledAt < idleMs) return
      this.#buckets.delete(key)
    }
  }
}

function tokensAt(bucket: Bucket, { perS, burst }: Rate, now: number): number {
  return Math.min(burst, bucket.tokens + ((now - bucket.filledAt) / 1000) * perS)
}
