/** One after another, first come first served: a turn begins when the one before has ended, however it ended. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()

  /** Runs `work` in its turn; when `signal` aborts before that, the turn is skipped and its reason thrown. */
  take<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const turn = this.#last.then(() => {
      signal?.throwIfAborted()
      return work()
    })
    this.#last = turn.catch(() => undefined)
    return turn
  }
}
