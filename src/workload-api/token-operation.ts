import { secondsOf } from '../base/clock.ts'
import { type CallerRule, callerRequest } from '../policies/caller-policy.ts'
import type { ServedToken } from '../results/served-token.ts'
import type { TokenRequest } from '../results/token-request.ts'
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
import type { Asker } from './asker.ts'
import { withDeadline } from './deadline.ts'
import { workloadApiErrors } from './errors.ts'
import type { Exchange } from './exchange.ts'
import { callerKey } from './rate-limits.ts'
import { unservableBecause } from './token-guard.ts'
import { requireAudienceSet, requireIssuer, requireNameable, type TokenParameters } from './token-parameters.ts'

/** A token that one caller may have: every rule was asked, nothing was fetched. */
export interface TokenJob {
  readonly asker: Asker
  readonly parameters: TokenParameters
  readonly request: TokenRequest
  readonly permission: Permission
}

/** How a surface writes a token. */
export interface TokenForm {
  /** Media type. */
  readonly type: string
  readonly headers?: Readonly<Record<string, string>>
  body(token: ServedToken, request: TokenRequest): string
}

/**
 * The life to ask the issuer for (API-64): what the caller asks for; else, where the issuer's usual life is above the
 * bound of the rule, that bound.
 */
export function lifetimeFor(ttlS: number | null, rule: CallerRule, usualS: number): number | null {
  if (ttlS !== null || rule.allow.ttlMaxS === null) return ttlS
  return usualS > rule.allow.ttlMaxS ? rule.allow.ttlMaxS : null
}

/**
 * Turns what was asked into a job, or throws the problem: issuer and audience as configured, the policy, the rate of the
 * rule and, where a token cannot come from the cache, the caller's share of quotes. `describes`: nothing will be fetched.
 */
export function requireTokenJob(
  context: ApiContext,
  asker: Asker,
  parameters: TokenParameters,
  { describes = false }: { readonly describes?: boolean } = {},
): TokenJob {
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
  const expensive = (fresh || nonces.length > 0) && !describes
  const permission = requireAllowed(context, asker, asked, expensive)
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
  return { asker, parameters, request, permission }
}

/** Most tokens are at hand, and then there is no deadline to keep. */
function obtain(context: ApiContext, job: TokenJob, ms: number): ServedToken | Promise<ServedToken> {
  const { asker, parameters, request } = job
  const { timeoutMs, minValidS } = parameters
  const demand = { minValidS, timeoutMs: ms, caller: callerKey(asker.caller) }
  const atHand = context.provider.takeAtHand(request, demand)
  if (atHand !== null) return atHand
  const deadline = {
    clock: context.clock,
    ms: ms + deadlineGraceMs,
    outer: asker.gone,
    late: () => deadlineExceeded(timeoutMs),
  }
  return withDeadline(deadline, (signal) => context.provider.obtainToken(request, demand, signal))
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
  const { asker, parameters, request } = job
  const { timeoutMs } = parameters
  const token = await obtain(context, job, remainingMs(context, asker, timeoutMs))
  const behind = await asker.readyToWrite()
  if (!behind || request.fresh || request.nonces.length > 0) return token
  const current = await obtain(context, job, Math.max(1, leftMs(context, asker, timeoutMs)))
  await asker.readyToWrite()
  return current
}

function tellServed({ listener, observe }: ApiContext, { asker, request }: TokenJob, token: ServedToken): void {
  const { issuer, audience } = request
  const { jti, issuedAt, expiresAt, source } = token
  observe({ event: 'served', listener, caller: asker.caller, issuer, audience, jti, issuedAt, expiresAt, source })
}

/**
 * Obtains the token of a job and hands it to `use`, which must use it at once: between the last look at policy and clock
 * and the call nothing is waited for (API-69, API-90). A token that became too old while the caller was checked is obtained
 * once more.
 */
export async function takeToken(context: ApiContext, job: TokenJob, use: (token: ServedToken) => void): Promise<void> {
  const { parameters, request } = job
  const { clock, limits, listener, observe } = context
  for (let attempt = 0; attempt < 2; attempt++) {
    const token = await obtainInTurn(context, job)
    requireShortLife(requireStillAllowed(context, job.asker, job.permission), token)
    const demand = { minValidS: parameters.minValidS, now: clock.now(), floorS: limits.servingFloorS }
    const why = unservableBecause(token, request, demand)
    if (why === null) {
      tellServed(context, job, token)
      return use(token)
    }
    observe({ event: 'unservable_token_stopped', listener, why })
  }
  throw new TypeError('the token provider gave tokens that must not be served')
}

function tokenHeaders({ expiresAt, refreshAt, source }: Pick<ServedToken, 'expiresAt' | 'refreshAt' | 'source'>) {
  return {
    'attestd-expires-at': String(expiresAt),
    'attestd-refresh-at': String(refreshAt),
    'attestd-source': source,
  }
}

/** `HEAD` tells what is there and starts nothing (API-33). */
function describeToken(context: ApiContext, exchange: Exchange, { request }: TokenJob, form: TokenForm): Promise<void> {
  const { expiresAt, refreshAt } = context.provider.describe(request)
  const known = expiresAt !== null && refreshAt !== null && expiresAt > secondsOf(context.clock)
  const headers = { ...form.headers, ...(known ? tokenHeaders({ expiresAt, refreshAt, source: 'cache' }) : {}) }
  return exchange.answer({ status: 200, type: form.type, body: null, headers })
}

/**
 * The native token operation as the answer to an HTTP request (section 6.1), for the native route and for every surface
 * alike (API-121, API-122): they differ in how the request is read and in what `form` makes of the token.
 */
export async function answerToken(
  context: ApiContext,
  exchange: Exchange,
  parameters: TokenParameters,
  form: TokenForm,
): Promise<void> {
  const describes = exchange.method === 'HEAD'
  const job = requireTokenJob(context, exchange, parameters, { describes })
  if (describes) return describeToken(context, exchange, job, form)
  await takeToken(context, job, (token) => {
    const headers = { ...form.headers, ...tokenHeaders(token) }
    const { type } = form
    exchange.write({ status: 200, type, body: form.body(token, job.request), headers, source: token.source })
  })
}
