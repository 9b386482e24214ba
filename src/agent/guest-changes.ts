import type { Clock } from '../base/clock.ts'
import type { SoftEvents } from './soft-events.ts'
import type { GuestChange } from './wiring/guest.ts'
import { localIssuer } from './wiring/plain-request.ts'

/** A device that fails and answers in turns makes one refresh a minute, not one each time. */
const leastBetweenMs = 60_000

/**
 * Makes soft events of what changes about the guest (broker.md section 8): what Intel says anew is the business of the bundled
 * verifier; a device that answers again lets every issuer be asked at once and not when its pause is over (BRK-45).
 */
export function noteGuestChanges(
  soft: Pick<SoftEvents, 'note'>,
  clock: Pick<Clock, 'monotonic'>,
): (change: GuestChange) => void {
  let backAt = Number.NEGATIVE_INFINITY
  return (change) => {
    if (change === 'collateral') return soft.note(localIssuer)
    const now = clock.monotonic()
    if (now - backAt < leastBetweenMs) return
    backAt = now
    soft.note(null)
  }
}

/** Passes on what `report` hears of a device, and calls `back` when it answers again after a failure; at the start it has had none. */
export function hearingReturns(
  report: (failure: string | null) => void,
  back: () => void,
): (failure: string | null) => void {
  let failed = false
  return (failure) => {
    report(failure)
    if (failed && failure === null) back()
    failed = failure !== null
  }
}
