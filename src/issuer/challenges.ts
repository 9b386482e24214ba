import { createHmac } from 'node:crypto'
import { equalBytes, toHex } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import type { RandomSource } from '../base/random.ts'
import { issuerErrors } from './errors.ts'

export interface Challenge {
  /** 32 random bytes: the `challenge` of the seed (BRK-91). */
  readonly nonce: Uint8Array
  readonly lifetimeS: number
}

export interface ChallengesOptions {
  readonly clock: Pick<Clock, 'boottime'>
  readonly random: RandomSource
  /** Default 300 (SVC-30). */
  readonly lifetimeS?: number
  /** Challenges open at once; default 4 096. */
  readonly capacity?: number
}

interface OpenChallenge {
  readonly nonce: Uint8Array
  /** Boot time in ms: suspend counts, and a wall clock that is set cannot prolong it. */
  readonly endsAt: number
}

/**
 * Challenges of this verifier: single use, time limited, bounded in number. When the table is full of challenges that are
 * still good, no new one is made: forgetting an old one would let a flood cut off everybody else.
 */
export class Challenges {
  #options: Required<ChallengesOptions>
  /** Under a keyed hash of the nonce: how long a look-up takes says nothing about the nonces in the table. */
  #open = new Map<string, OpenChallenge>()
  #key: Uint8Array

  constructor({ lifetimeS = 300, capacity = 4096, ...options }: ChallengesOptions) {
    this.#options = { ...options, lifetimeS, capacity }
    this.#key = options.random(32)
  }

  /** Makes a challenge; throws `CHALLENGES_EXHAUSTED` when too many are open. */
  issue(): Challenge {
    const { clock, random, lifetimeS, capacity } = this.#options
    this.#dropExpired()
    if (this.#open.size >= capacity) throw issuerErrors.error('CHALLENGES_EXHAUSTED', `${capacity} challenges are open`)
    const nonce = Uint8Array.from(random(32))
    this.#open.set(this.#indexOf(nonce), { nonce, endsAt: clock.boottime() + lifetimeS * 1000 })
    return { nonce: Uint8Array.from(nonce), lifetimeS }
  }

  /** True once for a challenge of ours that has not expired; false for anything else. */
  redeem(nonce: Uint8Array): boolean {
    const index = this.#indexOf(nonce)
    const found = this.#open.get(index)
    if (!found) return false
    this.#open.delete(index)
    return equalBytes(found.nonce, nonce) && this.#options.clock.boottime() < found.endsAt
  }

  /** Forgets all: after a snapshot was restored another copy of this machine may hold them (BRK-63). */
  invalidateAll(): void {
    this.#open.clear()
    this.#key = this.#options.random(32)
  }

  /** All live equally long, so the oldest end first. */
  #dropExpired(): void {
    const now = this.#options.clock.boottime()
    for (const [index, { endsAt }] of this.#open) {
      if (endsAt > now) return
      this.#open.delete(index)
    }
  }

  #indexOf(nonce: Uint8Array): string {
    return toHex(createHmac('sha256', this.#key).update(nonce).digest())
  }
}
