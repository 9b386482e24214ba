/** What lives in time: runs until its signal aborts, then winds down and resolves. */
export type Task = (signal: AbortSignal) => Promise<void>

/**
 * Runs all tasks under one signal. When one ends with an error, or the outer signal aborts, all are told to
 * stop and all are awaited; then the first error is thrown. Aborting is not an error.
 */
export async function runTogether(signal: AbortSignal, ...tasks: readonly Task[]): Promise<void> {
  // A signal for each: on one for all Node would count so many who wait for it as a leak, and write that past the log.
  const running = tasks.map((task) => ({ task, own: new AbortController() }))
  const stopAll = (why: unknown) => {
    for (const { own } of running) own.abort(why)
  }
  const stop = () => stopAll(signal.reason)
  if (signal.aborted) stop()
  signal.addEventListener('abort', stop, { once: true })
  const failures: unknown[] = []
  const run = async ({ task, own: { signal: own } }: (typeof running)[number]) => {
    try {
      await task(own)
    } catch (error) {
      if (own.aborted && error === own.reason) return
      failures.push(error)
      stopAll(error)
    }
  }
  await Promise.all(running.map(run))
  signal.removeEventListener('abort', stop)
  if (failures.length > 0) throw failures[0]
}

/** Settles like `promise`, or rejects with the signal's reason as soon as it aborts. The promise itself goes on. */
export function abandonable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    // Whoever gave up does not hear how it ends; a rejection that nobody hears would end the process.
    promise.catch(() => undefined)
    return Promise.reject(signal.reason)
  }
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
