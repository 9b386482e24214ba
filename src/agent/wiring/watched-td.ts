import type { TdxAttester, TdxCollection } from '../../attester/tdx/tdx-attester.ts'
import { AttestdError } from '../../base/errors.ts'
import type { Standing } from '../../base/fair-queue.ts'
import type { Task } from '../../base/tasks.ts'
import { queueFull } from '../embedded/queue-full.ts'
import type { Host } from './host.ts'

/** How often a TD that failed is asked for a quote again; a quote takes the kernel a second. */
const tryEveryMs = 10_000

/** Until the first look at it: nobody is told that evidence can be had before that is known. */
const untried = 'untried'

/** For callers: a full queue is one, whichever of the queues before the device it is (API-84). Null for anything else. */
function asFullQueue(error: unknown): AttestdError | null {
  if (!(error instanceof AttestdError) || error.code !== 'quote_busy') return null
  const seconds = error.facts['retryAfterSeconds']
  return queueFull(error.message, typeof seconds === 'number' ? seconds * 1000 : 0)
}

/**
 * The attester of a TD, and what became of its last quote: readiness follows it (BRK-141). Whether it is there is looked
 * at when the agent starts, without a quote where that is enough. A TD that failed is tried again without a caller; a quote over random report data is for nobody, and is thrown away.
 */
export class WatchedTd {
  #attester: TdxAttester
  #host: Pick<Host, 'clock' | 'random'>
  #lastError: string | null = untried

  constructor(attester: TdxAttester, host: Pick<Host, 'clock' | 'random'>) {
    this.#attester = attester
    this.#host = host
  }

  /** Code of the last failure, `untried` before the first look; null if the last quote came, or can be expected. */
  get lastError(): string | null {
    return this.#lastError
  }

  async collect(reportData: Uint8Array, signal: AbortSignal, standing?: Standing): Promise<TdxCollection> {
    try {
      const collection = await this.#attester.collect(reportData, signal, standing)
      this.#lastError = null
      return collection
    } catch (error) {
      // A caller that hangs up, or a queue that is full, says nothing of the device.
      const full = asFullQueue(error)
      if (full !== null) throw full
      if (error instanceof AttestdError && !signal.aborted) this.#lastError = error.code
      throw error
    }
  }

  /** Milliseconds before a quote for `standing` could begin (BRK-81). */
  expectedWaitMs(standing: Standing): number {
    return this.#attester.expectedWaitMs(standing)
  }

  /** `report` hears of every change: the code of the failure, or null when a quote came again. */
  keepTried(report: (failure: string | null) => void): Task {
    return async (signal) => {
      let known: string | null = null
      await this.#look(signal)
      if (this.#lastError !== known && !signal.aborted) report(this.#lastError)
      known = this.#lastError
      while (!signal.aborted) {
        await this.#host.clock.sleep(tryEveryMs, signal).catch((reason: unknown) => {
          if (!signal.aborted) throw reason
        })
        if (this.#lastError !== null && !signal.aborted) await this.#try(signal)
        if (this.#lastError !== known && !signal.aborted) report(this.#lastError)
        known = this.#lastError
      }
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const there = await this.#attester.probe(signal).catch((error: unknown) => {
      if (!(error instanceof AttestdError) && !signal.aborted) throw error
      return false
    })
    // Somebody who asked meanwhile has found out more.
    if (this.#lastError !== untried || signal.aborted) return
    if (there) this.#lastError = null
    else await this.#try(signal)
  }

  async #try(signal: AbortSignal): Promise<void> {
    await this.collect(this.#host.random(64), signal).catch((error: unknown) => {
      if (!(error instanceof AttestdError) && !signal.aborted) throw error
    })
  }
}
