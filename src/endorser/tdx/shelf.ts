import type { Clock } from '../../base/clock.ts'
import { type AttestdError, MalformedError } from '../../base/errors.ts'
import { drawUnit, type RandomSource } from '../../base/random.ts'
import { type CollateralItem, factsOfItem, type ItemFacts } from './collateral-item.ts'
import { type ItemKey, nameOfItem } from './item-key.ts'
import { expiryWarningMs, pauseAfterFailure, pauseBeforeRefresh } from './item-window.ts'
import type { ObtainedItem } from './obtain-item.ts'
import type { AuthenticateItem, CollateralEvent, CollateralStore, HeldItemState } from './ports.ts'
import { encodeStoredItem, longestStoredItem, parseStoredItem } from './stored-item.ts'

/** An item at hand. It stays when it is past its time: what replaces it must not be older (TDX-212). */
export interface HeldItem {
  readonly key: ItemKey
  readonly item: CollateralItem
  readonly facts: ItemFacts
  /** Milliseconds since the epoch. */
  readonly fetchedAt: number
  /** Null: from the store. */
  readonly source: string | null
  /** When it is to be asked for again, on the clock that neither jumps nor sleeps (`Clock.boottime`). */
  readonly dueAt: number
  readonly failures: number
}

export interface ShelfOptions {
  readonly store: CollateralStore | null
  readonly authenticate: AuthenticateItem
  readonly clock: Clock
  readonly random: RandomSource
  readonly report: (event: CollateralEvent) => void
  readonly maximum: number
}

const suffix = '.item'

/** The items at hand, in memory and in the store; the least recently used one makes room (TDX-210, TDX-215). */
export class Shelf {
  #options: ShelfOptions
  #items = new Map<string, HeldItem>()
  #opened: Promise<void> | undefined

  constructor(options: ShelfOptions) {
    this.#options = options
  }

  /** Takes over what the store has and what is still authentic. Once; a store that fails is reported and left alone. */
  open(): Promise<void> {
    this.#opened ??= this.#load()
    return this.#opened
  }

  find(key: ItemKey): HeldItem | null {
    return this.#items.get(nameOfItem(key)) ?? null
  }

  /** As `find`; the item is the most recently used one after that. */
  use(key: ItemKey): HeldItem | null {
    const held = this.find(key)
    if (held) this.#set(held)
    return held
  }

  /** Puts an obtained item in its place. It is on the disk when the promise resolves, unless the store fails. */
  async put({ key, item, facts, source }: ObtainedItem): Promise<HeldItem> {
    const { clock, random } = this.#options
    const pause = pauseBeforeRefresh(facts, clock.now(), drawUnit(random))
    const dueAt = clock.boottime() + pause
    const held: HeldItem = { key, item, facts, source, fetchedAt: clock.now(), dueAt, failures: 0 }
    this.#set(held)
    await this.#save(held)
    await this.#makeRoom()
    return held
  }

  /** Notes that a refresh of an item at hand failed (TDX-214). */
  noteFailure(key: ItemKey, error: AttestdError): void {
    const held = this.find(key)
    if (!held) return
    const { clock, random, report } = this.#options
    const leftMs = held.facts.nextUpdate - clock.now()
    const dueAt = clock.boottime() + pauseAfterFailure(held.facts, clock.now(), drawUnit(random))
    this.#items.set(nameOfItem(key), { ...held, dueAt, failures: held.failures + 1 })
    const expiring = leftMs < expiryWarningMs
    report({ event: 'collateral_refresh_failed', item: nameOfItem(key), leftMs, expiring, error })
  }

  due(): HeldItem[] {
    const now = this.#options.clock.boottime()
    return [...this.#items.values()].filter(({ dueAt }) => dueAt <= now)
  }

  state(): HeldItemState[] {
    const now = this.#options.clock.now()
    const states = [...this.#items].map(([item, { key, facts, fetchedAt, source, failures }]) => {
      const leftMs = facts.nextUpdate - now
      return { item, key, facts, fetchedAt, source, leftMs, expired: leftMs < 0, failures }
    })
    return states.sort((left, right) => (left.item < right.item ? -1 : 1))
  }

  /** Last in the order of the map is the most recently used. */
  #set(held: HeldItem): void {
    const name = nameOfItem(held.key)
    this.#items.delete(name)
    this.#items.set(name, held)
  }

  async #save({ key, item, fetchedAt }: HeldItem): Promise<void> {
    const name = nameOfItem(key)
    await this.#store(name, (store) => store.write(`${name}${suffix}`, encodeStoredItem({ key, item, fetchedAt })))
  }

  async #makeRoom(): Promise<void> {
    for (const name of this.#items.keys()) {
      if (this.#items.size <= this.#options.maximum) return
      this.#items.delete(name)
      await this.#store(name, (store) => store.remove(`${name}${suffix}`))
    }
  }

  /** Without its store the source still serves: what it cannot keep it obtains again after a restart. */
  async #store<T>(item: string, work: (store: CollateralStore) => Promise<T>): Promise<T | null> {
    const { store, report } = this.#options
    try {
      return store ? await work(store) : null
    } catch (cause) {
      report({ event: 'collateral_store_failed', item, cause })
      return null
    }
  }

  async #load(): Promise<void> {
    const files = (await this.#store('', (store) => store.list())) ?? []
    const names = files.filter((file) => file.endsWith(suffix)).map((file) => file.slice(0, -suffix.length))
    for (const name of names.slice(0, this.#options.maximum)) await this.#loadItem(name)
  }

  async #loadItem(name: string): Promise<void> {
    const bytes = await this.#store(name, (store) => store.read(`${name}${suffix}`, longestStoredItem))
    if (!bytes) return
    try {
      this.#items.set(name, this.#revived(bytes, name))
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error
      this.#options.report({ event: 'collateral_stored_unusable', item: name, problem: error.message })
    }
  }

  /**
   * An item from the disk, which anybody may have written: authenticated again (TDX-215), at the time when it was
   * issued, so that also one past its time keeps older ones out, whatever the clock says.
   */
  #revived(bytes: Uint8Array, name: string): HeldItem {
    const { authenticate, clock, random } = this.#options
    const { key, item, fetchedAt } = parseStoredItem(bytes, name)
    const facts = factsOfItem(item, key)
    const problem = authenticate(item, { now: facts.issueDate })
    if (problem !== null) throw new MalformedError({ path: name }, problem)
    const age = Math.max(clock.now() - fetchedAt, 0)
    const pause = pauseBeforeRefresh(facts, fetchedAt, drawUnit(random))
    return { key, item, facts, fetchedAt, source: null, dueAt: clock.boottime() + pause - age, failures: 0 }
  }
}
