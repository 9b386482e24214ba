import type { GivenClaim } from '../claims/incoming-claims.ts'
import { EvaluationFailure } from '../evaluation-failure.ts'
import type { Policy } from '../language/syntax.ts'
import { type PolicyLimits, requirePolicyLimits } from '../policy-limits.ts'
import type { PolicyProfile } from '../reserved-claims.ts'
import type { Evaluation } from './evaluation.ts'
import { requireIncomingClaims } from './incoming-claims.ts'
import { PolicyRun } from './policy-run.ts'
import { type PreparedRules, prepareRules } from './prepared-rule.ts'

export interface PolicyOptions {
  /** Which names are reserved (POL-427). */
  readonly profile: PolicyProfile
  /** Section 8; what is not named has its default. What is above `requirePolicyLimits` throws `POLICY_LIMIT`. */
  readonly limits?: Partial<PolicyLimits>
}

export interface EvaluationOptions extends PolicyOptions {
  /** Adds to the result what each rule did (POL-820). It may contain evidence. */
  readonly trace?: boolean
}

/** A policy made ready to be evaluated many times: its rules are compiled, and its queries when they are first needed. */
export class PreparedPolicy {
  readonly #rules: PreparedRules | EvaluationFailure
  readonly #limits: PolicyLimits
  readonly #profile: PolicyProfile

  constructor(policy: Policy, { profile, limits }: PolicyOptions) {
    this.#limits = requirePolicyLimits(limits)
    this.#profile = profile
    this.#rules = preparedOrFailed(policy, this.#limits)
  }

  /** As `evaluatePolicy`. */
  evaluate(claims: readonly GivenClaim[], options: Pick<EvaluationOptions, 'trace'> = {}): Evaluation {
    const run = new PolicyRun({ profile: this.#profile, limits: this.#limits, trace: options.trace ?? false })
    return run.evaluate(() => {
      if (this.#rules instanceof EvaluationFailure) throw this.#rules
      return { claims: requireIncomingClaims(claims, this.#limits), rules: this.#rules }
    })
  }
}

function preparedOrFailed(policy: Policy, limits: PolicyLimits): PreparedRules | EvaluationFailure {
  try {
    return prepareRules(policy, limits)
  } catch (error) {
    if (error instanceof EvaluationFailure) return error
    throw error
  }
}

/**
 * Evaluates a policy on incoming claims (section 5): a pure function of its arguments, without clock, network or chance,
 * bounded by the limits of section 8. Nothing about the claims is believed: each is checked, and `readOnly` can only add
 * to what is read-only by name (POL-425). Never throws for bad claims or policies: whatever cannot be evaluated is
 * verdict *error* with the rule of the specification and the line, and then there is no token (POL-424).
 */
export function evaluatePolicy(policy: Policy, claims: readonly GivenClaim[], options: EvaluationOptions): Evaluation {
  return new PreparedPolicy(policy, options).evaluate(claims, options)
}
