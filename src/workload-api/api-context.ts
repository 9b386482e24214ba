import type { Clock } from '../base/clock.ts'
import type { JsonObject } from '../base/json.ts'
import { type CallerPolicy, type CallerRequest, type CallerRule, decide } from '../policies/caller-policy.ts'
import type { Asker } from './asker.ts'
import { workloadApiErrors } from './errors.ts'
import type { EvidenceCollector } from './evidence-collector.ts'
import type { WorkloadLimits } from './limits.ts'
import type { Measurer } from './measurer.ts'
import { callerKey, type RateLimits } from './rate-limits.ts'
import type { TokenProvider, TokenSettings } from './token-provider.ts'
import type { WorkloadLog, WorkloadObserver } from './workload-log.ts'

/** What the routes of workloads are made of. Functions without arguments give the snapshot that is in force. */
export interface ApiContext {
  readonly listener: string
  readonly policy: () => CallerPolicy
  readonly tokens: () => TokenSettings
  readonly provider: TokenProvider
  /** Public key set of a configured issuer (RFC 7517). */
  readonly jwks: (issuer: string) => Promise<JsonObject>
  readonly collectEvidence: EvidenceCollector | null
  readonly measure: Measurer | null
  readonly rates: RateLimits
  readonly clock: Clock
  readonly limits: WorkloadLimits
  readonly log: WorkloadLog
  readonly observe: WorkloadObserver
}

const refusedIn: Readonly<Record<string, string>> = {
  caller: 'no rule is about this caller',
  method: 'no rule allows this caller the route',
  audience: 'no rule allows this caller the audience',
  token_type: 'no rule allows this caller the token type',
  issuer: 'no rule allows this caller the issuer',
  nonce: 'no rule allows this caller these nonces or this challenge, or a rule requires one',
  fresh: 'no rule allows this caller fresh tokens',
  ttl: 'no rule allows this caller tokens that live that long',
  min_valid: 'no rule allows this caller to ask for that much remaining life',
  domain: 'no rule allows this caller measurements of this domain',
}

/** What allowed a request: one rule of the policy that was in force when it came. */
export interface Permission {
  readonly request: CallerRequest
  readonly policy: CallerPolicy
  readonly rule: CallerRule
}

/** Decides by the policy in force. A denial tells only the dimension (API-67). */
function requireRule(context: ApiContext, asker: Asker, request: CallerRequest): Permission {
  const { listener, log, observe, rates } = context
  const policy = context.policy()
  const decision = decide(policy, asker.caller, request)
  if (decision.allowed) return { request, policy, rule: decision.rule }
  const { code, dimension, rule } = decision
  const caller = callerKey(asker.caller)
  observe({ event: 'denied', listener, rule, caller, who: asker.caller, code, dimension })
  if (rates.mayLogDenial(caller, dimension)) {
    log.info({ request_id: asker.id, caller, uid: asker.caller.uid, code, dimension }, 'request denied')
  }
  throw workloadApiErrors.error(code, refusedIn[dimension] ?? 'denied', { facts: { dimension } })
}

/**
 * The one rule that allows the request; before the cache is looked at and before any work (API-68). The rule's rate and,
 * for work that needs a quote, the caller's share are taken here (API-81).
 */
export function requireAllowed(
  context: ApiContext,
  asker: Asker,
  request: CallerRequest,
  expensive: boolean,
): Permission {
  const permission = requireRule(context, asker, request)
  const caller = callerKey(asker.caller)
  context.rates.requireRule(caller, permission.rule)
  if (expensive) context.rates.requireExpensive(caller)
  return permission
}

/**
 * The rule that allows the request now that its answer is ready. A right that was taken away while the work was done, or
 * while earlier answers of the connection were written, is gone: otherwise requests sent ahead would outlive it (API-69).
 */
export function requireStillAllowed(context: ApiContext, asker: Asker, permission: Permission): CallerRule {
  if (context.policy() === permission.policy) return permission.rule
  return requireRule(context, asker, permission.request).rule
}

/** What is left of the time that the caller granted; not positive once it is over. */
export function leftMs({ clock }: ApiContext, asker: Asker, timeoutMs: number): number {
  return Math.ceil(timeoutMs - (clock.monotonic() - asker.arrivedAt))
}

export function remainingMs(context: ApiContext, asker: Asker, timeoutMs: number): number {
  const left = leftMs(context, asker, timeoutMs)
  if (left > 0) return left
  throw deadlineExceeded(timeoutMs)
}

export function deadlineExceeded(timeoutMs: number): Error {
  return workloadApiErrors.error('deadline_exceeded', `nothing suitable within ${timeoutMs} ms`)
}

/** Whoever does the work ends it by itself at the deadline; what overruns it by this much is not waited for. */
export const deadlineGraceMs = 50
