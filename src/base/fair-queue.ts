/** On whose behalf something waits, and whether anybody waits for it now. */
export interface Standing {
  /** `uid:0`, `unit:x`: turns go round over callers, whatever number of things each of them wants (API-84). */
  readonly caller: string
  /** Nobody waits for it: it is served when nothing else is left, and has a quarter of the places (BRK-81). */
  readonly background: boolean
}

/** Of this many places one is for background work. */
const backgroundPart = 4

/** Callers of one round that are remembered at most. */
const mostRemembered = 4096

/**
 * What waits of each caller, in the order of arrival. In a round every caller is served once; it ends when all who wait have
 * been served in it, so that who comes late is before everybody's second thing.
 */
class Lanes<T> {
  readonly #lanes = new Map<string, Set<T>>()
  /** Callers who were served in this round, also those of whom nothing waits any more. */
  readonly #served = new Set<string>()
  #size = 0

  get size(): number {
    return this.#size
  }

  sizeOf(caller: string): number {
    return this.#lanes.get(caller)?.size ?? 0
  }

  add(item: T, caller: string): void {
    const lane = this.#lanes.get(caller) ?? new Set<T>()
    lane.add(item)
    this.#lanes.set(caller, lane)
    this.#size++
  }

  remove(item: T, caller: string): boolean {
    const lane = this.#lanes.get(caller)
    if (lane === undefined || !lane.delete(item)) return false
    if (lane.size === 0) this.#lanes.delete(caller)
    this.#size--
    return true
  }

  #nextCaller(): string | undefined {
    for (const caller of this.#lanes.keys()) if (!this.#served.has(caller)) return caller
    this.#served.clear()
    return this.#lanes.keys().next().value
  }

  /** The oldest of the caller whose turn it is. */
  take(): T | undefined {
    const caller = this.#nextCaller()
    if (caller === undefined) return undefined
    const item = this.#lanes.get(caller)?.values().next().value
    if (item === undefined) throw new TypeError('a caller without anything that waits')
    this.remove(item, caller)
    if (this.#served.size >= mostRemembered) this.#served.clear()
    this.#served.add(caller)
    return item
  }

  /** How many are served at most before the one of `caller` that `own` others of the same caller are before. */
  ahead(caller: string, own: number): number {
    const lateness = (name: string) => (this.#served.has(name) ? 1 : 0)
    const round = own + lateness(caller)
    let ahead = own
    for (const [other, { size }] of this.#lanes) {
      if (other !== caller) ahead += Math.min(size, Math.max(round - lateness(other) + 1, 0))
    }
    return ahead
  }

  /** Takes the newest of the caller with most, if that is more than `least`. */
  takeFromLongest(least: number): T | undefined {
    let longest: readonly [string, Set<T>] | undefined
    for (const lane of this.#lanes) if (lane[1].size > Math.max(least, longest?.[1].size ?? 0)) longest = lane
    if (longest === undefined) return undefined
    const newest = [...longest[1]].at(-1)
    if (newest !== undefined) this.remove(newest, longest[0])
    return newest
  }
}

/**
 * A bounded queue that is served round-robin over callers, not first come first served (API-84), with background work
 * behind all else. When it is full, one who has fewer things in it than another takes the place of that other's newest:
 * a flood is turned away at the door, and not those who come after it.
 */
export class FairQueue<T> {
  readonly #capacity: number
  readonly #foreground = new Lanes<T>()
  readonly #background = new Lanes<T>()

  /** `capacity`: things that may wait; of them a quarter, rounded down, in the background. */
  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#foreground.size + this.#background.size
  }

  #lanesOf({ background }: Standing): Lanes<T> {
    return background ? this.#background : this.#foreground
  }

  /** Takes `item` in; gives what has no place now, which may be `item` itself, or null. */
  add(item: T, standing: Standing): T | null {
    const lanes = this.#lanesOf(standing)
    const refused = this.#crowdedOut(lanes, standing)
    if (refused === 'newcomer') return item
    lanes.add(item, standing.caller)
    return refused
  }

  #crowdedOut(lanes: Lanes<T>, { caller, background }: Standing): T | null | 'newcomer' {
    const fuller = lanes.sizeOf(caller) + 1
    const backgroundFull = this.#background.size >= Math.floor(this.#capacity / backgroundPart)
    if (background && backgroundFull) return lanes.takeFromLongest(fuller) ?? 'newcomer'
    if (this.size < this.#capacity) return null
    if (background) return lanes.takeFromLongest(fuller) ?? 'newcomer'
    return this.#background.takeFromLongest(0) ?? lanes.takeFromLongest(fuller) ?? 'newcomer'
  }

  /** True if it waited; `standing` as it was added with. */
  remove(item: T, standing: Standing): boolean {
    return this.#lanesOf(standing).remove(item, standing.caller)
  }

  /** What is served next, taken out. */
  take(): T | undefined {
    return this.#foreground.take() ?? this.#background.take()
  }

  /**
   * How many of those that wait are served before one that would come now; `own`: how many of the same caller, if not all.
   * At most: it may be served sooner.
   */
  ahead(standing: Standing, own = this.#lanesOf(standing).sizeOf(standing.caller)): number {
    const ahead = this.#lanesOf(standing).ahead(standing.caller, own)
    return standing.background ? ahead + this.#foreground.size : ahead
  }
}
