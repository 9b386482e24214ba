import { unknownAddress } from './client-address.ts'
import { attestationErrors } from './errors.ts'

/** What one request holds of the budget. */
export interface BodyHold {
  /** Throws `AS.SERVICE.OVERLOADED` where so much more cannot be held. What was released holds nothing any more. */
  take(bytes: number): void
  /** Gives all of it back. */
  release(): void
}

/** Of the whole, for one address: a few clients that send slowly must not keep everybody else out. */
const share = 0.25

/**
 * Bytes of bodies that all requests together may hold. Each of them is bounded, and a thousand connections that send the
 * longest body would still fill the memory. The requests of one address have a quarter of it.
 */
export class BodyBudget {
  readonly #most: number
  #held = 0
  readonly #heldBy = new Map<string, number>()

  constructor(most: number) {
    this.#most = most
  }

  /** For a request of the client with this address, as `addressKey` gives it. */
  hold(key: string): BodyHold {
    // Whoever speaks through a Unix socket may be a proxy, behind which everybody is.
    const address = key === unknownAddress ? null : key
    let own = 0
    let isReleased = false
    return {
      take: (bytes) => {
        // Nobody would give it back: who hangs up again and again would use the memory up for everybody.
        if (isReleased) return
        this.#require(address, bytes)
        this.#add(address, bytes)
        own += bytes
      },
      release: () => {
        this.#add(address, -own)
        own = 0
        isReleased = true
      },
    }
  }

  #require(address: string | null, bytes: number): void {
    const refuse = (says: string) => attestationErrors.error('AS.SERVICE.OVERLOADED', says)
    if (this.#held + bytes > this.#most) throw refuse('the requests of others hold all the memory for bodies')
    if (address === null) return
    const ofClient = this.#heldBy.get(address) ?? 0
    if (ofClient + bytes > this.#most * share) throw refuse('the requests of this address hold its share of the memory')
  }

  #add(address: string | null, bytes: number): void {
    this.#held += bytes
    if (address === null) return
    const left = (this.#heldBy.get(address) ?? 0) + bytes
    if (left > 0) this.#heldBy.set(address, left)
    else this.#heldBy.delete(address)
  }
}
