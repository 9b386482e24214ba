import type { Clock } from '../base/clock.ts'
import { drawUnit, type RandomSource } from '../base/random.ts'

const firstMs = 1_000
const longestMs = 60_000

/** How long to keep off a device that failed: 1 s, doubled to 60 s, the second half of it drawn by chance (NAT-27). */
export class ReopenBackoff {
  #clock: Pick<Clock, 'monotonic'>
  #random: RandomSource
  #failures = 0
  #notBefore = Number.NEGATIVE_INFINITY

  constructor(clock: Pick<Clock, 'monotonic'>, random: RandomSource) {
    this.#clock = clock
    this.#random = random
  }

  /** Milliseconds until the next attempt is allowed; 0 if it is now. */
  remaining(): number {
    return Math.max(0, this.#notBefore - this.#clock.monotonic())
  }

  failed(): void {
    const delay = Math.min(longestMs, firstMs * 2 ** Math.min(this.#failures, 10))
    this.#failures++
    this.#notBefore = this.#clock.monotonic() + delay * (0.5 + 0.5 * drawUnit(this.#random))
  }

  succeeded(): void {
    this.#failures = 0
    this.#notBefore = Number.NEGATIVE_INFINITY
  }
}
