/**
 * Time as an argument. Three readings, because they fail differently (BRK-60 to BRK-64): the wall clock may
 * jump, the monotonic clock stops in suspend, the boot-time clock runs through it. All in milliseconds.
 */
export interface Clock {
  /** Milliseconds since the Unix epoch; may jump in both directions. */
  now(): number
  /** Milliseconds that never go back; stands still while the machine is suspended. */
  monotonic(): number
  /** Milliseconds since boot, suspend included. */
  boottime(): number
  /** Resolves after `ms` (monotonic); rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** Whole seconds since the Unix epoch, as tokens and certificates count. */
export function secondsOf(clock: Pick<Clock, 'now'>): number {
  return Math.floor(clock.now() / 1000)
}
