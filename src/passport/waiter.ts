import type { Clock } from '../base/clock.ts'
import { passportErrors } from './errors.ts'
import { boundedTimeoutMs } from './refresh-points.ts'

/**
 * One caller that waits, with its own deadline (BRK-31). `signal` aborts at the deadline with `deadline_exceeded`, or with the
 * caller's own reason when it goes away first. Must be closed.
 */
export class Waiter {
  readonly #clock: Clock
  readonly #deadline: number
  readonly #life = new AbortController()
  readonly #closed = new AbortController()
  readonly #caller: AbortSignal
  readonly #leave = () => this.#life.abort(this.#caller.reason)

  /** Counts from now on, for `timeoutMs` by the monotonic clock. */
  constructor(clock: Clock, timeoutMs: number, caller: AbortSignal) {
    const granted = boundedTimeoutMs(timeoutMs)
    this.#clock = clock
    this.#caller = caller
    this.#deadline = clock.monotonic() + granted
    if (caller.aborted) this.#leave()
    caller.addEventListener('abort', this.#leave, { once: true })
    clock.sleep(granted, this.#closed.signal).then(
      () => this.#life.abort(passportErrors.error('deadline_exceeded', `no token came within ${timeoutMs} ms`)),
      () => undefined,
    )
  }

  get signal(): AbortSignal {
    return this.#life.signal
  }

  /** Milliseconds until the deadline. */
  remainingMs(): number {
    return this.#deadline - this.#clock.monotonic()
  }

  close(): void {
    this.#caller.removeEventListener('abort', this.#leave)
    this.#closed.abort('closed')
  }
}
