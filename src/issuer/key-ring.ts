import { type Clock, secondsOf } from '../base/clock.ts'
import { issuerErrors } from './errors.ts'
import {
  activateKey,
  addKey,
  correctFutureDates,
  type KeySchedule,
  type KeyStep,
  nextKeyStep,
  removeKey,
  retireKey,
} from './key-schedule.ts'
import { type KeyChange, type KeyRecord, type KeyState, listKeyChanges, maxKeys } from './key-state.ts'
import { type KeyRingStore, saveKeyState } from './key-store.ts'
import {
  generateSigningKey,
  type PublicJwk,
  type SigningAlgorithm,
  type SigningKey,
  signingAlgorithms,
} from './signing-key.ts'

export interface KeyEvent {
  readonly event: KeyChange['event'] | 'ephemeral' | 'failed'
  readonly kid?: string
  readonly alg?: SigningAlgorithm
  /** Of the error, where something failed. */
  readonly code?: string
}

export interface KeyRingOptions {
  /** What the keys sign: `id-token`. Keys for something else are another ring with another store (TOK-50). */
  readonly purpose: string
  /** `ephemeral`: nothing is kept, and tokens die with the process (TOK-54). */
  readonly store: KeyRingStore | 'ephemeral'
  /** RS256 and any others: one active key for each (TOK-07). */
  readonly algorithms: readonly SigningAlgorithm[]
  readonly clock: Clock
  /** Age at which a key is replaced; default 90 days. */
  readonly rotationS?: number
  /** `max-age` with which the key set is served; default 3 600. */
  readonly jwksMaxAgeS?: number
  /** Keys to begin with in place of new ones, when nothing is stored yet: at most one for an algorithm. */
  readonly initialKeys?: readonly SigningKey[]
  /** For log, metrics and audit. */
  readonly report?: (event: KeyEvent) => void
}

export interface PublicKeySet {
  readonly keys: readonly PublicJwk[]
}

/** What `keys list` shows. */
export interface KeyDescription {
  readonly kid: string
  readonly alg: SigningAlgorithm
  readonly state: KeyRecord['state']
  /** Seconds since the epoch. */
  readonly since: number
}

const stateOrder = { active: 0, published: 1, retiring: 2 } as const

/** The keys of one purpose and their way through `published → active → retiring → removed` (TOK-50 to TOK-55). */
export class KeyRing {
  readonly ephemeral: boolean
  #options: KeyRingOptions
  #schedule: KeySchedule
  #state: KeyState
  #stored: KeyState
  #published: PublicKeySet
  /** Boot time in ms at which a key entered its state, for changes of this process. */
  #changedAt = new Map<string, number>()
  /** Keys that were made and not stored yet: a disk that stays full must not cost a new RSA key every minute. */
  #spare = new Map<SigningAlgorithm, SigningKey>()
  #last: Promise<unknown> = Promise.resolve()

  /** Use `openKeyRing`. */
  constructor(options: KeyRingOptions, schedule: KeySchedule, state: KeyState) {
    this.ephemeral = options.store === 'ephemeral'
    this.#options = options
    this.#schedule = schedule
    this.#state = state
    this.#stored = state
    this.#published = composeKeySet(state)
  }

  /** The key set as served; the same object until a key changes. */
  jwks(): PublicKeySet {
    return this.#published
  }

  /** Algorithms with a key in the key set, RS256 first. */
  algorithms(): SigningAlgorithm[] {
    return signingAlgorithms.filter((alg) => this.#state.keys.some(({ key }) => key.alg === alg))
  }

  list(): KeyDescription[] {
    return this.#state.keys.map(({ key, state, since }) => ({ kid: key.kid, alg: key.alg, state, since }))
  }

  /**
   * The keys of the key set with their private parts, in its order: for certificates that show them. What signs tokens
   * is `signingKey`.
   */
  published(): readonly SigningKey[] {
    return sortRecords(this.#state).map(({ key }) => key)
  }

  isPublished(kid: string): boolean {
    return this.#state.keys.some(({ key }) => key.kid === kid)
  }

  /** The key that signs. Throws `SIGNING_KEY_NOT_READY` while a new key waits for cached key sets to expire. */
  signingKey(alg: SigningAlgorithm): SigningKey {
    const found = this.#find(alg, 'active')
    if (found) return found.key
    const waiting = this.#find(alg, 'published')
    const ready_in_s = waiting ? Math.max(0, this.#schedule.publicationS - this.#elapsedS(waiting)) : -1
    throw issuerErrors.error('SIGNING_KEY_NOT_READY', `no ${alg} key may sign yet`, { facts: { alg, ready_in_s } })
  }

  /** Makes every change that is due. Rejects with `KEY_STATE_UNWRITABLE`, and then everything stays as it was. */
  advance(): Promise<void> {
    return this.#exclusively(async () => {
      await this.#commit(correctFutureDates(this.#state, this.#now()))
      await this.#settle()
    })
  }

  /** Publishes a successor now; it signs when cached key sets have expired. Without effect if one waits already. */
  rotate(alg: SigningAlgorithm): Promise<void> {
    return this.#exclusively(async () => {
      if (!this.#options.algorithms.includes(alg)) {
        throw issuerErrors.error('KEY_CONFIGURATION', `${alg} is not among the configured algorithms`)
      }
      if (this.#find(alg, 'published') || this.#state.keys.length >= maxKeys) return
      await this.#take({ kind: 'publish', alg })
    })
  }

  /**
   * Takes a compromised key out of use at once and for ever (TOK-53). It is out of memory before it is out of the store:
   * if storing fails the call rejects, and `advance` or another call stores it. A new key signs after its publication
   * (TOK-51), or at once with `signAtOnce`: relying parties with a cached key set then refuse until they fetch again.
   */
  revoke(kid: string, { signAtOnce = false }: { readonly signAtOnce?: boolean } = {}): Promise<void> {
    return this.#exclusively(async () => {
      if (this.isPublished(kid)) {
        this.#adopt(removeKey(this.#state, kid, 'revoked', this.#now()))
      } else if (!this.#state.tombstones.some((tombstone) => tombstone.kid === kid)) {
        throw issuerErrors.error('KEY_UNKNOWN', 'the key set has no key of this name')
      }
      await this.#commit(this.#state)
      for (const alg of signAtOnce ? this.#options.algorithms : []) {
        if (!this.#find(alg, 'active')) await this.#replaceAtOnce(alg)
      }
      await this.#settle()
    })
  }

  async #settle(): Promise<void> {
    for (;;) {
      const step = nextKeyStep(this.#state, this.#options.algorithms, this.#schedule, (record) =>
        this.#elapsedS(record),
      )
      if (!step) return
      await this.#take(step)
    }
  }

  async #replaceAtOnce(alg: SigningAlgorithm): Promise<void> {
    const waiting = this.#find(alg, 'published')
    if (waiting) return this.#commit(activateKey(this.#state, waiting.key.kid, this.#now()))
    if (this.#state.keys.length >= maxKeys) return
    await this.#addNewKey(alg, 'active')
  }

  async #addNewKey(alg: SigningAlgorithm, as: 'published' | 'active'): Promise<void> {
    const key = this.#spare.get(alg) ?? (await generateSigningKey(alg))
    this.#spare.set(alg, key)
    await this.#commit(addKey(this.#state, key, as, this.#now()))
    this.#spare.delete(alg)
  }

  async #take(step: KeyStep): Promise<void> {
    const now = this.#now()
    if (step.kind === 'publish') await this.#addNewKey(step.alg, 'published')
    else if (step.kind === 'activate') await this.#commit(activateKey(this.#state, step.kid, now))
    else if (step.kind === 'retire') await this.#commit(retireKey(this.#state, step.kid, now))
    else await this.#commit(removeKey(this.#state, step.kid, 'removed', now))
  }

  #find(alg: SigningAlgorithm, state: KeyRecord['state']): KeyRecord | undefined {
    return this.#state.keys.find((record) => record.key.alg === alg && record.state === state)
  }

  #now(): number {
    return secondsOf(this.#options.clock)
  }

  /** The lesser of two clocks: a wall clock that is set forward must not cut the time short that caches need. */
  #elapsedS({ key, since }: KeyRecord): number {
    const wall = this.#now() - since
    const changedAt = this.#changedAt.get(key.kid)
    return changedAt === undefined ? wall : Math.min(wall, (this.#options.clock.boottime() - changedAt) / 1000)
  }

  /** Stored first, then in force: a key that signs is always one that a restart finds again (TOK-52). */
  async #commit(next: KeyState): Promise<void> {
    if (next === this.#stored) return
    if (this.#options.store !== 'ephemeral') await saveKeyState(this.#options.store, next)
    this.#stored = next
    if (next !== this.#state) this.#adopt(next)
  }

  #adopt(next: KeyState): void {
    const changes = listKeyChanges(this.#state, next)
    this.#state = next
    this.#published = composeKeySet(next)
    for (const { event, key } of changes) {
      if (event === 'removed' || event === 'revoked') this.#changedAt.delete(key.kid)
      else this.#changedAt.set(key.kid, this.#options.clock.boottime())
      this.#options.report?.({ event, kid: key.kid, alg: key.alg })
    }
  }

  #exclusively(change: () => Promise<void>): Promise<void> {
    const done = this.#last.then(change)
    this.#last = done.catch(() => {})
    return done
  }
}

function sortRecords({ keys }: KeyState): KeyRecord[] {
  return [...keys].sort((left, right) => stateOrder[left.state] - stateOrder[right.state])
}

function composeKeySet(state: KeyState): PublicKeySet {
  return { keys: sortRecords(state).map(({ key }) => key.publicJwk) }
}
