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

const microtasks = 8
const ticks = 2

/**
 * Whether the promise settles without the outside being waited for: a token from the cache, a check of a process, a body
 * that came with its head. Such work is most of what there is, and needs no timer.
 */
export async function settlesAtOnce(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  const note = () => {
    settled = true
  }
  promise.then(note, note)
  for (let turn = 0; turn < microtasks && !settled; turn++) await undefined
  for (let turn = 0; turn < ticks && !settled; turn++) await new Promise<void>((resolve) => process.nextTick(resolve))
  return settled
}

/**
 * Settles like `work`, or rejects when the time is over or the outer signal aborts. The signal that `work` gets aborts
 * then too; work that goes on nevertheless is no longer waited for.
 */
export async function withDeadline<T>(deadline: Deadline, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { clock, ms, outer, late } = deadline
  outer.throwIfAborted()
  const inner = new AbortController()
  const result = work(inner.signal)
  if (await settlesAtOnce(result)) return result
  const settled = new AbortController()
  const forward = () => inner.abort(outer.reason)
  if (outer.aborted) forward()
  outer.addEventListener('abort', forward, { once: true })
  clock.sleep(ms, settled.signal).then(
    () => inner.abort(late()),
    () => undefined,
  )
  try {
    return await abandonable(result, inner.signal)
  } finally {
    // With a reason, because without one an exception with its stack is made for nobody.
    settled.abort('settled')
    outer.removeEventListener('abort', forward)
  }
}
