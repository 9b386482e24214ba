import type { GivenClaim } from '../../src/policies/claims/incoming-claims.ts'
import {
  type Evaluation,
  type EvaluationOptions,
  evaluatePolicy,
  type Policy,
  type PolicyLimits,
  parsePolicy,
} from '../../src/policies/index.ts'

export function policyFrom(text: string, limits: Partial<PolicyLimits> = {}): Policy {
  const { policy, diagnostics } = parsePolicy(text, { limits })
  if (!policy) throw new TypeError(`${diagnostics[0]?.id} ${diagnostics[0]?.message}: ${text.slice(0, 200)}`)
  return policy
}

/** Sections of a policy of version 1.2, each a list of rules; `permit()` stands in front of those of issuance. */
export interface Rules {
  readonly configuration?: readonly string[]
  readonly authorization?: readonly string[]
  readonly issuance?: readonly string[]
}

/** One rule a line: the first of issuance is in line 6 if there are no others. */
export function policyText({ configuration = [], authorization = ['=> permit();'], issuance = [] }: Rules): string {
  const section = (name: string, rules: readonly string[]) =>
    `${name} {\n${rules.map((rule) => `${rule}\n`).join('')}};\n`
  const first = configuration.length > 0 ? section('configurationrules', configuration) : ''
  return `version=1.2;\n${first}${section('authorizationrules', authorization)}${section('issuancerules', issuance)}`
}

export function evaluate(
  rules: Rules,
  claims: readonly GivenClaim[] = [],
  options: Partial<EvaluationOptions> = {},
): Evaluation {
  return evaluatePolicy(policyFrom(policyText(rules), options.limits), claims, { profile: 'attestd', ...options })
}

/** A claim of the service. */
export function service(type: string, value: string | number | bigint | boolean): GivenClaim {
  return { type, value, issuer: 'AttestationService' }
}

/** What an evaluation says in short: the token, why it denies, or id and line of the error. */
export function outcome(evaluation: Evaluation): unknown {
  if (evaluation.verdict === 'permit') return { ...evaluation.token }
  return evaluation.verdict === 'deny' ? evaluation.reason : `${evaluation.error.id} line ${evaluation.error.line}`
}

export function issued(rules: readonly string[], claims: readonly GivenClaim[] = [], options = {}): unknown {
  return outcome(evaluate({ issuance: rules }, claims, options))
}
