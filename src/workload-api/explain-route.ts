import type { CallerIdentity } from '../policies/caller-identity.ts'
import {
  type CallerMethod,
  callerMethods,
  callerRequest,
  type Decision,
  decide,
  raisedRate,
} from '../policies/caller-policy.ts'
import type { EntryDescription } from '../results/served-token.ts'
import type { TokenRequest } from '../results/token-request.ts'
import { type ApiContext, requireAllowed } from './api-context.ts'
import { invalidRequest } from './errors.ts'
import type { Exchange } from './exchange.ts'
import { MemberReader } from './members.ts'
import type { ParameterForm } from './query.ts'
import { callerKey } from './rate-limits.ts'
import type { Route } from './route.ts'
import { requireAudienceSet, requireAudiences, requireIssuer, requireTokenType } from './token-parameters.ts'

const forms: Readonly<Record<string, ParameterForm>> = {
  audience: 'texts',
  method: 'text',
  token_type: 'text',
  issuer: 'text',
  nonce: 'boolean',
  fresh: 'boolean',
}

interface Question {
  readonly method: CallerMethod
  readonly nonces: boolean
  /** As the token that would be asked for. */
  readonly token: TokenRequest
}

function requireMethod(name: string | null): CallerMethod {
  const method = callerMethods.find((one) => one === (name ?? 'token'))
  if (method) return method
  throw invalidRequest('method', `is not one of ${callerMethods.join(', ')}`)
}

function readQuestion(context: ApiContext, exchange: Exchange): Question {
  const reader = new MemberReader(exchange.queryMembers(forms), Object.keys(forms))
  const settings = context.tokens()
  const method = requireMethod(reader.text('method'))
  const issuer = requireIssuer(reader.text('issuer'), settings)
  const named = reader.texts('audience')
  const audience = named && requireAudiences(named)
  const token: TokenRequest = {
    issuer: issuer.name,
    tokenType: requireTokenType(reader.text('token_type')),
    audience: method === 'token' ? requireAudienceSet(audience, issuer, settings) : (audience ?? []),
    nonces: [],
    ttlS: null,
    policyIds: issuer.policyIds,
    cnf: null,
    fresh: reader.boolean('fresh') ?? false,
  }
  return { method, nonces: reader.boolean('nonce') ?? false, token }
}

function decideQuestion({ policy }: ApiContext, caller: CallerIdentity, { method, nonces, token }: Question): Decision {
  const { audience, issuer, tokenType, fresh } = token
  const parts = method === 'token' ? { audience, issuer, tokenType, nonces, fresh } : {}
  const ofKeys = method === 'jwks' ? { issuer } : {}
  return decide(policy(), caller, callerRequest(method, { ...parts, ...ofKeys }))
}

function cacheState(context: ApiContext, token: TokenRequest) {
  const { state, expiresAt, refreshAt, generation, lastError } = context.provider.describe(token)
  return { state, expires_at: expiresAt, refresh_at: refreshAt, generation, last_error: shownError(lastError) }
}

/** A denial by an appraisal policy in the members of the problem document that refused the token (POL-443). */
function shownError(lastError: EntryDescription['lastError']) {
  if (lastError?.denial === undefined) return lastError
  const { code, at, denial } = lastError
  return { code, at, policy_id: denial.policy, reason: denial.reason, lines: denial.lines }
}

function shownCaller({ identity, uid, gid, groups, unit, slice, container, listener }: CallerIdentity) {
  return { identity, uid, gid, groups, unit, slice, container, listener }
}

async function explain(context: ApiContext, exchange: Exchange): Promise<void> {
  const question = readQuestion(context, exchange)
  requireAllowed(context, exchange, callerRequest('explain'), false)
  const { caller } = exchange
  const decision = decideQuestion(context, caller, question)
  const left = context.rates.left(callerKey(caller), raisedRate(context.policy(), caller))
  const body = JSON.stringify({
    caller: shownCaller(caller),
    decision: decision.allowed ? 'allow' : 'deny',
    rule: decision.allowed ? decision.rule.id : null,
    dimension: decision.allowed ? null : decision.dimension,
    ...(decision.allowed && question.method === 'token' ? { cache: cacheState(context, question.token) } : {}),
    limits: { requests_left: left.requests, expensive_left: left.expensive },
  })
  await exchange.answer({ status: 200, type: 'application/json', body })
}

/** `GET /v1/explain`: what the caller itself may do, and why; starts no work (section 6.4). */
export function explainRoutes(context: ApiContext): readonly Route[] {
  return [{ method: 'GET', path: '/v1/explain', caller: true, handle: (exchange) => explain(context, exchange) }]
}
