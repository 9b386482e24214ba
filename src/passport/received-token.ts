import type { AttestdError } from '../base/errors.ts'
import type { TokenRequest } from '../results/token-request.ts'
import { sameSet } from './cache-key.ts'
import { passportErrors } from './errors.ts'
import { type Exchange, type HeldToken, holdToken, lifeAtReceipt, wallExpiryOf } from './held-token.ts'
import type { BrokerLimits } from './limits.ts'
import type { AcceptedToken } from './token-source.ts'

const skewS = 30
const longestToken = 65_536
const compactForm = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/

function badToken(check: string, detail: string): AttestdError {
  return passportErrors.error('issuer_bad_token', detail, { facts: { check } })
}

/** BRK-100, as far as everything behind the broker relies on it: one line of a bounded size. */
export function requireCompactForm(token: string): void {
  if (token.length > longestToken) throw badToken('BRK-100', `the token has more than ${longestToken} characters`)
  if (!compactForm.test(token)) throw badToken('BRK-100', 'the token is not a compact JWS')
}

function requireTimes(accepted: AcceptedToken, { asked, received }: Exchange, limits: BrokerLimits): void {
  const { issuedAt, expiresAt } = accepted
  if (!Number.isSafeInteger(issuedAt) || !Number.isSafeInteger(expiresAt)) {
    throw badToken('BRK-106', '`iat` and `exp` are not whole seconds')
  }
  const ahead = issuedAt - received.wall / 1000
  if (ahead > skewS) {
    throw passportErrors.error('clock_unsafe', `the token is dated ${Math.round(ahead)} s after the present`, {
      facts: { skew_s: Math.round(ahead) },
    })
  }
  if (expiresAt - issuedAt > limits.maxLifetimeS) {
    throw badToken('BRK-106', `the token lives longer than ${limits.maxLifetimeS} s`)
  }
  if (issuedAt < Math.floor(asked.wall / 1000) - skewS) {
    throw badToken('BRK-106', 'the token was issued before it was asked for: the answer was replayed or cached')
  }
}

/** What a token is held against before it is kept. */
export interface Receipt {
  readonly request: TokenRequest
  readonly fixedAudience: readonly string[] | undefined
  readonly exchange: Exchange
  readonly limits: BrokerLimits
  readonly unit: number
}

/**
 * What the broker itself demands of verified claims before anybody sees the token (BRK-22, 65, 105, 106), whatever the
 * source has checked. Throws `issuer_bad_token` with the rule in `check`, or `clock_unsafe`.
 */
export function requireUsable(token: string, accepted: AcceptedToken, receipt: Receipt): HeldToken {
  const { request, exchange, limits } = receipt
  if (!sameSet(accepted.audience, receipt.fixedAudience ?? request.audience)) {
    throw badToken('BRK-105', 'the token is for other audiences than those asked for')
  }
  requireTimes(accepted, exchange, limits)
  const wallExpiry = wallExpiryOf(accepted, limits)
  const lifeMs = lifeAtReceipt(accepted, wallExpiry, exchange)
  if (lifeMs < limits.minUsableLifeS * 1000) {
    throw badToken('BRK-22', `the token has less than ${limits.minUsableLifeS} s to live`)
  }
  return holdToken(token, accepted, { wallExpiry, lifeMs, received: exchange.received, unit: receipt.unit })
}
