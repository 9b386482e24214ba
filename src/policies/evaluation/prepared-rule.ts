import { EvaluationFailure } from '../evaluation-failure.ts'
import type { Expression, Policy, Rule, SectionName } from '../language/syntax.ts'
import type { PolicyLimits } from '../policy-limits.ts'
import { type PreparedAction, prepareAction } from './actions.ts'
import { PreparedCondition } from './conditions.ts'
import { type Compute, compileExpression, LiteralQueries } from './expressions.ts'

export interface PreparedRule {
  readonly rule: Rule
  readonly section: SectionName
  /** 1-based, in its section. */
  readonly number: number
  readonly line: number
  readonly conditions: readonly PreparedCondition[]
  readonly act: PreparedAction
}

/** The rules of a policy, compiled, in the order in which they run. */
export interface PreparedRules {
  readonly configuration: readonly PreparedRule[]
  readonly authorization: readonly PreparedRule[]
  readonly issuance: readonly PreparedRule[]
}

/** What the parser has checked already; a policy can also be made by a program. */
function checkSize(rules: readonly Rule[], limits: PolicyLimits): void {
  const tooMany = (what: string, limit: number) => new EvaluationFailure('POL-602', `more than ${limit} ${what}`)
  if (rules.length > limits.rules) throw tooMany('rules', limits.rules)
  for (const { conditions } of rules) {
    if (conditions.length > limits.conditionsPerRule) throw tooMany('conditions in a rule', limits.conditionsPerRule)
    if (conditions.some(({ tests }) => tests.length > limits.testsPerCondition)) {
      throw tooMany('tests in a condition', limits.testsPerCondition)
    }
  }
}

/** Compiles all rules. Throws `EvaluationFailure` for what the parser would have refused. */
export function prepareRules(policy: Policy, limits: PolicyLimits): PreparedRules {
  checkSize([...policy.configuration, ...policy.authorization, ...policy.issuance], limits)
  const compiler = { limits, queries: new LiteralQueries(limits) }
  const compile = (expression: Expression): Compute => compileExpression(expression, compiler)
  const prepared = (section: SectionName, rules: readonly Rule[]): PreparedRule[] =>
    rules.map((rule, at) => ({
      rule,
      section,
      number: at + 1,
      line: rule.span.line,
      conditions: rule.conditions.map(
        (condition) => new PreparedCondition(condition, (test) => compile(test.expression)),
      ),
      act: prepareAction(rule.action, { section, line: rule.span.line }, compile),
    }))
  return {
    configuration: prepared('configurationrules', policy.configuration),
    authorization: prepared('authorizationrules', policy.authorization),
    issuance: prepared('issuancerules', policy.issuance),
  }
}
