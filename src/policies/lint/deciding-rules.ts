import type { Rule } from '../language/syntax.ts'
import { argumentOf, literalOf, literalType } from './condition-facts.ts'

/** The type of the claim that a rule adds to the working set, where it is written out. */
export function addedType({ action }: Rule): string | null {
  const argument = action.kind === 'issueproperty' ? null : argumentOf(action)
  const type = argument?.kind === 'claim' ? literalOf(argument.type) : null
  return typeof type === 'string' ? type : null
}

const decides = ({ action }: Rule): boolean => action.kind === 'permit' || action.kind === 'deny'

/**
 * The rules on which the decision rests: those that permit or deny, and those that add what such a rule, by way of others
 * too, asks for. Later rules do not feed earlier ones, so that one pass from the end finds all.
 */
export function decidingRules(authorization: readonly Rule[]): ReadonlySet<Rule> {
  const rules = new Set<Rule>()
  const types = new Set<string>()
  for (const rule of authorization.toReversed()) {
    const added = addedType(rule)
    if (!decides(rule) && (added === null || !types.has(added))) continue
    rules.add(rule)
    for (const condition of rule.conditions) {
      const type = literalType(condition)
      if (type !== null) types.add(type)
    }
  }
  return rules
}
