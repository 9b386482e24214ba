import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts'
import type { Tee } from '../results/acr.ts'
import type { Finding } from '../results/appraisal.ts'
import type { TokenCheckId } from './checks.ts'
import { type EvidenceView, isTee } from './evidence-view.ts'
import type { Judging, TokenChecklist } from './judging.ts'
import { audienceOf, secondsIn } from './registered-claims.ts'
import type { TokenClaims } from './token-trust.ts'

/**
 * How the evidence is bound to this exchange. `nonce`: it covers your nonce or report data; `challenge`: besides, it
 * answered a challenge of the verifier; `unbound`: you expected neither, so the token may have been fetched for
 * another use.
 */
export type Freshness = 'challenge' | 'nonce' | 'unbound'

/** What a relying party may rely on: each member is covered by a check that passed. Times: seconds since the epoch. */
export interface AcceptedToken {
  readonly issuer: string
  /** Absent in profile `alibaba`. */
  readonly subject?: string
  readonly audience: readonly string[]
  readonly tee: Tee
  /** Claims of the TD, `quote.body.mr_td` and so on: hexadecimal in quote byte order, one shape for all profiles. */
  readonly tdx?: TokenClaims
  readonly tpm?: TokenClaims
  /** One item per device. */
  readonly gpu?: readonly JsonValue[]
  /** The verdict about the platform, if one was demanded. */
  readonly tcb?: TokenClaims
  readonly freshness: Freshness
  /** Only ever true if `allowSimulated` is set. */
  readonly simulated: boolean
  /** The key that the token is bound to (`cnf`, RFC 7800). */
  readonly confirmation?: TokenClaims
  /** True if the sender proved that it holds this key (TOK-142). */
  readonly possessionProved: boolean
  readonly issuedAt: number
  readonly expiresAt: number
  readonly jti?: string
  /** The key that signed. */
  readonly kid?: string
  /**
   * The token's claims by their own names, as far as the check that covers each of them passed: a nonce only if you
   * expected one, `acr` only if you asked for it. Unknown claims are left out.
   */
  readonly claims: TokenClaims
  readonly findings: readonly Finding<TokenCheckId>[]
}

/** The check that must have passed for a claim to be given out. What was waived proves nothing: its claims stay back. */
const coveredBy: Readonly<Record<string, TokenCheckId>> = {
  iss: 'token.issuer',
  sub: 'token.subject',
  aud: 'token.audience',
  azp: 'token.azp',
  exp: 'token.times',
  iat: 'token.times',
  nbf: 'token.times',
  jti: 'token.signature',
  cnf: 'token.signature',
  amr: 'token.signature',
  at_hash: 'token.hashes',
  c_hash: 'token.hashes',
  acr: 'token.context',
  auth_time: 'token.context',
  eat_profile: 'token.profile',
  tee: 'token.tee',
  tcb: 'token.tcb',
  dbgstat: 'token.debug',
  'evaluation-reports': 'token.policies',
  customized_claims: 'token.runtimeData',
  attestd: 'token.simulated',
}

function claimsOf({ payload, expected, list }: Judging, view: EvidenceView): JsonObject {
  const claims: JsonObject = Object.create(null)
  const give = (name: string, value: JsonValue | undefined) => {
    if (value !== undefined) claims[name] = value
  }
  for (const [name, check] of Object.entries(coveredBy)) if (list.passed(check)) give(name, payload[name])
  // Of two nonces only the one that was asked for was compared (TOK-95).
  if (expected.nonce !== undefined) give('nonce', payload['nonce'])
  if (expected.eatNonce !== undefined) give('eat_nonce', payload['eat_nonce'])
  for (const [name, tree] of Object.entries(view.trees)) give(name, tree)
  return claims
}

function freshnessOf({ payload, expected }: Judging, list: TokenChecklist): Freshness {
  const said = isJsonObject(payload['attestd']) ? payload['attestd']['freshness'] : undefined
  if (list.passed('token.reportData')) return said === 'challenge' ? 'challenge' : 'nonce'
  return expected.eatNonce !== undefined && (said === 'challenge' || said === 'nonce') ? said : 'unbound'
}

function optionalParts(claims: JsonObject, kid: JsonValue | undefined): Partial<AcceptedToken> {
  const { sub, tdx, tpm, gpu, tcb, cnf, jti } = claims
  return {
    ...(typeof sub === 'string' ? { subject: sub } : {}),
    ...(isJsonObject(tdx) ? { tdx } : {}),
    ...(isJsonObject(tpm) ? { tpm } : {}),
    ...(Array.isArray(gpu) ? { gpu } : {}),
    ...(isJsonObject(tcb) ? { tcb } : {}),
    ...(isJsonObject(cnf) ? { confirmation: cnf } : {}),
    ...(typeof jti === 'string' ? { jti } : {}),
    ...(typeof kid === 'string' ? { kid } : {}),
  }
}

/** The result of a token of which every check passed or was waived. */
export function composeAccepted(judging: Judging, view: EvidenceView, kid: JsonValue | undefined): AcceptedToken {
  const { trust, list } = judging
  const claims = claimsOf(judging, view)
  const [audience, issuedAt, expiresAt] = [
    audienceOf(claims['aud']),
    secondsIn(claims['iat']),
    secondsIn(claims['exp']),
  ]
  if (
    !list.affirmed() ||
    audience === undefined ||
    issuedAt === undefined ||
    expiresAt === undefined ||
    !isTee(claims['tee'])
  ) {
    throw new TypeError('a token that was not affirmed has no result')
  }
  return {
    ...optionalParts(claims, kid),
    issuer: trust.issuer,
    audience,
    tee: claims['tee'],
    freshness: freshnessOf(judging, list),
    possessionProved: list.passed('token.possession'),
    simulated: list.outcome('token.simulated') === 'waived',
    issuedAt,
    expiresAt,
    claims,
    findings: list.findings(),
  }
}
