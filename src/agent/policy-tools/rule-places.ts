import type { Evaluation, TraceEntry } from '../../policies/index.ts'
import type { Policy, Rule } from '../../policies/language/syntax.ts'

/** A rule as it is written, and what it did. */
export interface TracedRule {
  readonly rule: Rule
  readonly entry: TraceEntry
}

const rulesOf = ({ configuration, authorization, issuance }: Policy) => ({
  configurationrules: configuration,
  authorizationrules: authorization,
  issuancerules: issuance,
})

/** Puts every entry of a trace beside its rule, in the order in which they ran. */
export function tracedRules(policy: Policy, { trace = [] }: Evaluation): readonly TracedRule[] {
  const sections = rulesOf(policy)
  return trace.flatMap((entry) => {
    const rule = sections[entry.section][entry.rule - 1]
    return rule === undefined ? [] : [{ rule, entry }]
  })
}

/** The literal type that a rule adds to the claims, if it does. */
export function addedType({ action }: Rule): string | null {
  if (action.kind !== 'add' && action.kind !== 'issue') return null
  if (action.argument.kind !== 'claim' || action.argument.type.kind !== 'string') return null
  return action.argument.type.value
}

/** The number of the condition that kept a rule from firing, from 0; null if it fired or failed. */
export function stoppedAt({ entry: { fired, conditions } }: TracedRule): number | null {
  if (fired) return null
  const at = conditions.findIndex(({ result }) => !result)
  return at < 0 ? null : at
}
