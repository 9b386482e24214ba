import type { Clock } from '../../base/clock.ts'
import type { AttestdError } from '../../base/errors.ts'
import { drawUnit, type RandomSource } from '../../base/random.ts'
import { pauseWithoutItem } from './item-window.ts'

interface Pause {
  readonly until: number
  readonly failures: number
  readonly error: AttestdError
}

/** TDX-200: what a server does not know, it will not know in a minute. */
const verdictMs = 300_000
const verdicts: readonly string[] = [
  'collateral_unknown_platform',
  'collateral_number_expired',
  'collateral_request_refused',
]

/** Which items cannot be had at present: who asks during the pause gets the last error at once, and no server is bothered. */
export class Pauses {
  #clock: Clock
  #random: RandomSource
  #maximum: number
  #pauses = new Map<string, Pause>()

  constructor(options: { readonly clock: Clock; readonly random: RandomSource; readonly maximum: number }) {
    this.#clock = options.clock
    this.#random = options.random
    this.#maximum = options.maximum
  }

  /** The error of the last attempt while its pause lasts, else null. */
  errorFor(name: string): AttestdError | null {
    const pause = this.#pauses.get(name)
    return pause && this.#clock.boottime() < pause.until ? pause.error : null
  }

  note(name: string, error: AttestdError): void {
    const failures = (this.#pauses.get(name)?.failures ?? 0) + 1
    const isVerdict = verdicts.includes(error.code)
    const ms = isVerdict ? verdictMs : pauseWithoutItem(failures, drawUnit(this.#random))
    this.#pauses.delete(name)
    this.#pauses.set(name, { until: this.#clock.boottime() + ms, failures, error })
    const [oldest] = this.#pauses.keys()
    if (oldest !== undefined && this.#pauses.size > this.#maximum) this.#pauses.delete(oldest)
  }

  clear(name: string): void {
    this.#pauses.delete(name)
  }
}
