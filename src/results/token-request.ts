import type { JsonObject } from '../base/json.ts'

/** What a caller wants in a token. Everything here can change a claim other than `iat`, `nbf`, `exp` and `jti`. */
export interface TokenRequest {
  /** Name of a configured source of tokens. */
  readonly issuer: string
  readonly tokenType: 'OIDC'
  /** A set: sorted by bytes, each audience once. Empty only where the source has one fixed audience (API-96). */
  readonly audience: readonly string[]
  /** In the caller's order; they come back as `eat_nonce` (API-94). */
  readonly nonces: readonly string[]
  /** A shorter life on request, in seconds; `null` for what the issuer gives. */
  readonly ttlS: number | null
  readonly policyIds: readonly string[]
  /** The key that the token is to name (RFC 7800), with its RFC 7638 thumbprint. */
  readonly cnf: { readonly jkt: string; readonly jwk: JsonObject } | null
  /** Evidence collected after the request arrived, and a token for this caller alone (API-95). */
  readonly fresh: boolean
}

/** How a caller wants its token; nothing of it is in the token or in the cache key (BRK-03). */
export interface TokenDemand {
  /** Seconds that must be left when the token is handed over; `null`: `min(60, 20 % of the token's life)`. */
  readonly minValidS: number | null
  /** How long the caller waits at most. */
  readonly timeoutMs: number
  /** Whose share of the cache an entry counts against: `uid:0`, `unit:x`. */
  readonly caller: string
}

/** True for a request whose token one caller gets and nobody else: it is never looked up and never stored (BRK-03). */
export function isUnshared(request: TokenRequest): boolean {
  return request.fresh || request.nonces.length > 0
}
