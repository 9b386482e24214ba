import { beginningOf } from '../language/code-points.ts'
import type { PolicyDiagnostic, Severity } from '../language/diagnostic.ts'
import type { Span } from '../language/syntax.ts'

/** What is doubtful in a policy, and how much (section 11). */
export const lintRules = {
  L01: { severity: 'warning', title: 'a condition has no `type ==`: it matches claims of every type' },
  L02: {
    severity: 'warning',
    title:
      'a condition does not test the issuer, in a rule that permits or denies, in one that adds what such a rule rests on, or in configurationrules: the attester chooses claims of its own',
  },
  L03: { severity: 'warning', title: 'a condition asks whether a Boolean is there, not whether it is true' },
  L04: { severity: 'warning', title: 'no evidence and no earlier rule provides the claim under this issuer' },
  L05: { severity: 'error', title: 'a query does not compile' },
  L06: { severity: 'warning', title: 'bare `true`, `false` or `null` in a query: these are names of fields' },
  L07: { severity: 'warning', title: 'a field is compared with digits in quotes, which no number equals' },
  L08: { severity: 'warning', title: 'an array is compared with null: an empty one is not null' },
  L09: { severity: 'warning', title: 'a query on a known document does not begin with its root member' },
  L10: { severity: 'error', title: 'a value that is read-only, or was taken from one that is, is issued' },
  L11: { severity: 'warning', title: '`issue` in authorizationrules works as `add`' },
  L12: { severity: 'warning', title: 'a comment holds a rule' },
  L13: { severity: 'warning', title: 'a rule always permits, and no rule denies' },
  L14: { severity: 'warning', title: 'a rule permits what is in debug mode' },
  L15: { severity: 'info', title: 'one value is needed where a claim can have several' },
  L16: { severity: 'error', title: 'a claim of the verifier itself is issued' },
  L17: { severity: 'warning', title: 'the absence of a claim becomes true' },
  L18: { severity: 'warning', title: 'a word is written in the wrong case, which lenient mode accepts' },
  L19: {
    severity: 'warning',
    title: 'a condition needs two values of one property, or a rule is equal to an earlier one',
  },
  L20: {
    severity: 'warning',
    title: 'a claim or property does not exist for the evidence that the policy is about, or has no effect',
  },
  L21: { severity: 'warning', title: 'a query is built from text that the guest or the attester chooses' },
  // Beyond the list of section 11.
  L22: {
    severity: 'warning',
    title: 'a property is set in issuancerules, where it is too late for it to have an effect',
  },
  L23: {
    severity: 'warning',
    title: 'a line ends where programs do not show an end, or seems to end where it does not',
  },
  L24: { severity: 'warning', title: 'a character changes the order in which programs show the text' },
  // An error: who writes so much that the lint stops could hide any other error behind it.
  L25: { severity: 'error', title: 'the lint stopped at a limit and did not look at the whole policy' },
} as const satisfies Readonly<Record<string, { readonly severity: Severity; readonly title: string }>>

export type LintId = keyof typeof lintRules

/** What stands at a place of a policy and is doubtful. */
export interface LintFinding {
  readonly id: LintId
  readonly span: Span
  readonly message: string
  readonly hint?: string
  /** The word that it is about. */
  readonly found?: string
}

/** `path` names the production that holds the place (POL-801). */
export function diagnosticOf({ id, span, message, hint, found = '' }: LintFinding, path: string): PolicyDiagnostic {
  const { line, column, length } = span
  return {
    id,
    severity: lintRules[id].severity,
    message,
    line,
    column,
    length,
    found: beginningOf(found),
    expected: [],
    path,
    ...(hint === undefined ? {} : { hint }),
  }
}

/** A name out of the policy, for a message. */
export const shownName = (name: string): string => `'${beginningOf(name)}'`
