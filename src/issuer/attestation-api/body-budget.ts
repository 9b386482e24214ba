import { attestationErrors } from './errors.ts'

/** What one request holds of the budget. */
export interface BodyHold {
  /** Throws `AS.SERVICE.OVERLOADED` where so much more cannot be held. */
  take(bytes: number): void
  /** Gives all of it back. */
  release(): void
}

/**
 * Bytes of bodies that all requests together may hold. Each of them is bounded, and a thousand connections that send the
 * longest body would still fill the memory.
 */
export class BodyBudget {
  readonly #most: number
  #held = 0

  constructor(most: number) {
    this.#most = most
  }

  hold(): BodyHold {
    let own = 0
    return {
      take: (bytes) => {
        if (this.#held + bytes > this.#most) {
          throw attestationErrors.error(
            'AS.SERVICE.OVERLOADED',
            'the requests of others hold all the memory for bodies',
          )
        }
        this.#held += bytes
        own += bytes
      },
      release: () => {
        this.#held -= own
        own = 0
      },
    }
  }
}
