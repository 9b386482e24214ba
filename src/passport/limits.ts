/** Bounds of the broker. Seconds unless a name ends in `Ms`. */
export interface BrokerLimits {
  /** Entries that callers made, in all and for one caller; warm entries do not count (BRK-04). */
  readonly entries: number
  readonly entriesPerCaller: number
  /**
   * Requests with nonces or `fresh` that may be under way for one issuer: more than a batch, those that wait for the next
   * (BRK-81) and those whose tokens are being signed. Who is turned away for want of evidence, the source decides fairly.
   */
  readonly unsharedFlights: number
  /** Time limit of one attempt as a whole; source and device have tighter ones of their own (BRK-48, BRK-82). */
  readonly flightMs: number
  /** A token with less life at receipt is unusable (BRK-22): 10, or 2 in test mode. */
  readonly minUsableLifeS: number
  /** No token is handed over with less left (API-90): 5, or 1 in test mode. */
  readonly servingFloorS: number
  /** Tokens are not served longer than this after `iat`; `null`: until `exp`. */
  readonly maxAgeS: number | null
  /** Longest `exp − iat` that is accepted (BRK-106). */
  readonly maxLifetimeS: number
  /** Whether the issuer's verdict against us also stops serving the older token (BRK-47). */
  readonly onVerdictDenied: 'evict' | 'keep'
  /** Build date of the package, seconds since the Unix epoch: a wall clock before it is wrong (BRK-64). */
  readonly builtAtS: number
  /** How long `drain` waits for attempts that callers wait for (BRK-143). */
  readonly drainMs: number
}

export const defaultBrokerLimits: BrokerLimits = {
  entries: 256,
  entriesPerCaller: 16,
  unsharedFlights: 4096,
  flightMs: 60_000,
  minUsableLifeS: 10,
  servingFloorS: 5,
  maxAgeS: null,
  maxLifetimeS: 86_400,
  onVerdictDenied: 'evict',
  builtAtS: 0,
  drainMs: 5_000,
}
