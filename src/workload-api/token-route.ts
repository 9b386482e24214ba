import { secondsOf } from '../base/clock.ts'
import { type CallerRule, callerRequest } from '../policies/caller-policy.ts'
import type { ServedToken } from '../results/served-token.ts'
import type { TokenRequest } from '../results/token-request.ts'
import { chooseMedia, type TokenMedia } from './accept.ts'
import {
  type ApiContext,
  deadlineExceeded,
  deadlineGraceMs,
  leftMs,
  type Permission,
  remainingMs,
  requireAllowed,
  requireStillAllowed,
} from './api-context.ts'
import { withDeadline } from './deadline.ts'
import { workloadApiErrors } from './errors.ts'
import type { Answer, Exchange } from './exchange.ts'
import { callerKey } from './rate-limits.ts'
import type { Route } from './route.ts'
import { unservableBecause } from './token-guard.ts'
import {
  parseTokenParameters,
  requireAudienceSet,
  requireIssuer,
  requireNameable,
  type TokenParameters,
  tokenQueryForms,
} from './token-parameters.ts'

interface TokenJob {
  readonly exchange: Exchange
  readonly parameters: TokenParameters
  readonly request: TokenRequest
  readonly permission: Permission
  readonly media: TokenMedia
}

function requireMedia(accept: string | undefined): TokenMedia {
  const media = chooseMedia(accept)
  if (media) return media
  throw workloadApiErrors.error('not_acceptable', 'a token is application/jwt, text/plain or application/json')
}

/**
 * The life to ask the issuer for (API-64): what the caller asks for; else, where the issuer's usual life is above the
 * bound of the rule, that bound.
 */
function lifetimeFor(ttlS: number | null, rule: CallerRule, usualS: number): number | null {
  if (ttlS !== null || rule.allow.ttlMaxS === null) return ttlS
  return usualS > rule.allow.ttlMaxS ? rule.allow.ttlMaxS : null
}

function readJob(context: ApiContext, exchange: Exchange): TokenJob {
  const members = exchange.method === 'POST' ? exchange.jsonBody() : exchange.queryMembers(tokenQueryForms)
  const parameters = parseTokenParameters(members)
  const media = requireMedia(exchange.header('accept'))
  const settings = context.tokens()
  const issuer = requireIssuer(parameters.issuer, settings)
  const audience = requireAudienceSet(parameters.audience, issuer, settings)
  const { nonces, fresh, ttlS, minValidS, cnf } = parameters
  const asked = callerRequest('token', {
    audience,
    tokenType: 'OIDC',
    issuer: issuer.name,
    nonces: nonces.length > 0,
    fresh,
    ttlS,
    minValidS,
  })
  const expensive = (fresh || nonces.length > 0) && exchange.method !== 'HEAD'
  const permission = requireAllowed(context, exchange, asked, expensive)
  requireNameable(audience, issuer)
  const request: TokenRequest = {
    issuer: issuer.name,
    tokenType: 'OIDC',
    audience,
    nonces,
    ttlS: lifetimeFor(ttlS, permission.rule, issuer.usualLifetimeS),
    policyIds: issuer.policyIds,
    cnf,
    fresh,
  }
  return { exchange, parameters, request, permission, media }
}

function obtain(context: ApiContext, job: TokenJob, ms: number): Promise<ServedToken> {
  const { exchange, parameters, request } = job
  const { timeoutMs, minValidS } = parameters
  const deadline = {
    clock: context.clock,
    ms: ms + deadlineGraceMs,
    outer: exchange.connection.gone,
    late: () => deadlineExceeded(timeoutMs),
  }
  const demand = { minValidS, timeoutMs: ms, caller: callerKey(exchange.caller) }
  return withDeadline(deadline, (signal) => context.provider.obtainToken(request, demand, signal))
}

function tokenHeaders({ expiresAt, refreshAt, source }: Pick<ServedToken, 'expiresAt' | 'refreshAt' | 'source'>) {
  return {
    'attestd-expires-at': String(expiresAt),
    'attestd-refresh-at': String(refreshAt),
    'attestd-source': source,
  }
}

function tokenAnswer({ exchange, media, request }: TokenJob, token: ServedToken): Answer {
  const { issuer, audience, issuedAt, expiresAt, refreshAt, jti, source, generation } = token
  const document = () =>
    JSON.stringify({
      token: token.token,
      token_type: request.tokenType,
      issuer,
      audience,
      issued_at: issuedAt,
      expires_at: expiresAt,
      refresh_at: refreshAt,
      jti,
      source,
      generation,
      request_id: exchange.id,
    })
  const body = media === 'application/json' ? document() : token.token
  return { status: 200, type: media, body, headers: tokenHeaders(token), source }
}

/** API-64: a rule bounds also the life of what is served. */
function requireShortLife({ allow: { ttlMaxS } }: CallerRule, { issuedAt, expiresAt }: ServedToken): void {
  if (ttlMaxS === null || expiresAt - issuedAt <= ttlMaxS) return
  throw workloadApiErrors.error(
    'ttl_unsupported',
    `the rule allows a life of ${ttlMaxS} s, the issuer gave a longer one`,
  )
}

/**
 * The token of this answer when the answer's turn has come. One that others may have too and that had to wait for earlier
 * answers of the connection is asked for once more: the broker may have declared it worthless meanwhile (BRK-76). Who
 * waited behind requests of its own is still given what is at hand.
 */
async function obtainInTurn(context: ApiContext, job: TokenJob): Promise<ServedToken> {
  const { exchange, parameters, request } = job
  const { timeoutMs } = parameters
  const token = await obtain(context, job, remainingMs(context, exchange, timeoutMs))
  const behind = await exchange.readyToWrite()
  if (!behind || request.fresh || request.nonces.length > 0) return token
  const current = await obtain(context, job, Math.max(1, leftMs(context, exchange, timeoutMs)))
  await exchange.readyToWrite()
  return current
}

/**
 * Obtains and writes a token. Between the last look at policy and clock and the write nothing is waited for (API-69,
 * API-90). A token that became too old while the caller was checked is obtained once more.
 */
async function serveToken(context: ApiContext, job: TokenJob): Promise<void> {
  const { exchange, parameters, request } = job
  const { clock, limits, listener, observe } = context
  for (let attempt = 0; attempt < 2; attempt++) {
    const token = await obtainInTurn(context, job)
    requireShortLife(requireStillAllowed(context, exchange, job.permission), token)
    const demand = { minValidS: parameters.minValidS, now: clock.now(), floorS: limits.servingFloorS }
    const why = unservableBecause(token, request, demand)
    if (why === null) {
      exchange.write(tokenAnswer(job, token))
      return
    }
    observe({ event: 'unservable_token_stopped', listener, why })
  }
  throw new TypeError('the token provider gave tokens that must not be served')
}

/** `HEAD` tells what is there and starts nothing (API-33). */
function describeToken(context: ApiContext, { exchange, request, media }: TokenJob): Promise<void> {
  const { expiresAt, refreshAt } = context.provider.describe(request)
  const known = expiresAt !== null && refreshAt !== null && expiresAt > secondsOf(context.clock)
  const headers = known ? tokenHeaders({ expiresAt, refreshAt, source: 'cache' }) : {}
  return exchange.answer({ status: 200, type: media, body: null, headers })
}

/** `GET` and `POST /v1/token` (section 6.1). */
export function tokenRoutes(context: ApiContext): readonly Route[] {
  const handle = async (exchange: Exchange) => {
    const job = readJob(context, exchange)
    await (exchange.method === 'HEAD' ? describeToken(context, job) : serveToken(context, job))
  }
  return (['GET', 'POST'] as const).map((method) => ({ method, path: '/v1/token', caller: true, handle }))
}
