import type { Clock } from '../../src/base/clock.ts'

interface Sleeper {
  readonly at: number
  readonly wake: () => void
}

/** A clock that stands still until the test moves it. `advance` wakes sleepers in order; `jump` moves the wall only. */
export class FakeClock implements Clock {
  #wall: number
  #monotonic = 1_000
  #boottime = 5_000
  #sleepers: Sleeper[] = []
  #turns: number

  /** `turns` of the event loop run after every wake: 1 does where nothing but promises is involved, and is faster. */
  constructor(now = Date.UTC(2026, 0, 1), turns = 5) {
    this.#wall = now
    this.#turns = turns
  }

  now(): number {
    return this.#wall
  }

  monotonic(): number {
    return this.#monotonic
  }

  boottime(): number {
    return this.#boottime
  }

  get sleeping(): number {
    return this.#sleepers.length
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason)
    return new Promise((resolve, reject) => {
      const sleeper = { at: this.#monotonic + ms, wake: () => done(resolve) }
      const abort = () => done(() => reject(signal?.reason))
      const done = (settle: () => void) => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper)
        signal?.removeEventListener('abort', abort)
        settle()
      }
      signal?.addEventListener('abort', abort, { once: true })
      this.#sleepers.push(sleeper)
    })
  }

  /** All three readings go on by `ms`; sleepers wake in the order of their time, with microtasks run between. */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonic + ms
    await settled(this.#turns)
    for (;;) {
      const next = this.#sleepers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
      if (!next) break
      this.#go(Math.max(0, next.at - this.#monotonic))
      next.wake()
      await settled(this.#turns)
    }
    // Fractions add up to a little more at times; no clock goes back for that.
    this.#go(Math.max(0, end - this.#monotonic))
    await settled(this.#turns)
  }

  /** The wall clock is set: by NTP, by an administrator, by a snapshot. */
  jump(ms: number): void {
    this.#wall += ms
  }

  /** The machine sleeps: the monotonic clock stands still, wall and boot time go on. */
  suspend(ms: number): void {
    this.#wall += ms
    this.#boottime += ms
  }

  /** A snapshot is restored: the time since boot goes back, the wall clock goes on. */
  restore(ms: number): void {
    this.#boottime -= ms
  }

  #go(ms: number): void {
    this.#wall += ms
    this.#monotonic += ms
    this.#boottime += ms
  }
}

/** Lets everything that is ready run: promise chains of any length, and I/O callbacks that are due. */
export async function settled(turns = 5): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
}
