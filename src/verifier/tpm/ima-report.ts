import type { BootAggregateMatch } from '../ima/boot-aggregate.ts'
import type { ImaCounts } from '../ima/ima-progress.ts'
import type { ImaLogVerdict } from '../ima/judge-ima-log.ts'
import type { ImaNamedKind, ImaNamedRecord } from '../ima/named-records.ts'

/** What the covered records of a boot say. */
export interface ImaReport {
  /** Covered records since the boot. */
  readonly records: number
  /** Records behind them, of which nothing is known. */
  readonly pending: number
  readonly counts: ImaCounts
  /** Files that have no reference value, or another one; null where none were compared. */
  readonly notAllowed: number | null
  /**
   * The first names of each kind, escaped (IMA-22), with how often they came: what is not listed is in the counts. Names
   * of violations are covered by nothing.
   */
  readonly named: readonly ImaNamedRecord[]
  readonly isSha1Padded: boolean
  /** Null where there is no first record to compare. */
  readonly bootAggregate: BootAggregateMatch | null
}

export function imaReportOf(verdict: ImaLogVerdict, bootAggregate: BootAggregateMatch | null): ImaReport | null {
  const { progress, judgesFiles, isSha1Padded } = verdict
  if (progress === null) return null
  const { records, counts, named } = progress
  const notAllowed = judgesFiles ? counts.unlisted + counts.changed + counts.unjudged : null
  return { records, pending: verdict.pending?.records ?? 0, counts, notAllowed, named, isSha1Padded, bootAggregate }
}

const shownNames = 4

/** Some names of one kind, for a finding. */
export function namesOf({ named }: ImaReport, ...kinds: readonly ImaNamedKind[]): string {
  const names = kinds.flatMap((kind) => named.filter((one) => one.kind === kind).map(({ name }) => name))
  const shown = names.slice(0, shownNames).join(', ')
  return names.length > shownNames ? `${shown}, …` : shown
}
