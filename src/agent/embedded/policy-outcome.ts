import type { JsonObject, JsonValue } from '../../base/json.ts'
import type { LifetimeBound } from '../../issuer/token-lifetime.ts'
import { joinVerdicts } from '../../policies/evaluation/evaluate-policies.ts'
import type { ClaimValue, DenialReason, EvaluationError, JointVerdict, TokenValue } from '../../policies/index.ts'
import type { AppraisalPolicy } from './appraisal-policies.ts'
import { embeddedErrors } from './errors.ts'
import type { JudgedPolicy, MissedPermit, OpposedTrust } from './policy-judge.ts'

/** What the policies of a request put into its token. */
export interface PolicyOutcome {
  readonly claims: JsonObject
  /** They only shorten (section 7). */
  readonly bounds: readonly LifetimeBound[]
}

const notAsked: PolicyOutcome = { claims: {}, bounds: [] }

/**
 * Errors in words that say nothing of what the evidence holds: the engine's own message can quote names that a policy
 * made of claims, and the workload that asked may not see them. The operator has that message in the status.
 */
const tellable: Readonly<Record<string, string>> = {
  'POL-309': 'a property that does not exist, or with a value that is not allowed',
  'POL-310': 'a claim type that is not a String of 1 to 256 characters',
  'POL-402': 'an incoming claim that is not allowed',
  'POL-410': 'several values where one is needed',
  'POL-412': 'an ordering of values that are not both Integers',
  'POL-419': 'an Integer that readers of JSON would round',
  'POL-425': 'a read-only value would be issued',
  'POL-426': 'a property with two values',
  'POL-427': 'a reserved claim would be issued',
  'POL-429': 'two policies issue different values for one name',
  'POL-501': 'a value that is no JSON text',
  'POL-502': 'an empty query',
  'POL-503': 'a query that does not compile or fails',
  'POL-504': 'JSON that cannot become a claim',
  'POL-505': 'AppendString of other values than Strings',
  'POL-506': 'NegateBool of another value than a Boolean',
  'POL-507': 'ContainsOnlyValue without a value',
  'POL-605': 'a query beyond its limits',
  'POL-606': 'more or longer claims than the limits allow',
  'POL-607': 'a result beyond its limits',
  'POL-608': 'more steps than the limits allow',
  'POL-609': 'more issued claims than the limits allow',
  'POL-961': 'the compiled policy failed, or gave no answer of the right form in time',
  'POL-963': 'the compiled policy needs functions that are not offered',
  'POL-964': 'the compiled policy gave a result that is not allowed',
}

function toldError(rule: string): string {
  return Object.hasOwn(tellable, rule) ? (tellable[rule] ?? '') : 'the policy cannot be evaluated'
}

const says: Readonly<Record<Exclude<DenialReason, 'error'>, string>> = {
  'deny-rule': 'a rule denies',
  'no-permit': 'no rule permits',
  configuration: 'what its configuration rules require is not met',
}

/** A compiled policy has no lines and no rules that could be named. */
const bundleSays: typeof says = {
  ...says,
  'deny-rule': 'its trust claims warn against this machine',
  'no-permit': 'it does not affirm all that is required',
}

const place = (lines: readonly number[]) =>
  lines.length === 0 ? '' : ` (line${lines.length > 1 ? 's' : ''} ${lines.join(', ')})`

/** Which policy refused, and why (POL-443). */
interface Refusal {
  readonly id: string
  readonly reason: DenialReason
  readonly lines: readonly number[]
  /** For the reason `error`. */
  readonly error: EvaluationError | null
  readonly isBundle: boolean
}

/** POL-443: what a refusal tells to whoever asked, and to the log. No claim is in it. */
function deniedError({ id, reason, lines, error, isBundle }: Refusal) {
  const message = error === null ? null : toldError(error.id)
  const what = reason === 'error' ? `cannot be evaluated: ${message}` : (isBundle ? bundleSays : says)[reason]
  const facts = {
    policy_id: id,
    reason,
    ...(lines.length === 0 ? {} : { lines: lines.join(', ') }),
    ...(error === null || message === null ? {} : { rule: error.id, message }),
  }
  return embeddedErrors.error('AS.POLICY.DENIED', `policy ${id}: ${what}${place(lines)}`, { facts })
}

const jsonOf = (value: ClaimValue): JsonValue => (typeof value === 'bigint' ? Number(value) : value)

function claimsOf(token: Readonly<Record<string, TokenValue>>): JsonObject {
  const members = Object.entries(token).map(([name, value]) => {
    const [first = null, ...others] = [value].flat().map(jsonOf)
    return [name, others.length === 0 ? first : [first, ...others]] as const
  })
  return Object.fromEntries(members)
}

function verdictOf(verdicts: readonly JudgedPolicy[], { id }: AppraisalPolicy): JudgedPolicy {
  const found = verdicts.find((verdict) => verdict.id === id)
  if (found === undefined) throw new TypeError(`policy ${id} was not evaluated`)
  return found
}

/** Policies that contradict each other refuse together, and no line of one of them is to blame. */
function refusalIn(joint: Exclude<JointVerdict, { verdict: 'permit' }>, judged: readonly JudgedPolicy[]): Refusal {
  const { id } = joint
  const one = judged.find((policy) => policy.id === id)
  const reason = one?.evaluation.verdict === 'deny' ? one.evaluation.reason : 'error'
  return {
    id: one?.id ?? judged.map((policy) => policy.id).join(', '),
    reason,
    lines: one?.lines ?? [],
    error: joint.verdict === 'error' ? joint.error : null,
    isBundle: one?.opposed !== undefined,
  }
}

/**
 * What `policies`, those of one request, made of an appraisal at `at`, seconds since the epoch: all must permit
 * (POL-429). Throws `AS.POLICY.DENIED` where one does not (POL-443), which is a verdict on this machine.
 */
export function requirePermit(
  policies: readonly AppraisalPolicy[],
  verdicts: readonly JudgedPolicy[],
  at: number,
): PolicyOutcome {
  if (policies.length === 0) return notAsked
  const judged = policies.map((policy) => verdictOf(verdicts, policy))
  const joint = joinVerdicts(judged)
  if (joint.verdict !== 'permit') throw deniedError(refusalIn(joint, judged))
  const { token, properties } = joint
  const minutes = properties['report_validity_in_minutes']
  return {
    claims: claimsOf(token),
    bounds: minutes === undefined ? [] : [{ name: 'policy', at: at + 60 * Number(minutes) }],
  }
}

/** What a policy said last, for operators. Never a claim that it saw or issued. */
export interface PolicyReport {
  readonly id: string
  readonly verdict: 'permit' | DenialReason
  readonly lines: readonly number[]
  readonly missed: readonly MissedPermit[]
  /** Of a compiled policy: for which names of its trust vector it denied. */
  readonly opposed?: readonly OpposedTrust[]
  readonly rule: string | null
  /** In the engine's own words. */
  readonly message: string | null
}

export function reportOf(judged: JudgedPolicy): PolicyReport {
  const { id, evaluation, lines, missed, opposed } = judged
  const error = evaluation.verdict === 'error' ? evaluation.error : null
  const verdict = evaluation.verdict === 'deny' ? evaluation.reason : evaluation.verdict
  const reasons = { lines, missed, ...(opposed === undefined ? {} : { opposed }) }
  return { id, verdict, ...reasons, rule: error?.id ?? null, message: error?.message ?? null }
}
