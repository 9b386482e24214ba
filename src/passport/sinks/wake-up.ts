import type { Clock } from '../../base/clock.ts'
import { Alarm } from '../alarm.ts'

/** A sleep that a ring cuts short, also one that came before it: whoever was looking looks once more. */
export class WakeUp {
  readonly #alarm: Alarm
  #rung = false

  constructor(clock: Clock) {
    this.#alarm = new Alarm(clock)
  }

  ring(): void {
    this.#rung = true
    this.#alarm.ring()
  }

  /** Sleeps for at most `ms` after what was rung for is done; rejects with the signal's reason when it aborts. */
  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#rung) await this.#alarm.sleep(ms, signal)
    signal.throwIfAborted()
    this.#rung = false
  }
}
