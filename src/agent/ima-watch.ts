import type { Clock } from '../base/clock.ts'

export interface ImaWatchParts {
  readonly clock: Pick<Clock, 'monotonic' | 'sleep'>
  /** Records of the log; null: it cannot be told now. */
  readonly count: () => Promise<number | null>
  readonly grew: () => void
}

const pollMs = 5_000
/** A refresh is worth a quote: a machine that measures all the time has one a minute. */
const leastBetweenMs = 60_000

/**
 * Tells that the IMA log has grown (broker.md section 8): when it has been quiet for one poll, or has grown for a minute, and
 * at most once a minute. A count that went back is that of another boot.
 */
export async function watchIma({ clock, count, grew }: ImaWatchParts, signal: AbortSignal): Promise<void> {
  let known = await count()
  let grownSince: number | null = null
  let told = Number.NEGATIVE_INFINITY
  while (!signal.aborted) {
    await clock.sleep(pollMs, signal)
    const now = clock.monotonic()
    const found = await count()
    const grows = found !== null && known !== null && found > known
    known = found ?? known
    if (grows) grownSince ??= now
    if (grownSince === null || now - told < leastBetweenMs) continue
    if (grows && now - grownSince < leastBetweenMs) continue
    grownSince = null
    told = now
    grew()
  }
}
