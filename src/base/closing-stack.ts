/**
 * What was opened together and is closed together: the newest first, for it may need what was opened before it. As the
 * `AsyncDisposableStack` of newer versions of Node, but for the error, which is not wrapped: its code tells what to do.
 */
export class ClosingStack implements AsyncDisposable {
  readonly #opened: AsyncDisposable[] = []

  /** Takes what has to be closed, and gives it back. */
  use<T extends AsyncDisposable>(opened: T): T {
    this.#opened.push(opened)
    return opened
  }

  /** Closes each, also where another one fails, and rejects with the first error then. What is closed is not closed again. */
  async [Symbol.asyncDispose](): Promise<void> {
    const failures: unknown[] = []
    for (const opened of this.#opened.splice(0).reverse()) {
      try {
        await opened[Symbol.asyncDispose]()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}

/**
 * What `open` makes of what it opens; where it rejects, all that it has opened until then is closed. The error is that of
 * `open`, also where closing fails besides: it is what somebody has to mend.
 */
export async function openTogether<T>(open: (stack: ClosingStack) => Promise<T>): Promise<T> {
  const stack = new ClosingStack()
  try {
    return await open(stack)
  } catch (error) {
    await stack[Symbol.asyncDispose]().catch(() => undefined)
    throw error
  }
}
