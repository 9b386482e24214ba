import { EvaluationFailure } from '../evaluation-failure.ts'
import { jsonText, utf8Length } from '../jmespath/json-text.ts'
import type { Evaluate } from '../jmespath/query-run.ts'
import type { FunctionName } from '../language/syntax.ts'
import { claimValues } from './claim-json.ts'
import type { EvaluationContext } from './evaluation-context.ts'
import { type PolicyValue, singleValue, stepsOf, type ValueSet, valueKey } from './value-set.ts'

/** The evaluated arguments of a call; `compiled` gives the query of `JmesPath`. */
export interface FunctionCall {
  readonly arguments: readonly ValueSet[]
  readonly context: EvaluationContext
  readonly compiled: (query: string) => Evaluate
}

function setAt({ arguments: given }: FunctionCall, at: number): ValueSet {
  return given[at] ?? []
}

/** The only value of a set (POL-410); undefined for the empty value. */
export function onlyValue(set: ValueSet, where: string): PolicyValue | undefined {
  if (set.length > 1) throw new EvaluationFailure('POL-410', `${where}: ${set.length} values where one is needed`)
  return set[0]
}

function oneString(
  call: FunctionCall,
  at: number,
  failure: { id: string; says: string },
): PolicyValue & { value: string } {
  const { value, readOnly } = onlyValue(setAt(call, at), failure.says) ?? { value: undefined, readOnly: false }
  if (typeof value !== 'string') throw new EvaluationFailure(failure.id, failure.says)
  return { value, readOnly }
}

/** What the query is made of can end up in the result, so its mark counts as well (POL-425). */
function jmesPath(call: FunctionCall): ValueSet {
  const { context } = call
  const json = oneString(call, 0, { id: 'POL-501', says: 'JmesPath needs a String of JSON text' })
  const isAbsent = setAt(call, 1).length === 0
  const query = oneString(call, 1, {
    id: isAbsent ? 'POL-502' : 'POL-503',
    says: 'JmesPath needs a String as its query',
  })
  const document = context.document(json.value)
  const result = call.compiled(query.value)(document, context)
  return singleValue(jsonText(result, context.limits.resultBytes, context.meter), json.readOnly || query.readOnly)
}

function appendString(call: FunctionCall): ValueSet {
  const { limits, meter } = call.context
  const failure = { id: 'POL-505', says: 'AppendString needs two Strings' }
  const [left, right] = [oneString(call, 0, failure), oneString(call, 1, failure)]
  const joined = left.value + right.value
  meter.takeCharacters(joined.length)
  if (utf8Length(joined, limits.resultBytes) > limits.resultBytes) {
    throw new EvaluationFailure('POL-607', `AppendString makes more than ${limits.resultBytes} bytes`)
  }
  return singleValue(joined, left.readOnly || right.readOnly)
}

function negateBool(call: FunctionCall): ValueSet {
  const given = onlyValue(setAt(call, 0), 'NegateBool')
  if (typeof given?.value !== 'boolean') throw new EvaluationFailure('POL-506', 'NegateBool needs a Boolean')
  return singleValue(!given.value, given.readOnly)
}

function isSubsetOf(call: FunctionCall): ValueSet {
  const [part, whole] = [setAt(call, 0), setAt(call, 1)]
  call.context.meter.take(stepsOf(part) + stepsOf(whole))
  const values = new Set(whole.map(({ value }) => valueKey(value)))
  return singleValue(part.every(({ value }) => values.has(valueKey(value))))
}

function containsOnlyValue(call: FunctionCall): ValueSet {
  const set = setAt(call, 0)
  const only = onlyValue(setAt(call, 1), 'ContainsOnlyValue')
  if (!only) throw new EvaluationFailure('POL-507', 'ContainsOnlyValue needs a value to look for')
  return singleValue(set.length === 1 && set[0]?.value === only.value)
}

/** POL-501 to POL-508. */
export const policyFunctions: Readonly<Record<FunctionName, (call: FunctionCall) => ValueSet>> = {
  JmesPath: jmesPath,
  JsonToClaimValue: (call) => {
    const json = onlyValue(setAt(call, 0), 'JsonToClaimValue')
    return claimValues(json ?? { value: false, readOnly: false }, call.context)
  },
  IsSubsetOf: isSubsetOf,
  AppendString: appendString,
  NegateBool: negateBool,
  ContainsOnlyValue: containsOnlyValue,
}
