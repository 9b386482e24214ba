import { type Clock, secondsOf } from '../base/clock.ts'
import type { JsonObject, JsonValue } from '../base/json.ts'
import { drawUuid, type RandomSource } from '../base/random.ts'
import type { BindingEdge, Tee } from '../results/acr.ts'
import type { Appraisal, Checks } from '../results/appraisal.ts'
import type { RequestCommitment } from '../results/request-commitment.ts'
import { composeSubject } from '../results/subject.ts'
import {
  type Confirmation,
  composeTokenClaims,
  type Freshness,
  type OpenIdContext,
  type RuntimeData,
} from '../results/token-claims.ts'
import { listWaivedRules } from '../results/waived-rules.ts'
import { requireAffirmed } from './affirmed.ts'
import type { AudiencePolicies, EffectivePolicy } from './audience-policies.ts'
import { requireConsumerTakesToken } from './consumers.ts'
import { issuerErrors } from './errors.ts'
import { signToken } from './sign-token.ts'
import type { SigningAlgorithm, SigningKey } from './signing-key.ts'
import { decideExpiry, type LifetimeBound } from './token-lifetime.ts'

/** The part of a key ring that signing needs. */
export interface SigningKeys {
  signingKey(alg: SigningAlgorithm): SigningKey
  isPublished(kid: string): boolean
}

export interface TokenIssuerOptions {
  /** As `requireIssuerUrl` gave it. */
  readonly issuer: string
  readonly keys: SigningKeys
  readonly audiences: AudiencePolicies
  readonly clock: Pick<Clock, 'now'>
  /** A cryptographic source: `jti` never repeats (TOK-13). */
  readonly random: RandomSource
  /** Default 30 (TOK-45); 2 in test mode. */
  readonly leastLifeS?: number
}

/** One token to issue. Everything but the wishes of the request was verified by whoever calls. */
export interface IssueRequest {
  readonly audience: readonly string[]
  /** Nonces that the evidence binds, in request order. */
  readonly nonces: readonly string[]
  readonly ttlS: number | null
  /** A key that the evidence binds (TOK-29), or null. */
  readonly cnf: Confirmation | null
  readonly tee: Tee
  readonly appraisal: Appraisal
  /** The declarations of the checks in the appraisal: waived ones are named by their rules. */
  readonly checks: Checks<string>
  /** Seconds since the epoch. */
  readonly appraisedAtS: number
  readonly freshness: Freshness
  readonly binding: readonly BindingEdge[]
  readonly simulated: boolean
  readonly policies: readonly { readonly id: string; readonly hash: string }[]
  /** Hex SHA-256 of the EK's SubjectPublicKeyInfo if EK and activation of the AK were verified, or null (TOK-39). */
  readonly ekSpkiSha256: string | null
  readonly bounds?: readonly LifetimeBound[]
  readonly runtimeData?: RuntimeData
  readonly initData?: JsonValue
  readonly policyClaims?: JsonObject
  readonly openid?: OpenIdContext
  /** Where the request stands in what the evidence committed to (BRK-86). */
  readonly commitment?: RequestCommitment
}

export interface IssuedToken {
  readonly token: string
  readonly kid: string
  readonly jti: string
  readonly subject: string
  /** Seconds since the epoch. */
  readonly issuedAt: number
  readonly expiresAt: number
  /** The bound that decided `expiresAt`, for the log (TOK-44). */
  readonly boundBy: string
}

export interface TokenIssuer {
  /**
   * Turns an affirmed appraisal into a token of profile `attestd`. Rejects with an error of `issuerErrors` or
   * `resultsErrors`; then there is no token.
   */
  issueToken(request: IssueRequest): Promise<IssuedToken>
}

function requireNonces(nonces: readonly string[]): void {
  if (nonces.length > 6 || nonces.some((nonce) => !/^[\x21-\x7e]{8,88}$/.test(nonce))) {
    throw issuerErrors.error('NONCE_INVALID', 'the nonces are not at most 6 of 8 to 88 characters')
  }
}

/** How an AK came to be trusted under its EK: by certificate chain and activation, or an operator's pin and activation. */
const activatedTrust = new Set<unknown>(['ek-certificate', 'ek-pinned'])

/** The EK counts only if the verified claims say the same of it (TOK-39). */
function verifiedEk({ ekSpkiSha256, appraisal }: IssueRequest): string | null {
  const tpm = (appraisal.claims['tpm'] ?? {}) as Readonly<Record<string, unknown>>
  const proven = activatedTrust.has(tpm['ak_trust']) && tpm['ek_spki_sha256'] === ekSpkiSha256
  return proven ? ekSpkiSha256 : null
}

function requireSize(token: string, { maxCharacters }: EffectivePolicy): void {
  if (token.length <= maxCharacters) return
  const detail = `the token has ${token.length} characters, the budget of its audience is ${maxCharacters}`
  throw issuerErrors.error('TOKEN_TOO_LARGE', detail, { facts: { characters: token.length, budget: maxCharacters } })
}

interface Decisions {
  readonly jti: string
  readonly subject: string
  readonly issuedAt: number
  readonly expiresAt: number
}

function composeClaims(issuer: string, request: IssueRequest, decisions: Decisions): JsonObject {
  const { appraisal, checks, appraisedAtS, ttlS: _ttl, bounds: _bounds, ekSpkiSha256: _ek, ...rest } = request
  const waived = listWaivedRules(appraisal, checks)
  return composeTokenClaims({
    ...rest,
    ...decisions,
    issuer,
    claims: appraisal.claims,
    appraisedAt: appraisedAtS,
    waived,
  })
}

/** The one place where tokens are made: every route and grant comes here (OP-45). */
export function createTokenIssuer(options: TokenIssuerOptions): TokenIssuer {
  const { issuer, keys, audiences, clock, random, leastLifeS = 30 } = options

  const decide = (request: IssueRequest, policy: EffectivePolicy) => {
    const { appraisal, tee, cnf, ttlS, appraisedAtS: appraisedAt, bounds = [] } = request
    const issuedAt = secondsOf(clock)
    const { lifetimeS } = policy
    const expiry = decideExpiry({ issuedAt, appraisedAt, lifetimeS, ttlS, bounds, leastLifeS })
    const facts = { tee, claims: appraisal.claims, jkt: cnf?.jkt ?? null, ekSpkiSha256: verifiedEk(request) }
    return { jti: drawUuid(random), subject: composeSubject(policy.subject, facts), issuedAt, ...expiry }
  }

  return {
    issueToken: async (request) => {
      requireAffirmed(request.appraisal)
      const policy = audiences.policyFor(request.audience)
      requireNonces(request.nonces)
      const key = keys.signingKey(policy.algorithm)
      const { boundBy, ...decisions } = decide(request, policy)
      const token = await signToken(composeClaims(issuer, request, decisions), key)
      const lifetimeS = decisions.expiresAt - decisions.issuedAt
      for (const consumer of policy.consumers) {
        requireConsumerTakesToken(consumer, {
          token,
          audience: request.audience,
          subject: decisions.subject,
          lifetimeS,
        })
      }
      requireSize(token, policy)
      // The key may have been revoked while it signed (TOK-52).
      if (!keys.isPublished(key.kid)) throw issuerErrors.error('SIGNING_KEY_NOT_READY', 'the key was revoked')
      return { token, kid: key.kid, ...decisions, boundBy }
    },
  }
}
