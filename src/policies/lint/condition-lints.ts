import type { ClaimValue } from '../claim.ts'
import { claimEntryOf } from '../claims/claim-catalogue.ts'
import type { Condition } from '../language/syntax.ts'
import { claimProperties } from '../language/words.ts'
import {
  admitsIssuer,
  argumentOf,
  asksOnly,
  hasTypeTest,
  literalOf,
  literalType,
  neededValues,
  testsProperty,
} from './condition-facts.ts'
import { type LintFinding, type LintId, shownName } from './lint-finding.ts'
import type { RuleView } from './rule-view.ts'
import { evidenceEntry, factsOfCondition } from './value-facts.ts'

type ConditionLint = (condition: Condition, view: RuleView) => Omit<LintFinding, 'span' | 'id'> | null

/** L01 */
const matchesEveryType: ConditionLint = (condition) =>
  hasTypeTest(condition)
    ? null
    : { message: 'the condition has no type == and matches claims of every type', hint: 'add type=="…"' }

/** L02: the attester chooses names and values of claims of its own, and a rule that adds a claim gives it another issuer. */
const trustsAnyIssuer: ConditionLint = (condition, { section, rule, facts }) => {
  const decides = section === 'configurationrules' || facts.deciding.has(rule)
  if (!decides || testsProperty(condition, 'issuer')) return null
  const message = 'the condition decides, and takes claims of any issuer, those of the attester itself included'
  return { message, hint: 'add issuer=="AttestationService" or issuer=="AttestationPolicy"' }
}

/** L03: the claim is there whether it is true or false. */
const testsExistence: ConditionLint = (condition, { added }) => {
  if (condition.negated || condition.identifier !== null || testsProperty(condition, 'value')) return null
  const types = literalType(condition) === null ? null : factsOfCondition(condition, added)?.types
  if (types?.size !== 1 || !types.has('Boolean')) return null
  const message = `${shownName(literalType(condition) ?? '')} is a Boolean: this asks whether it is there, not whether it is true`
  return { message, hint: 'add value==true or value==false' }
}

/** L04 */
const findsNothing: ConditionLint = (condition, { added, facts }) => {
  const type = literalType(condition)
  if (type === null || facts.computesTypes || type.startsWith('custom:') || asksOnly(condition, 'CustomClaim'))
    return null
  if (evidenceEntry(condition) !== null) return null
  if (added.has(type) && admitsIssuer(condition, 'AttestationPolicy')) return null
  const known = claimEntryOf(type) ?? added.get(type) ?? null
  const says = known === null ? 'no evidence and no earlier rule provides' : 'nobody provides under this issuer'
  return {
    message: `${says} ${shownName(type)}`,
    found: type,
    hint: 'see docs/policy-claims.md; rules run in text order',
  }
}

/** Whether the condition holds only for claims with this value. */
function requires({ tests, negated }: Condition, value: ClaimValue): boolean {
  if (negated) return false
  return tests.some(({ property, operator, expression }) => {
    const literal = property === 'value' ? literalOf(expression) : null
    if (literal === null || typeof literal !== typeof value) return false
    if (operator === '==') return literal === value
    return operator === '!=' && literal !== value && (typeof value === 'boolean' || literal === 'disabled')
  })
}

/** L14 */
const permitsDebugging: ConditionLint = (condition, { rule }) => {
  const debugValue = evidenceEntry(condition)?.debugValue ?? null
  if (rule.action.kind !== 'permit' || debugValue === null || !requires(condition, debugValue)) return null
  return {
    message: `the rule permits what is in debug mode: ${shownName(literalType(condition) ?? '')} must be ${debugValue}`,
  }
}

/** L17 */
const makesAbsenceGood: ConditionLint = (condition, { rule: { action } }) => {
  const type = literalType(condition)
  const argument = argumentOf(action)
  if (!condition.negated || type === null || argument?.kind !== 'claim' || action.kind === 'issueproperty') return null
  if (literalOf(argument.type) !== type || literalOf(argument.value) !== true) return null
  return {
    message: `where nothing says ${shownName(type)}, it becomes true`,
    hint: 'let the absence of a claim be false',
  }
}

/** L19 */
const contradictsItself: ConditionLint = (condition) => {
  const property = claimProperties.find((name) => new Set(neededValues(condition, name)).size > 1)
  if (property === undefined) return null
  return { message: `no claim has two values of ${property}`, found: property, hint: 'write a rule for each value' }
}

/** L20 */
const isOfOtherEvidence: ConditionLint = (condition, { facts: { kinds }, added }) => {
  const entry = evidenceEntry(condition)
  if (kinds === null || entry === null || entry.kinds.length === 0) return null
  if (entry.kinds.some((kind) => kinds.includes(kind))) return null
  const type = literalType(condition) ?? ''
  if (added.has(type) && admitsIssuer(condition, 'AttestationPolicy')) return null
  return {
    message: `${shownName(type)} comes from ${entry.kinds.join(', ')}; this policy is about ${kinds.join(', ')}`,
    found: type,
  }
}

const conditionLints: readonly (readonly [LintId, ConditionLint])[] = [
  ['L01', matchesEveryType],
  ['L02', trustsAnyIssuer],
  ['L03', testsExistence],
  ['L04', findsNothing],
  ['L14', permitsDebugging],
  ['L17', makesAbsenceGood],
  ['L19', contradictsItself],
  ['L20', isOfOtherEvidence],
]

export function* lintConditions(view: RuleView): Generator<LintFinding> {
  for (const condition of view.rule.conditions) {
    for (const [id, lint] of conditionLints) {
      const finding = lint(condition, view)
      if (finding !== null) yield { id, span: condition.span, ...finding }
    }
  }
}
