import type { Clock } from '../base/clock.ts'
import { Alarm } from '../passport/alarm.ts'
import type { Broker } from '../passport/broker.ts'

const mergeMs = 1_000
const idleMs = 60_000

/** Soft events (broker.md section 8): what comes within a second renews tokens once (BRK-75). */
export class SoftEvents {
  #broker: Pick<Broker, 'invalidate'>
  #clock: Clock
  #alarm: Alarm
  /** Issuers; null stands for all of them. */
  #noted = new Set<string | null>()

  constructor(broker: Pick<Broker, 'invalidate'>, clock: Clock) {
    this.#broker = broker
    this.#clock = clock
    this.#alarm = new Alarm(clock)
  }

  note(issuer: string | null): void {
    this.#noted.add(issuer)
    this.#alarm.ring()
  }

  async keepMerging(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#noted.size === 0) await this.#alarm.sleep(idleMs, signal)
      else {
        await this.#clock.sleep(mergeMs, signal)
        this.#act()
      }
    }
  }

  #act(): void {
    const noted = this.#noted.has(null) ? [null] : [...this.#noted]
    this.#noted.clear()
    for (const issuer of noted)
      this.#broker.invalidate({ ...(issuer === null ? { all: true } : { issuer }), hard: false })
  }
}
