import type { Clock } from '../../base/clock.ts'
import { abandonable } from '../../base/tasks.ts'

/** Limits of one exchange, of one server with its repetitions, and of all servers (TDX-206, PCS-01). Milliseconds. */
export const timeLimits = { connect: 5_000, exchange: 10_000, source: 20_000, item: 60_000 } as const

/** The time was over. Not for people: who set the limit says what was waited for. */
export class TimeLimitError extends Error {}

/**
 * Runs `work` for at most `ms`; then its own signal aborts and the promise rejects with `TimeLimitError`, even if the work
 * does not listen; or when `signal` aborts, with its reason.
 */
export async function withinTime<T>(
  limit: { readonly clock: Clock; readonly ms: number; readonly signal: AbortSignal },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { clock, ms, signal } = limit
  const expired = new AbortController()
  const done = new AbortController()
  const expire = () => expired.abort(new TimeLimitError(`no complete answer within ${ms / 1000} s`))
  clock.sleep(ms, done.signal).then(expire, () => undefined)
  const either = AbortSignal.any([expired.signal, signal])
  try {
    return await abandonable(work(either), either)
  } finally {
    done.abort()
  }
}
