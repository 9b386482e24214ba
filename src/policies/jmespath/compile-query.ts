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

function field(name: string): Evaluate {
  return (value, run) => {
    run.meter.take()
    return isMembers(value) ? (value[name] ?? null) : null
  }
}

/** The first operand that decides: `&&` stops at what is false, `||` at what is true. */
function firstThat(isDecisive: (value: Json, run: QueryRun) => boolean, operands: readonly Evaluate[]): Evaluate {
  return (value, run) => {
    run.meter.take()
    let result: Json = null
    for (const operand of operands) {
      result = operand(value, run)
      if (isDecisive(result, run)) break
    }
    return result
  }
}

function piped(stages: readonly Evaluate[]): Evaluate {
  return (value, run) => {
    run.meter.take()
    let current = value
    for (const stage of stages) current = stage(current, run)
    return current
  }
}

function comparison(first: QueryNode, rest: readonly ComparedOperand[]): Evaluate {
  const start = compileNode(first)
  const compared = rest.map(({ operator, operand }) => ({ operator, operand: compileNode(operand) }))
  return (value, run) => {
    run.meter.take()
    let left = start(value, run)
    for (const { operator, operand } of compared) left = compare(operator, left, operand(value, run), run)
    return left
  }
}

function list(items: readonly Evaluate[]): Evaluate {
  return (value, run) => {
    run.meter.take()
    if (value === null) return null
    run.meter.takeContainer()
    const made: Json[] = []
    for (const item of items) made.push(item(value, run))
    return made
  }
}

function hash(members: readonly HashMember[]): Evaluate {
  const compiled = members.map(({ name, value }) => ({ name, evaluate: compileNode(value) }))
  return (value, run) => {
    run.meter.take()
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
    run.meter.take()
    run.meter.takeContainer()
    const evaluated: (Json | Evaluate)[] = []
    for (const argument of compiled) evaluated.push(argument(value, run))
    return apply(new CallArguments(name, evaluated, run))
  }
}

function compileArgument(argument: QueryArgument): (value: Json, run: QueryRun) => Json | Evaluate {
  if (argument.kind !== 'reference') return compileNode(argument)
  const expression = compileNode(argument.expression)
  return () => expression
}

function constant(result: Json): Evaluate {
  return (_value, run) => {
    run.meter.take()
    return result
  }
}

function negation(operand: Evaluate): Evaluate {
  return (value, run) => {
    run.meter.take()
    return !isTruthy(operand(value, run), run)
  }
}

function current(value: Json, run: QueryRun): Json {
  run.meter.take()
  return value
}

/**
 * Every visit of a node is a step (POL-608). What is compiled calls what stands in it directly and from loops, never
 * from callbacks: queries nest, and each frame takes from the stack (POL-605).
 */
function compileNode(node: QueryNode): Evaluate {
  switch (node.kind) {
    case 'current':
      return current
    case 'field':
      return field(node.name)
    case 'literal':
    case 'raw':
      return constant(node.value)
    case 'not':
      return negation(compileNode(node.operand))
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
