/**
 * Many who ask the same at a time are answered by one call, which begins after each of them asked: nobody gets an answer that
 * was on its way before. While a call runs, all that come wait for the one behind it.
 */
export class JoinedCalls<T> {
  readonly #call: (key: string) => Promise<T>
  /** By what is asked: the call that runs, and the one that is to begin when it has ended. */
  readonly #running = new Map<string, Promise<T>>()
  readonly #waiting = new Map<string, Promise<T>>()

  constructor(call: (key: string) => Promise<T>) {
    this.#call = call
  }

  /** Rejects, for all that wait for it, with what the call rejects with. */
  get(key: string): Promise<T> {
    const waiting = this.#waiting.get(key)
    if (waiting !== undefined) return waiting
    const running = this.#running.get(key)
    if (running === undefined) return this.#run(key)
    const next = running.then(noMatter, noMatter).then(() => this.#run(key))
    this.#waiting.set(key, next)
    return next
  }

  #run(key: string): Promise<T> {
    this.#waiting.delete(key)
    const call = this.#call(key).finally(() => this.#running.delete(key))
    this.#running.set(key, call)
    return call
  }
}

const noMatter = () => undefined
