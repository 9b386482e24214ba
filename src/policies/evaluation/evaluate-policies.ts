import type { ClaimValue } from '../claim.ts'
import type { GivenClaim } from '../claims/incoming-claims.ts'
import { beginningOf } from '../language/code-points.ts'
import type { EvaluationOptions, PreparedPolicy } from './evaluate-policy.ts'
import type { Evaluation, EvaluationError, TokenValue, Verdict } from './evaluation.ts'

/** A policy and the id by which requests, tokens and denials name it (POL-442). */
export interface NamedPolicy {
  readonly id: string
  readonly policy: PreparedPolicy
}

export interface NamedEvaluation {
  readonly id: string
  readonly evaluation: Evaluation
}

/** What several policies say together (POL-429). */
export type JointVerdict =
  | {
      readonly verdict: 'permit'
      readonly token: Readonly<Record<string, TokenValue>>
      readonly properties: Readonly<Record<string, ClaimValue>>
    }
  /** `id`: the first policy that does not permit. Null: there is no policy, and nothing is permitted without one. */
  | { readonly verdict: 'deny'; readonly id: string | null }
  /** `id` is null if policies contradict each other. */
  | { readonly verdict: 'error'; readonly id: string | null; readonly error: EvaluationError }

export type JointEvaluation = { readonly evaluations: readonly NamedEvaluation[] } & JointVerdict

type Permit = Extract<Verdict, { verdict: 'permit' }>

/** Of two values that policies give to one property the one that is not laxer. */
const stricter: Readonly<Record<string, (one: ClaimValue, other: ClaimValue) => ClaimValue>> = {
  report_validity_in_minutes: (one, other) => (one < other ? one : other),
  required_pcr_mask: (one, other) => (typeof one === 'bigint' && typeof other === 'bigint' ? one | other : one),
  require_valid_aik_cert: (one, other) => one === true || other === true,
}

function contradiction(what: string): EvaluationError {
  return { id: 'POL-429', message: `two policies give different values to ${what}`, section: null, line: null }
}

function sameValues(one: TokenValue, other: TokenValue): boolean {
  const [left, right] = [[one].flat(), [other].flat()]
  return left.length === right.length && left.every((value, at) => value === right[at])
}

/** Joins what policies issue; the name of which they disagree, if there is one. */
function joinTokens(permits: readonly Permit[]): { token: Record<string, TokenValue>; disagreed?: string } {
  const token: Record<string, TokenValue> = Object.create(null)
  for (const permit of permits) {
    for (const [name, value] of Object.entries(permit.token)) {
      const known = token[name]
      if (known !== undefined && !sameValues(known, value)) return { token, disagreed: name }
      token[name] = value
    }
  }
  return { token }
}

function joinProperties(permits: readonly Permit[]): { properties: Record<string, ClaimValue>; disagreed?: string } {
  const properties: Record<string, ClaimValue> = Object.create(null)
  for (const permit of permits) {
    for (const [name, value] of Object.entries(permit.properties)) {
      const known = properties[name]
      const joined = known === undefined || known === value ? value : stricter[name]?.(known, value)
      if (joined === undefined) return { properties, disagreed: name }
      properties[name] = joined
    }
  }
  return { properties }
}

function joined(permits: readonly Permit[]): JointVerdict {
  const { token, disagreed: claim } = joinTokens(permits)
  const { properties, disagreed: property } = joinProperties(permits)
  const disagreed = claim === undefined ? property : claim
  if (disagreed === undefined) return { verdict: 'permit', token: sorted(token), properties }
  return { verdict: 'error', id: null, error: contradiction(beginningOf(disagreed)) }
}

function sorted(token: Record<string, TokenValue>): Record<string, TokenValue> {
  const inOrder: Record<string, TokenValue> = Object.create(null)
  for (const name of Object.keys(token).sort()) {
    const value = token[name]
    if (value !== undefined) inOrder[name] = value
  }
  return inOrder
}

/**
 * What verdicts of several policies, each reached on its own copy of the incoming claims, say together (POL-429). All must
 * permit, and what they issue is joined; two values for one name are verdict *error*, except that of properties that can
 * only be stricter or laxer the stricter one counts. No policy at all denies.
 */
export function joinVerdicts(verdicts: readonly { readonly id: string; readonly evaluation: Verdict }[]): JointVerdict {
  const permits: Permit[] = []
  for (const { id, evaluation } of verdicts) {
    if (evaluation.verdict === 'error') return { verdict: 'error', id, error: evaluation.error }
    if (evaluation.verdict === 'deny') return { verdict: 'deny', id }
    permits.push(evaluation)
  }
  return permits.length === 0 ? { verdict: 'deny', id: null } : joined(permits)
}

/** Evaluates several policies for one request, none of which sees what another adds, and joins them (`joinVerdicts`). */
export function evaluatePolicies(
  policies: readonly NamedPolicy[],
  claims: readonly GivenClaim[],
  options: Pick<EvaluationOptions, 'trace'> = {},
): JointEvaluation {
  const evaluations = policies.map(({ id, policy }) => ({ id, evaluation: policy.evaluate(claims, options) }))
  return { evaluations, ...joinVerdicts(evaluations) }
}
