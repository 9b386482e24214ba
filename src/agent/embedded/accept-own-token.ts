import { parseText } from '../../base/bytes.ts'
import type { Clock } from '../../base/clock.ts'
import type { AttestdError } from '../../base/errors.ts'
import { isJsonObject, type JsonObject, parseJsonObject } from '../../base/json.ts'
import type { AcceptedToken } from '../../passport/token-source.ts'
import { createTokenVerifier, type AcceptedToken as VerifiedToken } from '../../relying-party/index.ts'
import type { TokenTrust } from '../../relying-party/token-trust.ts'
import type { Tee } from '../../results/acr.ts'
import type { TokenRequest } from '../../results/token-request.ts'
import type { ReportedPolicy } from './builtin-policy.ts'
import { embeddedErrors } from './errors.ts'

export interface OwnTokens {
  readonly issuer: string
  readonly jwks: () => { readonly keys: readonly object[] }
  readonly simulator: boolean
  /** What the guest is attested as. */
  readonly tee: Tee
  /** TCB statuses that policy accepts of a TD; null where there is none. */
  readonly tcbStatuses: readonly string[] | null
  readonly allowDebug: boolean
  /** What a token that is issued now for this request names as evaluated (`reportedPolicies`). */
  readonly reported: (request: TokenRequest) => readonly ReportedPolicy[]
  readonly clock: Clock
}

/** TOK-43: no token of ours lives longer. */
const longestLifeS = 86_400

function bad(check: string, says: string): AttestdError {
  return embeddedErrors.error('ISSUED_TOKEN_WRONG', says, { facts: { check } })
}

/** BRK-105: every audience that was asked for, and no other. */
function requireAudience(asked: readonly string[], given: readonly string[]): void {
  const missing = asked.filter((audience) => !given.includes(audience))
  if (missing.length > 0 || given.length !== asked.length) throw bad('BRK-105', 'the token names other audiences')
}

/** BRK-107: nonces as asked, in order; the key as asked. */
function requireBinding(request: TokenRequest, claims: Readonly<Record<string, unknown>>): void {
  const bound = claims['eat_nonce']
  const nonces = bound === undefined ? [] : Array.isArray(bound) ? bound : [bound]
  if (nonces.length !== request.nonces.length || request.nonces.some((nonce, at) => nonces[at] !== nonce)) {
    throw bad('BRK-107', 'the token does not carry the nonces of the request')
  }
  const cnf = claims['cnf'] as { jkt?: unknown } | undefined
  if ((cnf?.jkt ?? null) !== (request.cnf?.jkt ?? null)) throw bad('BRK-107', 'the token names another key')
}

/** TOK-04: what came of a simulator says so. TOK-44: no longer life than was asked for. */
function requireWhatWasIssued(request: TokenRequest, accepted: VerifiedToken, own: OwnTokens): void {
  if (accepted.simulated !== own.simulator) throw bad('TOK-04', 'the token is wrong about simulation')
  if (request.ttlS !== null && accepted.expiresAt - accepted.issuedAt > request.ttlS) {
    throw bad('TOK-44', 'the token lives longer than was asked for')
  }
}

/**
 * TOK-26: the requirements and exactly the policies of the request, in their order and as they are in force now. A token of
 * before a restart may have been issued under others; what was issued under the requirements alone is no token under
 * policies.
 */
function requirePolicies(request: TokenRequest, claims: JsonObject, { reported }: OwnTokens): void {
  const asked = reported(request).map(({ id, hash }) => `${id} ${hash}`)
  const reports = claims['evaluation-reports']
  const evaluated = (Array.isArray(reports) ? reports : []).map((report) =>
    isJsonObject(report) ? `${report['policy-id']} ${report['policy-hash']}` : '',
  )
  if (evaluated.length === asked.length && asked.every((one, at) => evaluated[at] === one)) return
  throw bad('TOK-26', 'the token was issued under other policies')
}

/** All claims of a token that was accepted, also those that a relying party gets only if it expected them. */
function payloadOf(token: string): JsonObject {
  return parseJsonObject(parseText(token.split('.')[1] ?? '', 'base64url', 'payload'), 'payload')
}

/**
 * Verifies a token of the bundled issuer as a relying party would before anybody sees it (BRK-100 to BRK-108): a
 * fault in our own signing must stop here and not at a customer's door.
 */
export function acceptOwnToken(token: string, request: TokenRequest, own: OwnTokens): Promise<AcceptedToken> {
  return judge(token, request, { ...own, maxTokenAgeS: 60, requireCommitment: true })
}

/** Verifies a token that an earlier run issued and that is still where it was delivered (BRK-117): it may have any age. */
export function recogniseOwnToken(token: string, request: TokenRequest, own: OwnTokens): Promise<AcceptedToken> {
  return judge(token, request, { ...own, maxTokenAgeS: longestLifeS, requireCommitment: false })
}

async function judge(
  token: string,
  request: TokenRequest,
  own: OwnTokens & Required<Pick<TokenTrust, 'maxTokenAgeS' | 'requireCommitment'>>,
): Promise<AcceptedToken> {
  const [audience = ''] = request.audience
  const verifier = createTokenVerifier({
    issuer: own.issuer,
    audience,
    keys: { jwks: { keys: own.jwks().keys as Readonly<Record<string, unknown>>[] } },
    tee: [own.tee],
    measurements: null,
    requireTcbStatus: own.tcbStatuses,
    allowDebug: own.allowDebug,
    allowSimulated: own.simulator,
    maxTokenAgeS: own.maxTokenAgeS,
    requireCommitment: own.requireCommitment,
    clock: own.clock,
  })
  const [nonce] = request.nonces
  const accepted = await verifier.accept(token, nonce === undefined ? {} : { eatNonce: nonce })
  requireAudience(request.audience, accepted.audience)
  const claims = payloadOf(token)
  requireBinding(request, claims)
  requireWhatWasIssued(request, accepted, own)
  requirePolicies(request, claims, own)
  const { issuer, issuedAt, expiresAt, jti, kid } = accepted
  if (jti === undefined || kid === undefined) throw bad('BRK-102', 'the token has no jti or no kid')
  return { issuer, audience: accepted.audience, issuedAt, expiresAt, jti, kid }
}
