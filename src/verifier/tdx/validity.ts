import { secondOf } from '../../base/pki/whole-second.ts'
import type { QuoteCheckId } from './checks.ts'
import type { QuoteChecklist } from './quote-form.ts'

/** When something is valid: milliseconds since the epoch, both bounds included. */
export interface Period {
  readonly start: number
  readonly end: number
}

/** The times that one appraisal is about: now, and how long after its end collateral is still used. */
export interface Moment {
  /** Milliseconds since the epoch, cut to whole seconds. */
  readonly now: number
  readonly graceSeconds: number
}

export function momentOf(now: number, graceSeconds: number): Moment {
  if (!(Number.isFinite(graceSeconds) && graceSeconds >= 0)) throw new TypeError('a grace period is 0 seconds or more')
  return { now: secondOf(now), graceSeconds }
}

const shown = (time: number) => new Date(time).toISOString()

function startProblem({ start }: Period, { now }: Moment): string | null {
  return now < start ? `begins at ${shown(start)}` : null
}

/** A document or list: it must have begun, and its end may be overrun by the grace that the policy gives (TDX-190). */
export function judgePeriod(checklist: QuoteChecklist, id: QuoteCheckId, period: Period, moment: Moment): void {
  const early = startProblem(period, moment)
  const { now, graceSeconds } = moment
  if (early !== null) checklist.fail(id, early)
  else if (now <= period.end) checklist.pass(id)
  else if (now <= period.end + graceSeconds * 1000) {
    checklist.waive(id, `policy.collateralGraceSeconds is ${graceSeconds}; ended at ${shown(period.end)}`)
  } else checklist.fail(id, `ended at ${shown(period.end)}`)
}
