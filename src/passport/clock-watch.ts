import type { Clock } from '../base/clock.ts'

/** One reading of all three clocks, in milliseconds. Only differences between readings mean anything (BRK-60). */
export interface Instant {
  readonly wall: number
  readonly monotonic: number
  readonly boot: number
}

/** What happened to the clocks between two readings. `ms` of a step is negative when the wall was set back. */
export type ClockEvent =
  | { readonly kind: 'suspend'; readonly ms: number }
  | { readonly kind: 'wall-step'; readonly ms: number }
  | { readonly kind: 'snapshot' }

const toleranceMs = 2_000
const longestSampleAgeMs = 5_000

/**
 * Tells suspend, steps of the wall clock and restored snapshots apart (BRK-61). A snapshot hides the other two. Boot time
 * counts all that monotonic time counts, so that one which falls behind has been set back.
 */
export function compareInstants(before: Instant, after: Instant): readonly ClockEvent[] {
  const [wall, monotonic, boot] = [
    after.wall - before.wall,
    after.monotonic - before.monotonic,
    after.boot - before.boot,
  ]
  if (monotonic < 0 || boot < 0 || boot - monotonic < -toleranceMs) return [{ kind: 'snapshot' }]
  const events: ClockEvent[] = []
  if (boot - monotonic > toleranceMs) events.push({ kind: 'suspend', ms: boot - monotonic })
  if (Math.abs(wall - boot) > toleranceMs) events.push({ kind: 'wall-step', ms: wall - boot })
  return events
}

/**
 * Reads the clocks and notices when they moved: every reading is compared with a sample at most 5 s old (BRK-60), for small
 * steps that add up, and with the reading before it. The listener has acted on what happened before the reading is given
 * out, so that no decision is made on the old state.
 */
export class ClockWatch {
  readonly #clock: Clock
  readonly #builtAt: number
  readonly #listener: (events: readonly ClockEvent[], instant: Instant) => void
  #sample: Instant
  #latest: Instant
  #newestIssuedAt = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, builtAtS: number, listener: (events: readonly ClockEvent[], instant: Instant) => void) {
    this.#clock = clock
    this.#builtAt = builtAtS * 1000
    this.#listener = listener
    this.#sample = this.#readings()
    this.#latest = this.#sample
  }

  #readings(): Instant {
    return { wall: this.#clock.now(), monotonic: this.#clock.monotonic(), boot: this.#clock.boottime() }
  }

  read(): Instant {
    const instant = this.#readings()
    const wentBack = instant.boot < this.#latest.boot || instant.monotonic < this.#latest.monotonic
    const events = compareInstants(wentBack ? this.#latest : this.#sample, instant)
    this.#latest = instant
    if (events.length > 0 || instant.boot - this.#sample.boot >= longestSampleAgeMs) this.#sample = instant
    if (events.length > 0) this.#listener(events, instant)
    return instant
  }

  /** Remembers the newest `iat` (seconds) of an accepted token: the wall clock has been there once. */
  noteIssuedAt(issuedAtS: number): void {
    this.#newestIssuedAt = Math.max(this.#newestIssuedAt, issuedAtS * 1000)
  }

  /** True while the wall clock is before the build of the package or well before a moment that has been (BRK-64). */
  isUnsafe({ wall }: Instant): boolean {
    return wall < this.#builtAt || wall < this.#newestIssuedAt - 300_000
  }
}
