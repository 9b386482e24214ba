import type { FetchedToken } from './fetched-token.ts'
import type { ClientClock } from './process-clock.ts'

/** Seconds that a token must have left whatever the caller says (API-90). */
const floorS = 5
const floorOnDemandS = 1
/** An agent that cannot renew a token gives the same one again: it is not asked at every call (API-91). */
const shortestPauseMs = 1000
const longestPauseMs = 30_000
/** What the agent declared worthless is given for so long at most while the agent answers (BRK-76). */
const recheckMs = 30_000

/** What a token must have left, in seconds: what the caller wants, else `min(60, 20 % of its life)`, never nothing. */
function demandedS({ issuedAt, expiresAt }: FetchedToken, minValidS: number | null): number {
  if (minValidS === 0) return floorOnDemandS
  return Math.max(floorS, minValidS ?? Math.min(60, 0.2 * (expiresAt - issuedAt)))
}

/** A token and when it came. */
export class KeptToken {
  readonly token: FetchedToken
  #clock: ClientClock
  #wall: number
  #monotonic: number
  /** Monotonic time before which no newer one is asked for. */
  #restUntil: number

  constructor(token: FetchedToken, clock: ClientClock) {
    this.token = token
    this.#clock = clock
    this.#wall = clock.now()
    this.#monotonic = clock.monotonic()
    this.#restUntil = this.#monotonic + Math.min(longestPauseMs, Math.max(shortestPauseMs, this.#leftMs() / 20))
  }

  /**
   * Milliseconds until the token expires, by the clock of the wall and by the time since it came, whichever is less:
   * neither a clock that is set back nor a machine that slept makes an expired token live again.
   */
  #leftMs(): number {
    const expiry = this.token.expiresAt * 1000
    return expiry - Math.max(this.#clock.now(), this.#wall + this.#clock.monotonic() - this.#monotonic)
  }

  satisfies(minValidS: number | null): boolean {
    return this.#leftMs() >= demandedS(this.token, minValidS) * 1000
  }

  /** True from `refreshAt` on, and once it was kept for half a minute; but not again until a pause is over. */
  isDue(): boolean {
    const { refreshAt, expiresAt } = this.token
    const now = this.#clock.monotonic()
    const old = this.#leftMs() <= (expiresAt - refreshAt) * 1000 || now >= this.#monotonic + recheckMs
    return old && now >= this.#restUntil
  }

  /** Asks for a newer one no sooner than `ms` from now, of which half a minute counts. */
  rest(ms: number): void {
    this.#restUntil = this.#clock.monotonic() + Math.min(longestPauseMs, Math.max(shortestPauseMs, ms))
  }
}
