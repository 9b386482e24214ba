import { abandonable } from '../base/tasks.ts'

/** One request to the agent for several callers; it ends when the last of them has gone (API-34). */
export class SharedAttempt<T> {
  readonly #result: Promise<T>
  readonly #ending = new AbortController()
  #callers = 0

  constructor(work: (signal: AbortSignal) => Promise<T>) {
    this.#result = work(this.#ending.signal)
    // Every caller may have gone before it fails.
    this.#result.catch(() => undefined)
  }

  /** False once everybody has gone: who comes now must start anew. */
  get open(): boolean {
    return !this.#ending.signal.aborted
  }

  async join(signal: AbortSignal): Promise<T> {
    this.#callers++
    try {
      return await abandonable(this.#result, signal)
    } finally {
      if (--this.#callers === 0) this.#ending.abort('nobody waits any longer')
    }
  }
}
