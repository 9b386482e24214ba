import type { Clock } from '../base/clock.ts'
import { timerSliceMs } from './refresh-points.ts'

/** A sleep that a change elsewhere can cut short: whoever sleeps looks again after every ring. */
export class Alarm {
  readonly #clock: Clock
  readonly #sleepers = new Set<() => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  ring(): void {
    for (const wake of [...this.#sleepers]) wake()
  }

  /** Resolves after `ms`, a slice of it (BRK-23) or at the next ring: the sleeper looks again; rejects with the signal's reason when it aborts first. */
  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const woken = new AbortController()
    // With a reason, because without one an exception with its stack is made for nobody.
    const wake = () => woken.abort('woken')
    this.#sleepers.add(wake)
    signal.addEventListener('abort', wake, { once: true })
    try {
      await this.#clock.sleep(timerSliceMs(ms), woken.signal)
    } catch (error) {
      if (!woken.signal.aborted) throw error
    } finally {
      this.#sleepers.delete(wake)
      signal.removeEventListener('abort', wake)
    }
    signal.throwIfAborted()
  }

  /** `sleep`, whose end by the signal is an end like any other. */
  async sleepUnlessAborted(ms: number, signal: AbortSignal): Promise<void> {
    try {
      await this.sleep(ms, signal)
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }
}
