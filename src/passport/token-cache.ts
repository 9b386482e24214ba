import type { TokenRequest } from '../results/token-request.ts'
import type { BrokerObserver, TokenEnd } from './broker-events.ts'
import { CacheEntry } from './cache-entry.ts'
import type { Instant } from './clock-watch.ts'
import type { Purposes } from './declared-request.ts'
import type { BrokerLimits } from './limits.ts'

/** First to go when room is needed: without a token, then idle, then the one that was used least lately (BRK-04). */
function worth(entry: CacheEntry): number {
  if (entry.held === null) return 0
  return entry.state.kind === 'idle' ? 1 : 2
}

function lessWorth(left: CacheEntry, right: CacheEntry): number {
  return worth(left) - worth(right) || left.lastUseAt - right.lastUseAt
}

/**
 * The entries by key, within bounds (BRK-04). Declared entries do not count and never go; neither does one that somebody
 * waits for, else a key could have two flights. A new token of an existing entry needs no room and displaces nothing.
 */
export class TokenCache {
  readonly #limits: Pick<BrokerLimits, 'entries' | 'entriesPerCaller'>
  readonly #observe: BrokerObserver
  readonly #entries = new Map<string, CacheEntry>()

  constructor(limits: Pick<BrokerLimits, 'entries' | 'entriesPerCaller'>, observe: BrokerObserver) {
    this.#limits = limits
    this.#observe = observe
  }

  find(key: string): CacheEntry | undefined {
    return this.#entries.get(key)
  }

  /** In the order of their making. Entries may be dropped while this is read. */
  all(): IterableIterator<CacheEntry> {
    return this.#entries.values()
  }

  /** Makes or takes over the entry of a declared request. */
  declare(key: string, request: TokenRequest, purposes: Purposes): void {
    const entry = this.#entries.get(key) ?? this.#add(new CacheEntry(key, request, null, this.#observe))
    entry.declared(purposes)
  }

  /** Makes an entry for `creator`; `undefined` where every entry that could make room is being waited for. */
  make(key: string, request: TokenRequest, creator: string, instant: Instant): CacheEntry | undefined {
    if (!this.#makeRoom(creator, instant)) return undefined
    return this.#add(new CacheEntry(key, request, creator, this.#observe))
  }

  #add(entry: CacheEntry): CacheEntry {
    this.#entries.set(entry.key, entry)
    return entry
  }

  #makeRoom(creator: string, instant: Instant): boolean {
    const made = [...this.#entries.values()].filter((entry) => entry.creator !== null)
    const own = made.filter((entry) => entry.creator === creator)
    if (own.length >= this.#limits.entriesPerCaller) return this.#dropOne(own)
    if (made.length < this.#limits.entries) return true
    for (const entry of made) entry.age(instant)
    return this.#dropOne(made.sort(lessWorth))
  }

  #dropOne(candidates: readonly CacheEntry[]): boolean {
    const victim = candidates.find(({ waiters }) => waiters === 0)
    if (victim === undefined) return false
    this.drop(victim, 'evicted')
    return true
  }

  /** Forgets an entry with its token and whatever is under way for it (BRK-10). */
  drop(entry: CacheEntry, why: TokenEnd): void {
    entry.emptied(why)
    this.#entries.delete(entry.key)
  }
}
