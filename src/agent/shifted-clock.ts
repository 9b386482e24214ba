import type { Clock } from '../base/clock.ts'

/** By how much each clock goes further, in milliseconds; less than nothing: back. */
export interface ClockShift {
  readonly wallMs: number
  readonly monoMs: number
  readonly bootMs: number
}

/** A sleeper learns of a shift within this time. */
const sliceMs = 50

/** The clocks of the machine, moved by whoever tests (BRK-170): suspend, steps of the wall clock and snapshots without any. */
export class ShiftedClock implements Clock {
  readonly #clock: Clock
  #shift: ClockShift = { wallMs: 0, monoMs: 0, bootMs: 0 }

  constructor(clock: Clock) {
    this.#clock = clock
  }

  shift({ wallMs, monoMs, bootMs }: ClockShift): void {
    const before = this.#shift
    this.#shift = {
      wallMs: before.wallMs + wallMs,
      monoMs: before.monoMs + monoMs,
      bootMs: before.bootMs + bootMs,
    }
  }

  now(): number {
    return this.#clock.now() + this.#shift.wallMs
  }

  monotonic(): number {
    return this.#clock.monotonic() + this.#shift.monoMs
  }

  boottime(): number {
    return this.#clock.boottime() + this.#shift.bootMs
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (Number.isNaN(ms)) throw new TypeError('slept for NaN milliseconds')
    const end = this.monotonic() + ms
    do {
      await this.#clock.sleep(Math.max(0, Math.min(sliceMs, end - this.monotonic())), signal)
    } while (this.monotonic() < end)
  }
}
