import type { Clock } from '../../base/clock.ts'
import { FairQueue, type Standing } from '../../base/fair-queue.ts'
import { MovingMean } from '../../base/moving-mean.ts'
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
/** Whoever names nobody waits as one caller. */
const unnamed: Standing = { caller: '', background: false }

interface Waiter {
  readonly resolve: (value: unknown) => void
  readonly reject: (reason: unknown) => void
}

interface Job {
  /** Null: shares its answer with nobody. */
  readonly key: string | null
  readonly work: (signal: AbortSignal) => Promise<unknown>
  readonly standing: Standing
  readonly controller: AbortController
  readonly waiters: Set<Waiter>
}

/**
 * One job at a time on a device that serves one at a time and cannot be interrupted (TDX-011, BRK-80 to 82), round-robin
 * over callers (API-84). A waiter
 * gives up by its signal or its deadline; the job then goes on if another one waits for it or it has begun, and no
 * other job begins before it has ended, however long that takes.
 */
export class DeviceTurns {
  #options: DeviceTurnsOptions
  #waiting = new FairQueue<Job>(longestQueue)
  /** Those that wait and have a key. */
  #byKey = new Map<string, Job>()
  #inFlight: { readonly job: Job; readonly since: number } | null = null
  /** What jobs took, in milliseconds. */
  #latency = new MovingMean()

  constructor(options: DeviceTurnsOptions) {
    this.#options = options
  }

  get queued(): number {
    return this.#waiting.size
  }

  /** Milliseconds since the job in flight began. */
  get inFlightMs(): number | null {
    return this.#inFlight === null ? null : this.#options.clock.monotonic() - this.#inFlight.since
  }

  get stuck(): boolean {
    return (this.inFlightMs ?? 0) >= this.#options.deadlineMs
  }

  /** Milliseconds before a job of `standing` could begin: those before it times what jobs usually take (BRK-81). */
  expectedWaitMs(standing: Standing = unnamed): number {
    return (this.#waiting.ahead(standing) + (this.#inFlight === null ? 0 : 1)) * this.#latency.value
  }

  /**
   * Runs `work` in its turn. Who asks with the `key` of a job that still waits shares that job and its answer; all work
   * of one key gives the same type. The signal of `work` aborts when nobody waits for it any more. Rejects with
   * `quote_stuck`, `quote_busy`, `quote_timeout`, the reason of `signal`, or what `work` throws.
   */
  take<T>(
    key: string | null,
    work: (signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
    standing: Standing = unnamed,
  ): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason)
    const shared = key === null ? undefined : this.#byKey.get(key)
    const refusal = this.#refusal(shared, standing)
    if (refusal !== null) return Promise.reject(refusal)
    const job = shared ?? { key, work, standing, controller: new AbortController(), waiters: new Set<Waiter>() }
    const answer = this.#waitFor(job, signal)
    if (shared === undefined) this.#enqueue(job)
    this.#begin()
    return answer as Promise<T>
  }

  /** Who has fewer jobs here than another takes the place of that other's newest; that one is refused in its stead. */
  #enqueue(job: Job): void {
    const refused = this.#waiting.add(job, job.standing)
    if (refused !== job && job.key !== null) this.#byKey.set(job.key, job)
    if (refused === null) return
    this.#forgetKey(refused)
    const busy = this.#busy(refused.standing)
    for (const { reject } of [...refused.waiters]) reject(busy)
  }

  #forgetKey({ key }: Job): void {
    if (key !== null) this.#byKey.delete(key)
  }

  #busy(standing: Standing): Error {
    const retryAfterSeconds = Math.max(1, Math.ceil(this.expectedWaitMs(standing) / 1000))
    const detail = `${this.#waiting.size} requests wait, for about ${retryAfterSeconds} s`
    return attesterErrors.error('quote_busy', detail, { facts: { retryAfterSeconds } })
  }

  #refusal(shared: Job | undefined, standing: Standing): Error | null {
    const { deadlineMs } = this.#options
    if (this.stuck) {
      const seconds = Math.floor((this.inFlightMs ?? 0) / 1000)
      return attesterErrors.error('quote_stuck', `a request has been in the kernel for ${seconds} s`)
    }
    if (shared !== undefined) {
      if (shared.waiters.size < mostWaiters) return null
      return attesterErrors.error('quote_busy', `${mostWaiters} requests wait for the same quote`)
    }
    return this.expectedWaitMs(standing) <= deadlineMs ? null : this.#busy(standing)
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
    if (this.#waiting.remove(job, job.standing)) this.#forgetKey(job)
    job.controller.abort(attesterErrors.error('quote_timeout', 'nobody waits for this quote any more'))
  }

  #begin(): void {
    if (this.#inFlight !== null) return
    const job = this.#waiting.take()
    if (job === undefined) return
    this.#forgetKey(job)
    const since = this.#options.clock.monotonic()
    this.#inFlight = { job, since }
    const stopWarning = this.#warnWhenSlow()
    const settle = (settleOne: (waiter: Waiter) => void) => {
      stopWarning()
      this.#latency.note(Math.min(this.#options.clock.monotonic() - since, this.#options.deadlineMs))
      this.#inFlight = null
      for (const waiter of job.waiters) settleOne(waiter)
      this.#begin()
    }
    job.work(job.controller.signal).then(
      (value) => settle(({ resolve }) => resolve(value)),
      (reason: unknown) => settle(({ reject }) => reject(reason)),
    )
  }

  #warnWhenSlow(): () => void {
    const ended = new AbortController()
    const { clock, warn } = this.#options
    const slow = () => warn?.(`a request to the quoting device takes longer than ${slowMs / 1000} s`)
    clock.sleep(slowMs, ended.signal).then(slow, () => undefined)
    return () => ended.abort()
  }
}
