import type { Action, Condition, Expression, Rule } from './syntax.ts'

type Structure = string | number | boolean | readonly Structure[]

/** Number of the condition that binds an identifier: what it is called does not matter. */
type Binders = ReadonlyMap<string, number>

function ofExpression(expression: Expression, binders: Binders): Structure {
  switch (expression.kind) {
    case 'string':
    case 'boolean':
      return expression.value
    case 'integer':
      return ['integer', String(expression.value)]
    case 'property':
      return ['property', binders.get(expression.identifier) ?? -1, expression.property]
    case 'call':
      return ['call', expression.function, ...expression.arguments.map((each) => ofExpression(each, binders))]
  }
}

function ofCondition({ negated, tests }: Condition, binders: Binders): Structure {
  return [
    negated,
    ...tests.map(({ property, operator, expression }) => [property, operator, ofExpression(expression, binders)]),
  ]
}

function ofAction(action: Action, binders: Binders): Structure {
  if (!('argument' in action)) return [action.kind]
  const { argument } = action
  if (argument.kind === 'copy') return [action.kind, binders.get(argument.identifier) ?? -1]
  return [action.kind, ofExpression(argument.type, binders), ofExpression(argument.value, binders)]
}

/**
 * A text that is the same for two rules of one section exactly if they say the same: places, layout, the order of
 * `type=` and `value=` and the names of identifiers do not count.
 */
export function ruleStructure({ conditions, action }: Rule): string {
  const binders = new Map(
    conditions.flatMap(({ identifier }, at): [string, number][] => (identifier === null ? [] : [[identifier, at]])),
  )
  return JSON.stringify([conditions.map((each) => ofCondition(each, binders)), ofAction(action, binders)])
}
