import type { Json } from './exact-json.ts'

export type QueryComparison = '==' | '!=' | '<' | '<=' | '>' | '>='

/** A query as it was parsed (POL-520). Chains of one operator are flat: only brackets nest. */
export type QueryNode =
  | { readonly kind: 'current' }
  | { readonly kind: 'field'; readonly name: string; readonly quoted: boolean }
  /** `` `json` `` */
  | { readonly kind: 'literal'; readonly value: Json }
  /** `'text'` */
  | { readonly kind: 'raw'; readonly value: string }
  | { readonly kind: 'not'; readonly operand: QueryNode }
  | { readonly kind: 'and' | 'or' | 'pipe'; readonly operands: readonly QueryNode[] }
  /** `first op operand op operand …`, from left to right. */
  | { readonly kind: 'comparison'; readonly first: QueryNode; readonly rest: readonly ComparedOperand[] }
  | { readonly kind: 'chain'; readonly base: QueryNode; readonly steps: readonly QueryStep[] }
  | { readonly kind: 'list'; readonly items: readonly QueryNode[] }
  | { readonly kind: 'hash'; readonly members: readonly HashMember[] }
  | { readonly kind: 'call'; readonly name: QueryFunctionName; readonly arguments: readonly QueryArgument[] }

/** What stands behind a function name in parentheses; `&expression` is handed over unevaluated. */
export type QueryArgument = QueryNode | { readonly kind: 'reference'; readonly expression: QueryNode }

export interface ComparedOperand {
  readonly operator: QueryComparison
  readonly operand: QueryNode
}

export interface HashMember {
  readonly name: string
  readonly value: QueryNode
}

/**
 * What follows an expression: applied to its value. A projection applies the steps up to `end` (an index into the steps
 * of its chain) to each of its elements; what stands there and behind applies to the list of the results.
 */
export type QueryStep =
  /** `.field`, `.[list]`, `.{hash}`, `.call()`. */
  | { readonly kind: 'apply'; readonly node: QueryNode }
  | { readonly kind: 'index'; readonly index: number }
  | ({ readonly end: number } & QueryProjection)

export type QueryProjection =
  /** `[*]` */
  | { readonly kind: 'elements' }
  /** `.*` */
  | { readonly kind: 'members' }
  /** `[]` */
  | { readonly kind: 'flatten' }
  | { readonly kind: 'filter'; readonly condition: QueryNode }
  | ({ readonly kind: 'slice' } & SliceBounds)

export interface SliceBounds {
  readonly start: number | null
  readonly stop: number | null
  /** Not 0. */
  readonly step: number
}

/** The 26 of the original specification, and `equals_ignore_case` (POL-521). */
export type QueryFunctionName =
  | 'abs'
  | 'avg'
  | 'ceil'
  | 'contains'
  | 'ends_with'
  | 'equals_ignore_case'
  | 'floor'
  | 'join'
  | 'keys'
  | 'length'
  | 'map'
  | 'max'
  | 'max_by'
  | 'merge'
  | 'min'
  | 'min_by'
  | 'not_null'
  | 'reverse'
  | 'sort'
  | 'sort_by'
  | 'starts_with'
  | 'sum'
  | 'to_array'
  | 'to_number'
  | 'to_string'
  | 'type'
  | 'values'
