import { CallArguments } from './call-arguments.ts'
import { compileSteps } from './compile-steps.ts'
import { isMembers, type Json, noMembers } from './exact-json.ts'
import { compareNumbers, equalJson, isNumber } from './json-order.ts'
import { parseQuery, type QueryLimits } from './parse-query.ts'
import { queryFunctions } from './query-functions.ts'
import type { Evaluate, QueryRun } from './query-run.ts'
import type { ComparedOperand, HashMember, QueryArgument, QueryComparison, QueryNode } from './query-syntax.ts'

/** Everything but `null`, `false`, and what is empty. */
function isTruthy(value: Json, run: QueryRun): boolean {
  if (typeof value === 'string' || Array.isArray(value)) return value.length > 0
  if (isMembers(value)) return run.sizes.of(value) > 0
  return value !== null && value !== false
}

/** Ordering of anything but numbers gives null (POL-520). */
const orderings = {
  '<': (order: number) => order < 0,
  '<=': (order: number) => order <= 0,
  '>': (order: number) => order > 0,
  '>=': (order: number) => order >= 0,
} as const

function compare(operator: QueryComparison, left: Json, right: Json, run: QueryRun): Json {
  if (operator === '==' || operator === '!=') return equalJson(left, right, run) === (operator === '==')
  if (!isNumber(left) || !isNumber(right)) return null
  return orderings[operator](compareNumbers(left, right))
}

/** Every visit of a node is a step (POL-608). */
function stepping(evaluate: Evaluate): Evaluate {
  return (value, run) => {
    run.meter.take()
    return evaluate(value, run)
  }
}

function field(name: string): Evaluate {
  return (value) => (isMembers(value) ? (value[name] ?? null) : null)
}

/** The first operand that decides: `&&` stops at what is false, `||` at what is true. */
function firstThat(isDecisive: (value: Json, run: QueryRun) => boolean, operands: readonly Evaluate[]): Evaluate {
  return (value, run) => {
    let result: Json = null
    for (const operand of operands) {
      result = operand(value, run)
      if (isDecisive(result, run)) break
    }
    return result
  }
}

function piped(stages: readonly Evaluate[]): Evaluate {
  return (value, run) => stages.reduce((current, stage) => stage(current, run), value)
}

function comparison(first: QueryNode, rest: readonly ComparedOperand[]): Evaluate {
  const start = compileNode(first)
  const compared = rest.map(({ operator, operand }) => ({ operator, operand: compileNode(operand) }))
  return (value, run) =>
    compared.reduce(
      (left, { operator, operand }) => compare(operator, left, operand(value, run), run),
      start(value, run),
    )
}

function list(items: readonly Evaluate[]): Evaluate {
  return (value, run) => {
    if (value === null) return null
    run.meter.takeContainer()
    return items.map((item) => item(value, run))
  }
}

function hash(members: readonly HashMember[]): Evaluate {
  const compiled = members.map(({ name, value }) => ({ name, evaluate: compileNode(value) }))
  return (value, run) => {
    if (value === null) return null
    run.meter.takeContainer()
    const object = noMembers()
    for (const { name, evaluate } of compiled) object[name] = evaluate(value, run)
    return object
  }
}

function call({ name, arguments: given }: Extract<QueryNode, { kind: 'call' }>): Evaluate {
  const apply = queryFunctions[name]
  const compiled = given.map(compileArgument)
  return (value, run) => {
    run.meter.takeContainer()
    return apply(
      new CallArguments(
        name,
        compiled.map((argument) => argument(value, run)),
        run,
      ),
    )
  }
}

function compileArgument(argument: QueryArgument): (value: Json, run: QueryRun) => Json | Evaluate {
  if (argument.kind !== 'reference') return compileNode(argument)
  const expression = compileNode(argument.expression)
  return () => expression
}

function compileNode(node: QueryNode): Evaluate {
  return stepping(evaluator(node))
}

function evaluator(node: QueryNode): Evaluate {
  switch (node.kind) {
    case 'current':
      return (value) => value
    case 'field':
      return field(node.name)
    case 'literal':
    case 'raw':
      return () => node.value
    case 'not': {
      const operand = compileNode(node.operand)
      return (value, run) => !isTruthy(operand(value, run), run)
    }
    case 'and':
      return firstThat((value, run) => !isTruthy(value, run), node.operands.map(compileNode))
    case 'or':
      return firstThat(isTruthy, node.operands.map(compileNode))
    case 'pipe':
      return piped(node.operands.map(compileNode))
    case 'comparison':
      return comparison(node.first, node.rest)
    case 'chain':
      return compileSteps(compileNode(node.base), node.steps, { compileNode, isTruthy })
    case 'list':
      return list(node.items.map(compileNode))
    case 'hash':
      return hash(node.members)
    case 'call':
      return call(node)
  }
}

/**
 * Compiles a query (POL-520, POL-521). The result is a pure function, bounded by the meter and the limits of its run; it
 * throws `EvaluationFailure`. So does this: POL-502, POL-503 or POL-605.
 */
export function compileQuery(text: string, limits: QueryLimits): Evaluate {
  return compileNode(parseQuery(text, limits))
}
