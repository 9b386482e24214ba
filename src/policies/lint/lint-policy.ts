import type { EvidenceKind } from '../claims/claim-entry.ts'
import type { PolicyDiagnostic } from '../language/diagnostic.ts'
import { comparePlaces } from '../language/findings.ts'
import type { ParsedPolicy } from '../language/parse-policy.ts'
import type { Condition, Expression, Policy, Rule, SectionName } from '../language/syntax.ts'
import { type PolicyLimits, requirePolicyLimits } from '../policy-limits.ts'
import type { PolicyProfile } from '../reserved-claims.ts'
import { actionLints } from './action-lints.ts'
import { lintCharacters } from './character-lints.ts'
import { lintComment } from './comment-lints.ts'
import { argumentOf, literalOf } from './condition-facts.ts'
import { lintConditions } from './condition-lints.ts'
import { addedType, decidingRules } from './deciding-rules.ts'
import { gatherFindings } from './gather-findings.ts'
import { diagnosticOf, type LintFinding } from './lint-finding.ts'
import { LintWork } from './lint-work.ts'
import { lintBuiltQueries, lintQueries, lintSingleValues } from './query-lints.ts'
import type { PolicyFacts, RuleLint, RuleView } from './rule-view.ts'
import { eitherOf, factsOf, type ValueFacts } from './value-facts.ts'

export interface LintOptions {
  /** The evidence that the policy is about; left out: any (L20). */
  readonly kinds?: readonly EvidenceKind[]
  /** Which names are reserved (L16). Default: `attestd`. */
  readonly profile?: PolicyProfile
  /** Those of POL-605 count here for queries, that of POL-608 for the whole lint; as `requirePolicyLimits` takes them. */
  readonly limits?: Partial<PolicyLimits>
}

/** A policy that parsed. */
export type LoadedPolicy = Extract<ParsedPolicy, { readonly policy: Policy }>

const ruleLints: readonly RuleLint[] = [lintConditions, ...actionLints, lintQueries, lintSingleValues, lintBuiltQueries]

const sectionsOf = ({
  configuration,
  authorization,
  issuance,
}: Policy): readonly (readonly [SectionName, readonly Rule[]])[] => [
  ['configurationrules', configuration],
  ['authorizationrules', authorization],
  ['issuancerules', issuance],
]

function computesType({ action }: Rule): boolean {
  if (action.kind !== 'add' && action.kind !== 'issue') return false
  return action.argument.kind === 'claim' && literalOf(action.argument.type) === null
}

function factsOfPolicy(policy: Policy, { kinds = [], profile = 'attestd' }: LintOptions): PolicyFacts {
  const rules = sectionsOf(policy).flatMap(([, own]) => own)
  return {
    kinds: kinds.length === 0 ? null : kinds,
    profile,
    computesTypes: rules.some(computesType),
    hasDeny: rules.some(({ action }) => action.kind === 'deny'),
    deciding: decidingRules(policy.authorization),
  }
}

function boundBy({ conditions }: Rule): ReadonlyMap<string, Condition> {
  return new Map(conditions.flatMap((one) => (one.identifier === null ? [] : [[one.identifier, one] as const])))
}

/** Remembers what a rule adds, for those behind it (POL-404). */
function addClaims(added: Map<string, ValueFacts>, view: RuleView): void {
  const { rule } = view
  const argument = argumentOf(rule.action)
  const type = addedType(rule)
  if (type === null || argument?.kind !== 'claim') return
  const facts = factsOf(argument.value, view)
  const before = added.get(type)
  added.set(type, before === undefined ? facts : eitherOf(before, facts))
}

const withoutSpans = (name: string, value: unknown) => {
  if (name === 'span') return undefined
  return typeof value === 'bigint' ? `${value}n` : value
}

/** L19: the same conditions and the same action, however they are written. */
class SeenRules {
  #keys = new Set<string>()

  lint(rule: Rule): LintFinding | null {
    const key = JSON.stringify(rule, withoutSpans)
    if (this.#keys.has(key)) return { id: 'L19', span: rule.span, message: 'the rule is equal to an earlier one' }
    this.#keys.add(key)
    return null
  }
}

/** What is doubtful whatever the rules mean. */
function* lintText({ warnings, comments, text }: LoadedPolicy): Generator<PolicyDiagnostic> {
  yield* warnings
  for (const comment of comments) {
    const finding = lintComment(comment)
    if (finding !== null) yield diagnosticOf(finding, 'lexer')
  }
  for (const finding of lintCharacters(text)) yield diagnosticOf(finding, 'lexer')
}

function* lintRules(policy: Policy, options: LintOptions, work: LintWork): Generator<PolicyDiagnostic> {
  const facts = factsOfPolicy(policy, options)
  const added = new Map<string, ValueFacts>()
  for (const [section, rules] of sectionsOf(policy)) {
    const path = `policy > ${section} > claimRule`
    const seen = new SeenRules()
    for (const rule of rules) {
      work.begin(rule)
      const known = { bound: boundBy(rule), added, remembered: new Map<Expression, ValueFacts>(), work }
      const view: RuleView = { section, rule, facts, ...known }
      const again = seen.lint(rule)
      if (again !== null) yield diagnosticOf(again, path)
      for (const lint of ruleLints) for (const finding of lint(view)) yield diagnosticOf(finding, path)
      addClaims(added, view)
    }
  }
}

const order = (left: PolicyDiagnostic, right: PolicyDiagnostic) =>
  comparePlaces(left, right) || (left.id < right.id ? -1 : left.id > right.id ? 1 : 0)

/**
 * What is doubtful in a policy that parses (section 11, and ours beyond it: L22 to L25), in text order. Says nothing about any evidence: a
 * policy without findings can still permit what it should not. Its time and memory are bounded: where a limit is reached
 * L25, an error, says so at the beginning. Pure. Throws `POLICY_LIMIT` only, for limits that cannot be kept.
 */
export function lintPolicy(parsed: LoadedPolicy, options: LintOptions = {}): readonly PolicyDiagnostic[] {
  const work = new LintWork(requirePolicyLimits(options.limits))
  const found = [
    ...gatherFindings(lintText(parsed), work),
    ...gatherFindings(lintRules(parsed.policy, options, work), work),
  ]
  return found.toSorted(order)
}
