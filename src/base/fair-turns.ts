import type { Clock } from './clock.ts'
import { FairQueue, type Standing } from './fair-queue.ts'
import { MovingMean } from './moving-mean.ts'

export interface FairTurnsOptions {
  readonly clock: Pick<Clock, 'monotonic'>
  /** Turns that may be waited for, the one that is being taken not counted. */
  readonly capacity: number
  /** What is thrown for a turn that there is no place for; `waitMs`: what waits takes about so long. */
  readonly refuse: (waitMs: number) => Error
}

interface WaitingTurn {
  readonly standing: Standing
  readonly begin: () => Promise<unknown>
  readonly reject: (reason: unknown) => void
}

/** Whoever names nobody waits as one caller. */
const unnamed: Standing = { caller: '', background: false }

/**
 * One after another, round-robin over callers (API-84): a turn begins when the one before has ended, however it ended. A
 * caller who wants many turns delays every other one by one of them, and has the places of the queue that nobody else
 * wants.
 */
export class FairTurns {
  readonly #options: FairTurnsOptions
  readonly #waiting: FairQueue<WaitingTurn>
  readonly #usual = new MovingMean()
  #busy = false

  constructor(options: FairTurnsOptions) {
    this.#options = options
    this.#waiting = new FairQueue(options.capacity)
  }

  /** Turns that are waited for. */
  get queued(): number {
    return this.#waiting.size
  }

  /**
   * Milliseconds before a turn of `standing` could begin: those before it times what turns usually take (BRK-81). `own`:
   * how many of the same caller are before it, if not all that wait.
   */
  expectedWaitMs(standing: Standing, own?: number): number {
    return (this.#waiting.ahead(standing, own) + (this.#busy ? 1 : 0)) * this.#usual.value
  }

  /**
   * Runs `work` in its turn. When `signal` aborts before that, the turn is given up and the reason thrown; a turn that has
   * begun goes on to its end. Rejects with what `refuse` gives where there is no place, also later, when somebody with
   * fewer turns takes it.
   */
  take<T>(work: () => Promise<T>, signal?: AbortSignal, standing: Standing = unnamed): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason)
    const begun = new AbortController()
    const turn = new Promise<T>((resolve, reject) => {
      const begin = () => {
        begun.abort()
        const run = (async () => work())()
        run.then(resolve, reject)
        return run
      }
      const waiting = { standing, begin, reject }
      const leave = () => {
        if (this.#waiting.remove(waiting, standing)) reject(signal?.reason)
      }
      signal?.addEventListener('abort', leave, { once: true, signal: begun.signal })
      const refused = this.#waiting.add(waiting, standing)
      refused?.reject(this.#options.refuse(this.expectedWaitMs(refused.standing)))
    })
    // In the next step at the earliest, so that who comes in this step is there when the turn begins.
    void Promise.resolve().then(() => this.#beginNext())
    return turn.finally(() => begun.abort())
  }

  #beginNext(): void {
    if (this.#busy) return
    const next = this.#waiting.take()
    if (next === undefined) return
    this.#busy = true
    const since = this.#options.clock.monotonic()
    const ended = () => {
      this.#busy = false
      this.#usual.note(this.#options.clock.monotonic() - since)
      this.#beginNext()
    }
    next.begin().then(ended, ended)
  }
}
