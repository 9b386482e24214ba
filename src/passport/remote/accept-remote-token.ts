import { type Clock, secondsOf } from '../../base/clock.ts'
import type { AttestdError } from '../../base/errors.ts'
import type { JsonObject } from '../../base/json.ts'
import { parseCompactJws, parseTokenObject } from '../../relying-party/compact-jws.ts'
import {
  createTokenVerifier,
  DistrustedError,
  type TokenAppraisal,
  type TrustedKeys,
  type AcceptedToken as VerifiedToken,
} from '../../relying-party/index.ts'
import { passportErrors } from '../errors.ts'
import type { AcceptedToken } from '../token-source.ts'
import { membersProblem } from './quoted-members.ts'
import type { SentQuote } from './sent-quotes.ts'

/** What tokens of a remote verifier are held against: configuration, nothing of it comes from the service. */
export interface RemoteTokenTrust {
  /** `iss`, byte for byte. */
  readonly issuer: string
  /** The one audience of its tokens. */
  readonly audience: string
  readonly keys: TrustedKeys
  readonly allowDebug: boolean
  readonly allowSimulated: boolean
  /** Longest `exp − iat`, in seconds. */
  readonly maxLifetimeS: number
  readonly clock: Pick<Clock, 'now' | 'monotonic' | 'sleep'>
}

/** BRK-65, BRK-106. */
const skewS = 30
const leastLeftS = 10
/** Seconds since `iat`: a token is judged right after it was issued. */
const maxTokenAgeS = 60
/** BRK-100. */
const maxTokenLength = 65_536

function bad(check: string, says: string): AttestdError {
  return passportErrors.error('issuer_bad_token', says, { facts: { check } })
}

/**
 * TOK-120: the form and the checks of Alibaba's tokens; they carry no verdict about the platform (TOK-108). Without a
 * client id a token for a second audience is refused (TOK-92), so that what passes is for this one alone (BRK-105).
 */
export function verifierOf(trust: RemoteTokenTrust, policyIds: readonly string[], oldestS = maxTokenAgeS) {
  const { issuer, audience, keys, allowDebug, allowSimulated, clock } = trust
  return createTokenVerifier({
    issuer,
    audience,
    keys,
    profile: 'alibaba',
    algorithms: ['RS256'],
    tee: ['tdx'],
    measurements: null,
    requireTcbStatus: null,
    requirePolicies: policyIds,
    clockSkewS: skewS,
    maxTokenAgeS: oldestS,
    maxTokenLength,
    allowDebug,
    allowSimulated,
    clock,
  })
}

function payloadOf(token: string): JsonObject {
  return parseTokenObject(parseCompactJws(token, maxTokenLength).payload, 'token.payload')
}

/** Seconds by which a token whose only fault is its time is dated after the present; 0 for all others (BRK-65). */
function secondsAhead(token: string, { findings }: TokenAppraisal, now: number): number {
  const failed = findings.filter(({ outcome }) => outcome === 'failed')
  if (failed.length !== 1 || failed[0]?.id !== 'token.times') return 0
  const { iat } = payloadOf(token)
  return typeof iat === 'number' && Number.isSafeInteger(iat) && iat - now > skewS ? iat - now : 0
}

/** A clock that is wrong, here or there, is no fault of the token: another class of failure, and no alarm. */
function refusal(token: string, appraisal: TokenAppraisal, now: number): AttestdError {
  const ahead = secondsAhead(token, appraisal, now)
  if (ahead === 0) return new DistrustedError(appraisal.findings)
  const facts = { skew_s: ahead }
  return passportErrors.error('clock_unsafe', `the token is dated ${ahead} s after the present`, { facts })
}

/** What the broker demands beyond a relying party (BRK-106). */
function requireTimely(accepted: VerifiedToken, trust: RemoteTokenTrust, sent: SentQuote): void {
  const { issuedAt, expiresAt } = accepted
  if (expiresAt - issuedAt > trust.maxLifetimeS) {
    throw bad('BRK-106', `the token lives longer than ${trust.maxLifetimeS} s`)
  }
  if (expiresAt <= secondsOf(trust.clock) + leastLeftS) throw bad('BRK-106', 'the token expires at once')
  if (issuedAt < Math.floor(sent.at / 1000) - skewS) {
    throw bad('BRK-106', 'the token was issued before the quote was sent: the answer was replayed or kept')
  }
}

/**
 * Verifies a token of profile `alibaba` before anybody sees it (SVC-15, BRK-100 to BRK-108): as a relying party does, by
 * the configured issuer's keys alone; then that it is for the one audience and new, that its report data are those that
 * were requested, and that every value of the quote in it stands in the quote that was sent. A token about another TD,
 * one that was kept, and one that was put in its place end here. Throws an error of kind `distrusted`, `clock_unsafe`, or
 * `keys_unavailable`, which says nothing about the token.
 */
export async function acceptRemoteToken(
  token: string,
  trust: RemoteTokenTrust,
  expected: { readonly sent: SentQuote; readonly policyIds: readonly string[] },
): Promise<AcceptedToken> {
  const { sent, policyIds } = expected
  const appraisal = await verifierOf(trust, policyIds).appraise(token, { reportData: sent.reportData })
  const { token: accepted } = appraisal
  if (accepted === undefined) throw refusal(token, appraisal, secondsOf(trust.clock))
  requireTimely(accepted, trust, sent)
  const problem = membersProblem(payloadOf(token)['tcb-status'], sent.members)
  if (problem !== undefined) throw bad('BRK-107', problem)
  return claimsOf(accepted)
}

function claimsOf({ issuer, audience, issuedAt, expiresAt, jti, kid }: VerifiedToken): AcceptedToken {
  if (jti === undefined || kid === undefined) throw bad('BRK-102', 'the token has no jti or no kid')
  return { issuer, audience, issuedAt, expiresAt, jti, kid }
}

/** Verifies a token that came in an earlier run: the quote that it is about is not known any more (BRK-117). */
export async function recogniseRemoteToken(
  token: string,
  trust: RemoteTokenTrust,
  policyIds: readonly string[],
): Promise<AcceptedToken> {
  return claimsOf(await verifierOf(trust, policyIds, trust.maxLifetimeS).accept(token))
}
