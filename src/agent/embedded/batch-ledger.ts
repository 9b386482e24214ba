import type { Clock } from '../../base/clock.ts'
import { MovingMean } from '../../base/moving-mean.ts'

/** A batch that has ended. */
export interface BatchRecord {
  /** Requests that its evidence committed to. */
  readonly requests: number
  /** Monotonic milliseconds from the beginning of the turn to the verdict. */
  readonly tookMs: number
  /** Evidence was collected and affirmed. */
  readonly affirmed: boolean
}

/** Totals since the start, and what is expected next. */
export interface BatchStatus {
  readonly ended: number
  readonly requests: number
  readonly largest: number
  readonly underWay: number
  /** What a batch usually takes, in milliseconds; 0 before the first. */
  readonly usualMs: number
}

/**
 * Counts the batches of the bundled verifier and remembers what they take. One for the process: a reload replaces sources,
 * and the device is as slow as it was.
 */
export class BatchLedger {
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #observe: (record: BatchRecord) => void
  readonly #usual = new MovingMean()
  #ended = 0
  #requests = 0
  #largest = 0
  #underWay = 0

  /** `observe` hears of every batch when it has ended. */
  constructor(clock: Pick<Clock, 'monotonic'>, observe: (record: BatchRecord) => void = () => undefined) {
    this.#clock = clock
    this.#observe = observe
  }

  /** To be called when a batch takes its turn; what it gives, when the batch has ended. */
  begin(requests: number): (affirmed: boolean) => void {
    const since = this.#clock.monotonic()
    this.#underWay++
    return (affirmed) => {
      const tookMs = this.#clock.monotonic() - since
      this.#underWay--
      this.#ended++
      this.#requests += requests
      this.#largest = Math.max(this.#largest, requests)
      this.#usual.note(tookMs)
      this.#observe({ requests, tookMs, affirmed })
    }
  }

  status(): BatchStatus {
    const [ended, requests, largest, underWay] = [this.#ended, this.#requests, this.#largest, this.#underWay]
    return { ended, requests, largest, underWay, usualMs: Math.round(this.#usual.value) }
  }
}
