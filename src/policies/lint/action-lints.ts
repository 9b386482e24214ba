import type { EvidenceKind } from '../claims/claim-entry.ts'
import { policyProperties } from '../language/policy-properties.ts'
import type { Action, Condition } from '../language/syntax.ts'
import { reservedNames } from '../reserved-claims.ts'
import { argumentOf, literalOf, literalType } from './condition-facts.ts'
import { type LintFinding, shownName } from './lint-finding.ts'
import type { RuleLint, RuleView } from './rule-view.ts'
import { factsOf, factsOfCondition } from './value-facts.ts'

/** L10 */
function* lintReadOnly(view: RuleView): Generator<LintFinding> {
  const { section, bound, added } = view
  const { action } = view.rule
  if ((action.kind !== 'issue' && action.kind !== 'issueproperty') || section === 'authorizationrules') return
  const { argument } = action
  const copied = argument.kind === 'copy' ? bound.get(argument.identifier) : undefined
  const facts = argument.kind === 'claim' ? factsOf(argument.value, view) : copied && factsOfCondition(copied, added)
  if (!facts?.isReadOnly) return
  const message = `the value is read-only, or taken from one that is: ${action.kind} is an error when the rule fires`
  const hint = 'issue the result of a comparison: ContainsOnlyValue and IsSubsetOf give Booleans that may be issued'
  yield { id: 'L10', span: action.span, message, hint, found: action.kind }
}

/** L11 */
function* lintIssueInAuthorization({ section, rule: { action } }: RuleView): Generator<LintFinding> {
  if (action.kind !== 'issue' || section !== 'authorizationrules') return
  const message = 'issue works as add here: the claim does not reach the token'
  yield { id: 'L11', span: action.span, message, hint: 'write add, or move the rule to issuancerules', found: 'issue' }
}

const matchesAnything = ({ tests, negated }: Condition) => tests.length === 0 && !negated

/** L13 */
function* lintUnconditional({ rule, facts }: RuleView): Generator<LintFinding> {
  if (rule.action.kind !== 'permit' || facts.hasDeny || !rule.conditions.every(matchesAnything)) return
  const message = 'the rule always permits, and no rule denies'
  yield { id: 'L13', span: rule.span, message, hint: 'say what evidence must show, or add a rule that denies' }
}

/** The type of what an action writes, if it is known. */
function writtenType(action: Action, bound: RuleView['bound']): string | null {
  const argument = argumentOf(action)
  if (argument === null) return null
  if (argument.kind === 'claim') {
    const type = literalOf(argument.type)
    return typeof type === 'string' ? type : null
  }
  const copied = bound.get(argument.identifier)
  return copied === undefined ? null : literalType(copied)
}

/** L16 */
function* lintReserved({ section, rule: { action }, facts: { profile }, bound }: RuleView): Generator<LintFinding> {
  if (action.kind !== 'issue' || section === 'authorizationrules') return
  const type = writtenType(action, bound)
  if (type === null || !reservedNames[profile].has(type)) return
  const message = `${shownName(type)} is a claim of the verifier itself: issuing it is an error when the rule fires`
  yield { id: 'L16', span: action.span, message, hint: 'choose another name', found: type }
}

/** Properties that mean something for some evidence only (section 7). */
const propertyKinds: ReadonlyMap<string, EvidenceKind> = new Map([
  ['required_pcr_mask', 'tpm'],
  ['require_valid_aik_cert', 'tpm'],
  ['x-ms-sgx-tcbidentifier', 'sgx'],
])

/** L20 */
function* lintProperty({ rule: { action }, facts: { kinds }, bound }: RuleView): Generator<LintFinding> {
  const name = action.kind === 'issueproperty' ? writtenType(action, bound) : null
  if (name === null) return
  const kind = propertyKinds.get(name)
  const known = [...policyProperties.keys()].join(', ')
  if (!policyProperties.has(name)) {
    const message = `the property ${shownName(name)} has no effect`
    yield { id: 'L20', span: action.span, message, hint: `known: ${known}`, found: name }
  } else if (kinds !== null && kind !== undefined && !kinds.includes(kind)) {
    const message = `the property ${shownName(name)} is about ${kind}; this policy is about ${kinds.join(', ')}`
    yield { id: 'L20', span: action.span, message, found: name }
  }
}

/** They are looked at behind configurationrules, before any other rule runs (POL-428). */
const earlyProperties: ReadonlySet<string> = new Set(['required_pcr_mask', 'require_valid_aik_cert'])

/** L22: whoever wrote it believes that registers or keys are asked for, and nothing is. */
function* lintLateProperty({ section, rule: { action }, bound }: RuleView): Generator<LintFinding> {
  const name = action.kind === 'issueproperty' && section === 'issuancerules' ? writtenType(action, bound) : null
  if (name === null || !earlyProperties.has(name)) return
  const message = `the property ${shownName(name)} has no effect here: evidence was compared with it before this rule runs`
  yield { id: 'L22', span: action.span, message, hint: 'move the rule to configurationrules', found: name }
}

export const actionLints: readonly RuleLint[] = [
  lintReadOnly,
  lintIssueInAuthorization,
  lintUnconditional,
  lintReserved,
  lintProperty,
  lintLateProperty,
]
