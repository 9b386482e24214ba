import type { Action, Condition, Expression, Rule } from '../language/syntax.ts'
import { argumentOf } from './condition-facts.ts'

/** An expression, and whether it stands where one value is needed (POL-410). */
export interface PlacedExpression {
  readonly expression: Expression
  readonly needsOne: boolean
}

export type Call = Extract<Expression, { kind: 'call' }>

/** The arguments marked *one* in section 6; the others take sets. */
function needsOneAt({ function: name }: Call, at: number): boolean {
  return name === 'ContainsOnlyValue' ? at === 1 : name !== 'IsSubsetOf'
}

const argumentsOf = (call: Call): readonly PlacedExpression[] =>
  call.arguments.map((expression, at) => ({ expression, needsOne: needsOneAt(call, at) }))

/** In text order. Without recursion: handing on what stands n deep through n generators takes n² of time. */
function* withArguments(placed: PlacedExpression): Generator<PlacedExpression> {
  const open = [placed]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    yield next
    if (next.expression.kind === 'call') open.push(...argumentsOf(next.expression).toReversed())
  }
}

function* inCondition({ tests }: Condition): Generator<PlacedExpression> {
  for (const { expression } of tests) yield* withArguments({ expression, needsOne: true })
}

function* inAction(action: Action): Generator<PlacedExpression> {
  const argument = argumentOf(action)
  if (argument?.kind !== 'claim') return
  yield* withArguments({ expression: argument.type, needsOne: true })
  yield* withArguments({ expression: argument.value, needsOne: false })
}

/** Every expression of a rule, those inside of others too. */
export function* expressionsOf({ conditions, action }: Rule): Generator<PlacedExpression> {
  for (const condition of conditions) yield* inCondition(condition)
  yield* inAction(action)
}

/** Every call of `JmesPath` in a rule. */
export function* queriesOf(rule: Rule): Generator<{ readonly input: Expression; readonly query: Expression }> {
  for (const { expression } of expressionsOf(rule)) {
    if (expression.kind !== 'call' || expression.function !== 'JmesPath') continue
    const [input, query] = expression.arguments
    if (input !== undefined && query !== undefined) yield { input, query }
  }
}
