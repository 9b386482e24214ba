/** Where something stands in a policy text: 1-based, columns and length in Unicode code points (POL-801). */
export interface Span {
  readonly line: number
  readonly column: number
  readonly length: number
}

export type PolicyVersion = '1.0' | '1.1' | '1.2'

export type ClaimProperty = 'type' | 'value' | 'valueType' | 'issuer'

export type ComparisonOperator = '==' | '!=' | '<' | '<=' | '>' | '>='

export type FunctionName =
  | 'JmesPath'
  | 'JsonToClaimValue'
  | 'IsSubsetOf'
  | 'AppendString'
  | 'NegateBool'
  | 'ContainsOnlyValue'

export type SectionName = 'configurationrules' | 'authorizationrules' | 'issuancerules'

/** The right-hand side of a test, or what an action writes (section 2, `expression`). */
export type Expression = { readonly span: Span } & (
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'integer'; readonly value: bigint }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'property'; readonly identifier: string; readonly property: ClaimProperty }
  | { readonly kind: 'call'; readonly function: FunctionName; readonly arguments: readonly Expression[] }
)

export interface ClaimTest {
  readonly property: ClaimProperty
  readonly operator: ComparisonOperator
  readonly expression: Expression
  readonly span: Span
}

export interface Condition {
  readonly negated: boolean
  /** Names the set of all claims that match (POL-407). */
  readonly identifier: string | null
  readonly tests: readonly ClaimTest[]
  /** From `!`, the identifier or `[`, to `]`. */
  readonly span: Span
}

/** `span` is the action word. */
export type Action = { readonly span: Span } & (
  | { readonly kind: 'permit' | 'deny' }
  | { readonly kind: 'add' | 'issue' | 'issueproperty'; readonly argument: ActionArgument }
)

export type ActionArgument =
  | { readonly kind: 'copy'; readonly identifier: string; readonly span: Span }
  | { readonly kind: 'claim'; readonly type: Expression; readonly value: Expression }

export interface Rule {
  /** All must hold; an empty list always does. */
  readonly conditions: readonly Condition[]
  readonly action: Action
  /** From the first condition, or `=>`, to the `;`. */
  readonly span: Span
}

/** A policy that parsed and passed the checks at load time (sections 1 to 3). */
export interface Policy {
  readonly version: PolicyVersion
  /** Empty if the section is absent. */
  readonly configuration: readonly Rule[]
  readonly authorization: readonly Rule[]
  readonly issuance: readonly Rule[]
}
