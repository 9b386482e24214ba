import type { Clock } from '../base/clock.ts'
import { abandonable } from '../base/tasks.ts'

export interface Deadline {
  readonly clock: Pick<Clock, 'sleep'>
  readonly ms: number
  /** Ends the work early, with the signal's reason. */
  readonly outer: AbortSignal
  /** The error when the time is over. */
  readonly late: () => Error
}

/**
 * Settles like `work`, or rejects when the time is over or the outer signal aborts. The signal that `work` gets aborts
 * then too; work that goes on nevertheless is no longer waited for.
 */
export async function withDeadline<T>(deadline: Deadline, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { clock, ms, outer, late } = deadline
  const inner = new AbortController()
  const settled = new AbortController()
  const forward = () => inner.abort(outer.reason)
  if (outer.aborted) forward()
  outer.addEventListener('abort', forward, { once: true })
  clock.sleep(ms, settled.signal).then(
    () => inner.abort(late()),
    () => undefined,
  )
  try {
    return await abandonable(work(inner.signal), inner.signal)
  } finally {
    settled.abort()
    outer.removeEventListener('abort', forward)
  }
}
