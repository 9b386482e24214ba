import type { ItemFacts } from './collateral-item.ts'

/** TDX-214. */
export const expiryWarningMs = 72 * 3_600_000

/** Both bounds belong to the window, and clocks count whole seconds here (tdx.md 3.8.6). */
const wholeSeconds = (now: number): number => Math.floor(now / 1000) * 1000

export function isFromFuture({ issueDate }: ItemFacts, now: number): boolean {
  return wholeSeconds(now) < issueDate
}

export function isPast({ nextUpdate }: ItemFacts, now: number, graceMs = 0): boolean {
  return wholeSeconds(now) > nextUpdate + graceMs
}

/**
 * Whether `offered` would take back something that `held` says (TDX-212): an older issue date, or a lower evaluation
 * or list number. Either is enough: a list that is issued again later with a lower number is not the next one.
 */
export function isRollback(offered: ItemFacts, held: ItemFacts): boolean {
  return offered.issueDate < held.issueDate || offered.number < held.number
}

const dayMs = 86_400_000
const hourMs = 3_600_000

/** Pause before a current item is asked for again (TDX-213): two thirds of its remaining life, at most a day, less up to a tenth. */
export function pauseBeforeRefresh({ nextUpdate }: ItemFacts, now: number, unit: number): number {
  const pause = Math.min(Math.max((nextUpdate - now) * (2 / 3), 0), dayMs)
  return Math.max(pause * (1 - unit / 10), 60_000)
}

/** Pause after a refresh that failed (PCS-05): an hour, less as expiry comes near, at least a minute; with jitter. */
export function pauseAfterFailure({ nextUpdate }: ItemFacts, now: number, unit: number): number {
  const pause = Math.min(Math.max((nextUpdate - now) / 8, 60_000), hourMs)
  return pause * (0.8 + unit * 0.4)
}

/** Pause after the `failures`-th failure in a row to get an item that is not at hand: 1, 2, 4 … at most 60 s, with jitter. */
export function pauseWithoutItem(failures: number, unit: number): number {
  return Math.min(1_000 * 2 ** Math.min(failures - 1, 6), 60_000) * (0.5 + unit / 2)
}
