import type { QueryArgument, QueryNode, QueryStep } from '../jmespath/query-syntax.ts'

const argumentNode = (argument: QueryArgument): QueryNode =>
  argument.kind === 'reference' ? argument.expression : argument

function stepNodes(step: QueryStep): readonly QueryNode[] {
  if (step.kind === 'apply') return [step.node]
  return step.kind === 'filter' ? [step.condition] : []
}

/** What stands directly in a node. */
export function childrenOf(node: QueryNode): readonly QueryNode[] {
  switch (node.kind) {
    case 'not':
      return [node.operand]
    case 'and':
    case 'or':
    case 'pipe':
      return node.operands
    case 'comparison':
      return [node.first, ...node.rest.map(({ operand }) => operand)]
    case 'chain':
      return [node.base, ...node.steps.flatMap(stepNodes)]
    case 'list':
      return node.items
    case 'hash':
      return node.members.map(({ value }) => value)
    case 'call':
      return node.arguments.map(argumentNode)
    default:
      return []
  }
}

/** The node and all that stands in it; nesting is bounded by the parser (POL-605). */
export function* nodesOf(node: QueryNode): Generator<QueryNode> {
  yield node
  for (const child of childrenOf(node)) yield* nodesOf(child)
}

/** Fields that are asked of the document itself. */
export function rootFields(node: QueryNode): readonly string[] {
  switch (node.kind) {
    case 'field':
      return [node.name]
    case 'chain':
      return rootFields(node.base)
    case 'pipe': {
      const first = node.operands.find(({ kind }) => kind !== 'current')
      return first === undefined ? [] : rootFields(first)
    }
    case 'call':
      return node.arguments.flatMap((argument) => (argument.kind === 'reference' ? [] : rootFields(argument)))
    default:
      return childrenOf(node).flatMap(rootFields)
  }
}

const arrayFunctions: ReadonlySet<string> = new Set(['keys', 'values', 'map', 'sort', 'sort_by', 'to_array'])

/** Whether a node gives an array, and `[]` rather than null where it finds nothing; `isArray`: what it is applied to does. */
export function givesArray(node: QueryNode, isArray: boolean): boolean {
  switch (node.kind) {
    case 'current':
      return isArray
    case 'list':
      return true
    case 'call':
      return arrayFunctions.has(node.name)
    case 'chain':
      return node.steps.some((step) => 'end' in step)
    case 'pipe':
      return node.operands.reduce((before, operand) => givesArray(operand, before), isArray)
    default:
      return false
  }
}

const numberFields: ReadonlySet<string> = new Set(['EventSeq', 'PcrIndex', 'Index'])
const numberFunctions: ReadonlySet<string> = new Set(['length', 'sum', 'avg', 'abs', 'ceil', 'floor', 'to_number'])

/** Whether a query on a known document gives a number, or null. */
export function givesNumber(node: QueryNode): boolean {
  switch (node.kind) {
    case 'field':
      return numberFields.has(node.name)
    case 'call':
      return numberFunctions.has(node.name)
    case 'pipe': {
      const last = node.operands.at(-1)
      return last !== undefined && givesNumber(last)
    }
    case 'chain': {
      const last = node.steps.at(-1)
      return last?.kind === 'apply' && givesNumber(last.node) && !node.steps.some((step) => 'end' in step)
    }
    default:
      return false
  }
}
