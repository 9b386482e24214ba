import type { EntryDescription, ServedToken } from '../results/served-token.ts'
import type { TokenDemand, TokenRequest } from '../results/token-request.ts'

/**
 * Port to the token broker. `obtainToken` rejects with an `AttestdError` whose code is one of the API's, and
 * soon after the signal aborts or the time is over; `describe` tells what the cache holds and starts nothing.
 */
export interface TokenProvider {
  /** What `obtainToken` would give without waiting, or null; throws what it would reject with at once. */
  takeAtHand(request: TokenRequest, demand: TokenDemand): ServedToken | null
  obtainToken(request: TokenRequest, demand: TokenDemand, signal: AbortSignal): Promise<ServedToken>
  describe(request: TokenRequest): EntryDescription
}

/** A configured issuer, as far as requests need to know it. */
export interface IssuerFacts {
  readonly name: string
  /** Life of its tokens when nobody asks for another, in seconds. */
  readonly usualLifetimeS: number
  /** The only audience that it can name; null: any (API-96). */
  readonly fixedAudience: string | null
  readonly policyIds: readonly string[]
}

export interface TokenSettings {
  readonly issuers: readonly IssuerFacts[]
  readonly defaultIssuer: string
  readonly defaultAudiences: readonly string[]
}
