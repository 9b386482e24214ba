import type { Clock } from '../../base/clock.ts'
import { attesterErrors } from '../errors.ts'

export interface DeviceTurnsOptions {
  readonly clock: Pick<Clock, 'monotonic' | 'sleep'>
  /** From the request to its answer, and from the beginning of a job to the moment when it counts as stuck. */
  readonly deadlineMs: number
  readonly warn?: (message: string) => void
}

/** Jobs that may wait behind the one in flight (TDX-011, BRK-81). */
const longestQueue = 64
/** Requests that may wait for the same job. */
const mostWaiters = 1024
/** A job that takes longer is worth a warning (BRK-82). */
const slowMs = 5000
/** Share of the newest job in the expected latency. */
const newestShare = 0.2

interface Waiter {
  readonly resolve: (value: unknown) => void
  readonly reject: (reason: unknown) => void
}

interface Job {
  /** Null: shares its answer with nobody. */
  readonly key: string | null
  readonly work: (signal: AbortSignal) => Promise<unknown>
  readonly controller: AbortController
  readonly waiters: Set<Waiter>
}

/**
 * One job at a time on a device that serves one at a time and cannot be interrupted (TDX-011, BRK-80 to 82). A waiter
 * gives up by its signal or its deadline; the job then goes on if another one waits for it or it has begun, and no
 * other job begins before it has ended, however long that takes.
 */
export class DeviceTurns {
  #options: DeviceTurnsOptions
  #waiting: Job[] = []
  #inFlight: { readonly job: Job; readonly since: number } | null = null
  /** Exponentially weighted mean of what jobs took, in milliseconds; 0 before the first. */
  #latencyMs = 0

  constructor(options: DeviceTurnsOptions) {
    this.#options = options
  }

  get queued(): number {
    return this.#waiting.length
  }

  /** Milliseconds since the job in flight began. */
  get inFlightMs(): number | null {
    return this.#inFlight === null ? null : this.#options.clock.monotonic() - this.#inFlight.since
  }

  get stuck(): boolean {
    return (this.inFlightMs ?? 0) >= this.#options.deadlineMs
  }

  /**
   * Runs `work` in its turn. Who asks with the `key` of a job that still waits shares that job and its answer; all work
   * of one key gives the same type. The signal of `work` aborts when nobody waits for it any more. Rejects with
   * `quote_stuck`, `quote_busy`, `quote_timeout`, the reason of `signal`, or what `work` throws.
   */
  take<T>(key: string | null, work: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason)
    const shared = key === null ? undefined : this.#waiting.find((job) => job.key === key)
    const refusal = this.#refusal(shared)
    if (refusal !== null) return Promise.reject(refusal)
    const job = shared ?? { key, work, controller: new AbortController(), waiters: new Set<Waiter>() }
    if (shared === undefined) this.#waiting.push(job)
    const answer = this.#waitFor(job, signal)
    this.#begin()
    return answer as Promise<T>
  }

  #refusal(shared: Job | undefined): Error | null {
    const { deadlineMs } = this.#options
    if (this.stuck) {
      const seconds = Math.floor((this.inFlightMs ?? 0) / 1000)
      return attesterErrors.error('quote_stuck', `a request has been in the kernel for ${seconds} s`)
    }
    if (shared !== undefined) {
      if (shared.waiters.size < mostWaiters) return null
      return attesterErrors.error('quote_busy', `${mostWaiters} requests wait for the same quote`)
    }
    const before = this.#waiting.length + (this.#inFlight === null ? 0 : 1)
    const expectedMs = before * this.#latencyMs
    if (this.#waiting.length < longestQueue && expectedMs <= deadlineMs) return null
    const retryAfterSeconds = Math.max(1, Math.ceil(expectedMs / 1000))
    const detail = `${this.#waiting.length} requests wait, for about ${retryAfterSeconds} s`
    return attesterErrors.error('quote_busy', detail, { facts: { retryAfterSeconds } })
  }

  #waitFor(job: Job, signal: AbortSignal | undefined): Promise<unknown> {
    const { clock, deadlineMs } = this.#options
    const done = new AbortController()
    return new Promise<unknown>((resolve, reject) => {
      const waiter = { resolve, reject }
      const giveUp = (reason: unknown) => {
        reject(reason)
        this.#leave(job, waiter)
      }
      job.waiters.add(waiter)
      signal?.addEventListener('abort', () => giveUp(signal.reason), { once: true, signal: done.signal })
      const late = () => giveUp(this.#lateness(job))
      clock.sleep(deadlineMs, done.signal).then(late, () => undefined)
    }).finally(() => done.abort())
  }

  #lateness(job: Job): Error {
    const { deadlineMs } = this.#options
    if (this.#inFlight?.job === job) {
      return attesterErrors.error('quote_timeout', `no answer within ${deadlineMs / 1000} s`)
    }
    return attesterErrors.error('quote_busy', `it was not this request's turn within ${deadlineMs / 1000} s`)
  }

  #leave(job: Job, waiter: Waiter): void {
    job.waiters.delete(waiter)
    if (job.waiters.size > 0) return
    this.#waiting = this.#waiting.filter((other) => other !== job)
    job.controller.abort(attesterErrors.error('quote_timeout', 'nobody waits for this quote any more'))
  }

  #begin(): void {
    if (this.#inFlight !== null) return
    const job = this.#waiting.shift()
    if (job === undefined) return
    const since = this.#options.clock.monotonic()
    this.#inFlight = { job, since }
    const stopWarning = this.#warnWhenSlow()
    const settle = (settleOne: (waiter: Waiter) => void) => {
      stopWarning()
      this.#learn(Math.min(this.#options.clock.monotonic() - since, this.#options.deadlineMs))
      this.#inFlight = null
      for (const waiter of job.waiters) settleOne(waiter)
      this.#begin()
    }
    job.work(job.controller.signal).then(
      (value) => settle(({ resolve }) => resolve(value)),
      (reason: unknown) => settle(({ reject }) => reject(reason)),
    )
  }

  #learn(tookMs: number): void {
    this.#latencyMs = this.#latencyMs === 0 ? tookMs : (1 - newestShare) * this.#latencyMs + newestShare * tookMs
  }

  #warnWhenSlow(): () => void {
    const ended = new AbortController()
    const { clock, warn } = this.#options
    const slow = () => warn?.(`a request to the quoting device takes longer than ${slowMs / 1000} s`)
    clock.sleep(slowMs, ended.signal).then(slow, () => undefined)
    return () => ended.abort()
  }
}
