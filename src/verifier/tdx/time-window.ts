import { secondOf } from '../../base/pki/whole-second.ts'

/** When a list or a document is current: issueDate or thisUpdate, and nextUpdate. Milliseconds since the epoch. */
export interface TimeWindow {
  readonly from: number
  readonly until: number
}

/** Both bounds belong to the window, and the clock is cut to whole seconds (TDX-153, TDX-163, tdx.md 3.8.6). */
export function placeInWindow({ from, until }: TimeWindow, now: number): 'before' | 'inside' | 'after' {
  const second = secondOf(now)
  if (second < from) return 'before'
  return second > until ? 'after' : 'inside'
}
