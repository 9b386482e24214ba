import type { JsonObject } from '../base/json.ts'

/** What a token must be, whoever asks for it. The broker's key of the cache is made of this (BRK-01). */
export interface TokenRequest {
  /** Name of a configured issuer, never a URL (API-112). */
  readonly issuer: string
  readonly tokenType: 'OIDC'
  /** Sorted by bytes, unique. */
  readonly audience: readonly string[]
  /** In the order of the request. */
  readonly nonces: readonly string[]
  readonly ttlS: number | null
  readonly policyIds: readonly string[]
  /** Public key that the token is bound to (RFC 7800), with its RFC 7638 thumbprint. */
  readonly cnf: { readonly jkt: string; readonly jwk: JsonObject } | null
  readonly fresh: boolean
}

export interface TokenDemand {
  /** Seconds that must be left; null: the smaller of 60 s and a fifth of the token's life. */
  readonly minValidS: number | null
  readonly timeoutMs: number
  /** Whom fairness and caps are counted for: `unit:payments.service`, `uid:1001`. */
  readonly caller: string
}

/** A token that has passed all checks; times in whole seconds from its verified claims (API-98). */
export interface ServedToken {
  readonly token: string
  /** The claim `iss`. */
  readonly issuer: string
  readonly audience: readonly string[]
  readonly issuedAt: number
  readonly expiresAt: number
  readonly refreshAt: number
  readonly jti: string
  readonly source: 'cache' | 'cache-refreshing' | 'cache-degraded' | 'issued'
  readonly generation: number
}

export interface TokenState {
  readonly state: string
  readonly expiresAt: number | null
  readonly refreshAt: number | null
  readonly generation: number
  readonly lastError: { readonly code: string; readonly at: number } | null
}

/**
 * Port to the token broker. `obtainToken` rejects with an `AttestdError` whose code is one of the API's, and
 * soon after the signal aborts or the time is over; `describe` tells what the cache holds and starts nothing.
 */
export interface TokenProvider {
  obtainToken(request: TokenRequest, demand: TokenDemand, signal: AbortSignal): Promise<ServedToken>
  describe(request: TokenRequest): TokenState
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
