import type { Clock } from '../../base/clock.ts'
import type { RandomSource } from '../../base/random.ts'
import type { Task } from '../../base/tasks.ts'
import type { Collateral } from '../../endorsements/tdx/collateral.ts'
import type { AuthenticateItem, CollateralEvent, CollateralStore, HeldItemState, ItemSource } from './ports.ts'
import type { CollateralQuery } from './query.ts'

export interface CollateralSourceOptions {
  /** In order: the next is asked where one fails (TDX-200, PCS-01). At least one. */
  readonly sources: readonly ItemSource[]
  readonly authenticate: AuthenticateItem
  /** Null: nothing is kept over a restart. */
  readonly store: CollateralStore | null
  readonly clock: Clock
  readonly random: RandomSource
  /** Ends what is under way; requests after that are rejected with its reason. */
  readonly lifetime: AbortSignal
  readonly report?: (event: CollateralEvent) => void
  /** How long after nextUpdate an item is still handed out where no source has a newer one; default 0 (TDX-214, TDX-190). */
  readonly graceMs?: number
  /** TCB infos at hand at a time; default 64. The least recently used one makes room. */
  readonly maximumPlatforms?: number
}

export interface CollateralSource {
  /**
   * All items for one platform, each authentic by itself and current. From memory where it can be; otherwise each item
   * is fetched once, however many ask. Rejects with an error of `endorserErrors` or with the reason of `signal`.
   */
  collateralFor(query: CollateralQuery, signal: AbortSignal): Promise<Collateral>
  /** Refreshes what is at hand ahead of its expiry, until its signal aborts (TDX-213). */
  readonly keepCurrent: Task
  /** The items at hand, by name. */
  state(): readonly HeldItemState[]
}
