/** A token as it is handed to a caller. Times in seconds since the Unix epoch. */
export interface ServedToken {
  /** Compact JWS without newline. */
  readonly token: string
  /** The claim `iss`. */
  readonly issuer: string
  readonly audience: readonly string[]
  readonly issuedAt: number
  readonly expiresAt: number
  /** When the broker intends to have a newer one. */
  readonly refreshAt: number
  readonly jti: string
  /** `issued`: this request waited; `cache-refreshing`, `cache-degraded`: valid, a refresh runs or the last one failed. */
  readonly source: 'cache' | 'cache-refreshing' | 'cache-degraded' | 'issued'
  /** Grows with every token of the same cache entry; 0 for a token that is not kept. */
  readonly generation: number
}

/** Why there is no newer token. */
export interface LastError {
  readonly code: string
  readonly at: number
  /** Present where an appraisal policy denied the token (POL-443). */
  readonly denial?: PolicyDenial
}

/** Which appraisal policy denied a token, why, and the lines of the rules that decided: `3, 7`. */
interface PolicyDenial {
  readonly policy: string
  readonly reason: string
  readonly lines: string
}

/** State of one cache entry for `explain`; holds nothing of the token itself. Times in seconds since the Unix epoch. */
export interface EntryDescription {
  /** One of the states of `EntryState`. */
  readonly state: string
  readonly expiresAt: number | null
  readonly refreshAt: number | null
  readonly generation: number
  readonly lastError: LastError | null
}
