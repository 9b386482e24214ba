import { issuerErrors } from './errors.ts'

/** Something that ends the life of a token at `at`, in seconds since the epoch. */
export interface LifetimeBound {
  /** For the log: `audience`, `request`, `appraisal`, `collateral`, `policy`, `passport`. */
  readonly name: string
  readonly at: number
}

export interface LifetimeInputs {
  readonly issuedAt: number
  readonly appraisedAt: number
  /** Configured for the audience. */
  readonly lifetimeS: number
  /** Asked for, or null; it can only shorten. */
  readonly ttlS: number | null
  /** Further ends: `nextUpdate` of collateral, end of validity of a policy, `exp` of a presented passport. */
  readonly bounds: readonly LifetimeBound[]
  /** Least life of a token that is worth issuing: 30 (TOK-45), 2 in test mode. */
  readonly leastLifeS: number
}

/** How far the appraisal may be dated ahead of the signature: a clock that was corrected in between. */
const clockToleranceS = 60

/** Ends of TOK-44 in the order in which a tie is reported. */
function listBounds({ issuedAt, appraisedAt, lifetimeS, ttlS, bounds }: LifetimeInputs): LifetimeBound[] {
  const life = Math.min(lifetimeS, ttlS ?? lifetimeS)
  return [
    { name: 'audience', at: issuedAt + lifetimeS },
    ...(ttlS === null ? [] : [{ name: 'request', at: issuedAt + ttlS }]),
    { name: 'appraisal', at: Math.min(appraisedAt, issuedAt) + 300 + life },
    ...bounds,
  ]
}

/**
 * `exp` of a token and the bound that decided it (TOK-44). Throws `TOKEN_LIFE_TOO_SHORT`, naming the bound, where less
 * than the least life is left (TOK-45), and `APPRAISAL_FROM_FUTURE`.
 */
export function decideExpiry(inputs: LifetimeInputs): { readonly expiresAt: number; readonly boundBy: string } {
  const { issuedAt, appraisedAt, ttlS, leastLifeS } = inputs
  if (ttlS !== null && !(Number.isSafeInteger(ttlS) && ttlS > 0)) {
    throw issuerErrors.error('TTL_INVALID', 'the requested lifetime is not a positive number of whole seconds')
  }
  if (appraisedAt > issuedAt + clockToleranceS) {
    const facts = { ahead_s: appraisedAt - issuedAt }
    throw issuerErrors.error('APPRAISAL_FROM_FUTURE', 'the appraisal is dated after the signature', { facts })
  }
  const end = listBounds(inputs).reduce((first, next) => (next.at < first.at ? next : first))
  const expiresAt = Math.floor(end.at)
  const left = expiresAt - issuedAt
  if (left < leastLifeS) {
    const detail = `the token would live ${Math.max(0, left)} s: bound '${end.name}'`
    throw issuerErrors.error('TOKEN_LIFE_TOO_SHORT', detail, { facts: { bound: end.name, left_s: left } })
  }
  return { expiresAt, boundBy: end.name }
}
