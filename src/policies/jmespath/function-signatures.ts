import type { QueryFunctionName } from './query-syntax.ts'

/** `reference`: an expression that the function applies itself, written `&expression`. */
type Parameter = 'value' | 'reference'

export interface FunctionSignature {
  readonly parameters: readonly Parameter[]
  /** The last parameter may be repeated. */
  readonly variadic?: true
}

const [one, two] = [{ parameters: ['value'] }, { parameters: ['value', 'value'] }] as const
const many = { parameters: ['value'], variadic: true } as const
const byReference = { parameters: ['value', 'reference'] } as const

/** POL-520, POL-521. */
export const functionSignatures: Readonly<Record<QueryFunctionName, FunctionSignature>> = {
  abs: one,
  avg: one,
  ceil: one,
  contains: two,
  ends_with: two,
  equals_ignore_case: two,
  floor: one,
  join: two,
  keys: one,
  length: one,
  map: { parameters: ['reference', 'value'] },
  max: one,
  max_by: byReference,
  merge: many,
  min: one,
  min_by: byReference,
  not_null: many,
  reverse: one,
  sort: one,
  sort_by: byReference,
  starts_with: two,
  sum: one,
  to_array: one,
  to_number: one,
  to_string: one,
  type: one,
  values: one,
}

export function isQueryFunction(name: string): name is QueryFunctionName {
  return Object.hasOwn(functionSignatures, name)
}

/** What stands at the argument `at`; undefined if there are too many. */
export function parameterAt({ parameters, variadic }: FunctionSignature, at: number): Parameter | undefined {
  return parameters[at] ?? (variadic ? parameters.at(-1) : undefined)
}
