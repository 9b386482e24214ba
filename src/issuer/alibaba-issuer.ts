import { type Clock, secondsOf } from '../base/clock.ts'
import type { JsonObject } from '../base/json.ts'
import { drawUuid, type RandomSource } from '../base/random.ts'
import type { Tee } from '../results/acr.ts'
import { composeAlibabaClaims } from '../results/alibaba-claims.ts'
import type { Appraisal } from '../results/appraisal.ts'
import { requireAffirmed } from './affirmed.ts'
import { issuerErrors } from './errors.ts'
import { signToken } from './sign-token.ts'
import type { SigningKeys } from './token-issuer.ts'
import { decideExpiry, type LifetimeBound } from './token-lifetime.ts'

export interface AlibabaIssuerOptions {
  /** As `requireIssuerUrl` gave it: never the name of another's service (TOK-02). Also the audience. */
  readonly issuer: string
  readonly keys: SigningKeys
  readonly clock: Pick<Clock, 'now'>
  /** A cryptographic source: `jti` never repeats (TOK-13). */
  readonly random: RandomSource
  /** 60 to 86 400; default 21 600 (TOK-43). */
  readonly lifetimeS?: number
}

/** One token to issue. Whoever calls has verified all of it. */
export interface AlibabaIssueRequest {
  readonly tee: Tee
  readonly appraisal: Appraisal
  /** Seconds since the epoch. */
  readonly appraisedAtS: number
  readonly simulated: boolean
  readonly policies: readonly { readonly id: string; readonly hash: string | null }[]
  readonly bounds?: readonly LifetimeBound[]
  /** Verified documents for `customized_claims` (TOK-25); null or absent for none. */
  readonly runtimeData?: JsonObject | null
  readonly initData?: JsonObject | null
}

export interface IssuedAlibabaToken {
  readonly token: string
  readonly kid: string
  readonly jti: string
  /** Seconds since the epoch. */
  readonly issuedAt: number
  readonly expiresAt: number
  /** The bound that decided `expiresAt`, for the log (TOK-44). */
  readonly boundBy: string
}

export interface AlibabaIssuer {
  /** Turns an affirmed appraisal into a token. Rejects with an error of `issuerErrors` or `resultsErrors`. */
  issueToken(request: AlibabaIssueRequest): Promise<IssuedAlibabaToken>
}

/** Least life of a token that is worth issuing (TOK-45). */
const leastLifeS = 30

function requireLifetime(lifetimeS: number): void {
  if (Number.isSafeInteger(lifetimeS) && lifetimeS >= 60 && lifetimeS <= 86_400) return
  throw issuerErrors.error('AUDIENCE_POLICY_INVALID', `a lifetime of ${lifetimeS} s is not within 60 to 86400 s`)
}

/**
 * Issues tokens of profile `alibaba`: RS256, the issuer as audience, no subject, byte for byte in the form of Alibaba's
 * service (TOK-30 to TOK-33). For relying parties that are written for that service; a bearer statement that some TD
 * passed, never for cloud federation (token.md section 1).
 */
export function createAlibabaIssuer(options: AlibabaIssuerOptions): AlibabaIssuer {
  const { issuer, keys, clock, random, lifetimeS = 21_600 } = options
  requireLifetime(lifetimeS)
  return {
    issueToken: async (request) => {
      const { appraisal, appraisedAtS: appraisedAt, bounds = [], ...asked } = request
      requireAffirmed(appraisal)
      const key = keys.signingKey('RS256')
      const [issuedAt, jti] = [secondsOf(clock), drawUuid(random)]
      const { expiresAt, boundBy } = decideExpiry({ issuedAt, appraisedAt, lifetimeS, ttlS: null, bounds, leastLifeS })
      const { claims } = appraisal
      const token = await signToken(composeAlibabaClaims({ ...asked, issuer, issuedAt, expiresAt, jti, claims }), key)
      // The key may have been revoked while it signed (TOK-52).
      if (!keys.isPublished(key.kid)) throw issuerErrors.error('SIGNING_KEY_NOT_READY', 'the key was revoked')
      return { token, kid: key.kid, jti, issuedAt, expiresAt, boundBy }
    },
  }
}
