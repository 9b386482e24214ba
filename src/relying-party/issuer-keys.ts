import { AttestdError } from '../base/errors.ts'
import { relyingPartyErrors } from './errors.ts'
import type { KeySource } from './key-source.ts'
import { createKeyTransport } from './key-transport.ts'
import { type KeyAccess, obtainKeySet } from './obtain-keys.ts'
import type { PublicKeySet } from './public-keys.ts'
import { systemClock } from './token-clock.ts'

const minute = 60_000
const hour = 60 * minute

/** Ages and distances in milliseconds. */
const keyAges = {
  /** A set of this age is fetched again before it is used, so that a removed key stops working. */
  refresh: hour,
  /** A set of this age is used no more, even if its issuer cannot be reached (TOK-82). */
  most: 24 * hour,
  /** Least distance of two refetches (TOK-82). */
  betweenRefetches: minute,
  /** Least distance of two attempts while there is no set that may be used. */
  betweenAttempts: 5_000,
} as const

interface Snapshot {
  readonly keys: PublicKeySet
  readonly wall: number
  readonly monotonic: number
}

/** The keys of one issuer, fetched by discovery when they are needed, one fetch at a time. */
class IssuerKeys implements KeySource {
  #issuer: string
  #access: KeyAccess
  #snapshot: Snapshot | undefined
  #failure: AttestdError | undefined
  #fetching: Promise<void> | undefined
  /** Of the last refetch or failure. Monotonic: a wall clock that is set back must not block refetches for long. */
  #lastAttempt = Number.NEGATIVE_INFINITY

  constructor(issuer: string, access: KeyAccess) {
    this.#issuer = issuer
    this.#access = access
  }

  async current(): Promise<PublicKeySet> {
    if (this.#age() >= keyAges.refresh) await this.#fetchIfAllowed()
    if (this.#snapshot !== undefined && this.#age() < keyAges.most) return this.#snapshot.keys
    throw (
      this.#failure ?? relyingPartyErrors.error('keys_unavailable', `${this.#issuer}: no key set of the last 24 hours`)
    )
  }

  async refetched(seen: PublicKeySet): Promise<PublicKeySet | undefined> {
    if (this.#snapshot?.keys === seen) await this.#fetchIfAllowed()
    return this.#snapshot?.keys === seen ? undefined : this.#snapshot?.keys
  }

  /** The larger of two readings: the wall clock counts suspend, the monotonic one is not set back. */
  #age(): number {
    if (this.#snapshot === undefined) return Number.POSITIVE_INFINITY
    const { clock } = this.#access
    return Math.max(clock.now() - this.#snapshot.wall, clock.monotonic() - this.#snapshot.monotonic)
  }

  async #fetchIfAllowed(): Promise<void> {
    if (this.#fetching === undefined) {
      const distance = this.#age() < keyAges.most ? keyAges.betweenRefetches : keyAges.betweenAttempts
      if (this.#access.clock.monotonic() < this.#lastAttempt + distance) return
      this.#fetching = this.#fetch().finally(() => {
        this.#fetching = undefined
      })
    }
    await this.#fetching
  }

  /** A failure keeps the set that was there; its age goes on. */
  async #fetch(): Promise<void> {
    const { clock } = this.#access
    if (this.#snapshot !== undefined) this.#lastAttempt = clock.monotonic()
    try {
      const keys = await obtainKeySet(this.#issuer, this.#access)
      this.#snapshot = { keys, wall: clock.now(), monotonic: clock.monotonic() }
      this.#failure = undefined
    } catch (error) {
      if (!(error instanceof AttestdError)) throw error
      this.#failure = error
      this.#lastAttempt = clock.monotonic()
    }
  }
}

/** How the keys of an issuer are discovered; every member has a default. */
export type IssuerKeysOptions = Partial<KeyAccess>

/**
 * Keys by discovery: fetched on first use, again when a token names an unknown key (at most once in 60 s) and when the
 * set is an hour old. When the issuer cannot be reached the set is used until it is 24 hours old; then, and when there
 * never was one, verification fails with `keys_unavailable` (TOK-82). Share one source among the verifiers of an issuer.
 */
export function discoverKeys(issuer: string, options: IssuerKeysOptions = {}): KeySource {
  return new IssuerKeys(issuer, {
    transport: options.transport ?? createKeyTransport(),
    clock: options.clock ?? systemClock,
    allowLoopbackHttp: options.allowLoopbackHttp ?? false,
  })
}
