import type { Logger } from 'pino'
import type { Clock } from '../../base/clock.ts'
import { AttestdError } from '../../base/errors.ts'
import type { PolicyStore } from '../../registry/policies/policy-store.ts'
import { storeErrors } from '../../registry/store-errors.ts'

/** How a store failed last, for administrators and the log. */
export interface StoreFailure {
  /** Of `storeErrors`. */
  readonly code: string
  readonly remedy: string
  /** Milliseconds since the epoch: when it began. */
  readonly since: number
}

export interface WatchedStoreOptions {
  readonly store: PolicyStore
  readonly clock: Pick<Clock, 'now' | 'sleep'>
  readonly log: Pick<Logger, 'warn' | 'info'>
}

/** What an administrator waits for who asks how the store is. */
const longestLookMs = 2_000
/** Any will do: what is asked for is an answer. */
const lookedAt = 'type:TdxVm'

type Kind = 'read' | 'change'

/**
 * A store of policies, and what is known of its state. While it does not answer, one call at a time finds out whether it is
 * back, and all others are refused at once: requests that each wait for a dead database would pile up, and hold their bodies.
 */
export class WatchedStore {
  /** The store, to be used in its place. It throws what the store throws. */
  readonly policies: PolicyStore
  readonly #options: WatchedStoreOptions
  #failure: StoreFailure | null = null
  /** Of a store that answers nobody; null: all are let through. */
  #silence: AttestdError | null = null
  #isProbed = false

  constructor(options: WatchedStoreOptions) {
    this.#options = options
    const { store } = options
    this.policies = {
      situation: (slot) => this.#ask('read', () => store.situation(slot)),
      active: (slot) => this.#ask('read', () => store.active(slot)),
      version: (slot, number) => this.#ask('read', () => store.version(slot, number)),
      versions: (slot, before) => this.#ask('read', () => store.versions(slot, before)),
      activations: (slot) => this.#ask('read', () => store.activations(slot)),
      slots: () => this.#ask('read', () => store.slots()),
      signers: () => this.#ask('read', () => store.signers()),
      commit: (change) => this.#ask('change', () => store.commit(change)),
    }
  }

  /** Null: the last that was asked of it was answered. */
  get failure(): StoreFailure | null {
    return this.#failure
  }

  /** With what a call would be refused at once: the store is away, and somebody is asking whether it is back. */
  get away(): AttestdError | null {
    return this.#isProbed ? this.#silence : null
  }

  /** Asks the store, and gives its state: at once, or after 2 s in which it said nothing. */
  async look(): Promise<StoreFailure | null> {
    const { clock } = this.#options
    const done = new AbortController()
    const late = clock.sleep(longestLookMs, done.signal).then(
      () => storeErrors.error('registry_unavailable', `no answer within ${longestLookMs} ms`),
      () => null,
    )
    const silence = await Promise.race([this.#answered(), late])
    done.abort()
    return silence === null ? this.#failure : (this.#failure ?? this.#failureOf(silence))
  }

  async #answered(): Promise<null> {
    try {
      await this.policies.active(lookedAt)
    } catch (error) {
      if (!(error instanceof AttestdError)) throw error
    }
    return null
  }

  async #ask<T>(kind: Kind, work: () => Promise<T>): Promise<T> {
    const { away } = this
    if (away !== null) throw away
    if (this.#silence === null) return this.#note(kind, work)
    this.#isProbed = true
    try {
      return await this.#note(kind, work)
    } finally {
      this.#isProbed = false
    }
  }

  async #note<T>(kind: Kind, work: () => Promise<T>): Promise<T> {
    try {
      const result = await work()
      this.#succeeded(kind)
      return result
    } catch (error) {
      if (error instanceof AttestdError && Object.hasOwn(storeErrors.declared, error.code)) this.#failed(kind, error)
      throw error
    }
  }

  #failureOf({ code, remedy }: AttestdError): StoreFailure {
    return { code, remedy, since: this.#options.clock.now() }
  }

  #failed(kind: Kind, error: AttestdError): void {
    // A change that others stood in the way of says nothing of what reading it would.
    if (kind === 'read' && error.code === 'registry_unavailable') this.#silence = error
    if (this.#failure?.code === error.code) return
    this.#failure = this.#failureOf(error)
    const { code, message, remedy } = error
    this.#options.log.warn({ event: 'store_failed', code, remedy }, message)
  }

  #succeeded(kind: Kind): void {
    this.#silence = null
    // What has no room to write is read as before.
    if (this.#failure === null || (kind === 'read' && this.#failure.code === 'registry_storage_full')) return
    this.#failure = null
    this.#options.log.info({ event: 'store_back' }, 'the store of policies does again what it is asked for')
  }
}
