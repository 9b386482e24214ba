import type { CacheEntry } from './cache-entry.ts'
import type { Instant } from './clock-watch.ts'

/**
 * A caller's place at an entry. While it is taken the entry stays and its flight goes on; when the last caller leaves, a flight
 * that nobody else has a use for ends (BRK-31, BRK-32).
 */
export class Seat {
  readonly #read: () => Instant
  #entry: CacheEntry | null = null

  constructor(read: () => Instant) {
    this.#read = read
  }

  /** Moves to `entry`, which it gives back. */
  take(entry: CacheEntry): CacheEntry {
    if (this.#entry !== entry) {
      entry.waiters++
      this.leave()
      this.#entry = entry
    }
    return entry
  }

  leave(): void {
    const entry = this.#entry
    if (entry === null) return
    this.#entry = null
    entry.waiters--
    if (entry.waiters === 0 && entry.flight !== null && !entry.hasDemand(this.#read())) entry.returned()
  }
}
