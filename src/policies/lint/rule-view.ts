import type { EvidenceKind } from '../claims/claim-entry.ts'
import type { Rule, SectionName } from '../language/syntax.ts'
import type { PolicyProfile } from '../reserved-claims.ts'
import type { LintFinding } from './lint-finding.ts'
import type { KnownClaims } from './value-facts.ts'

/** What is true of a whole policy. */
export interface PolicyFacts {
  readonly kinds: readonly EvidenceKind[] | null
  readonly profile: PolicyProfile
  /** A rule computes the type of a claim that it adds: any claim may be there. */
  readonly computesTypes: boolean
  readonly hasDeny: boolean
  /** Rules on which the decision rests. */
  readonly deciding: ReadonlySet<Rule>
}

/** One rule, and what is known where it stands. */
export interface RuleView extends KnownClaims {
  readonly section: SectionName
  readonly rule: Rule
  readonly facts: PolicyFacts
}

/** Looks at one rule. */
export type RuleLint = (view: RuleView) => Iterable<LintFinding>
