import type { ComparedOperand, QueryComparison, QueryNode } from './query-syntax.ts'

/** What joins operands, the weakest first; comparisons are stronger than all of them (POL-520). */
const joints = [
  { kind: 'pipe', operator: '|' },
  { kind: 'or', operator: '||' },
  { kind: 'and', operator: '&&' },
] as const

type QueryOperator = (typeof joints)[number]['operator'] | QueryComparison

const operators: ReadonlySet<string> = new Set<QueryOperator>(['|', '||', '&&', '==', '!=', '<', '<=', '>', '>='])

export function isQueryOperator(kind: string): kind is QueryOperator {
  return operators.has(kind)
}

/** `first op operand op operand …`, as it stands in the text. */
export interface OperatorChain {
  readonly first: QueryNode
  readonly rest: { readonly operator: QueryOperator; readonly operand: QueryNode }[]
}

/** Called with every node that is made. */
type Count = <T>(node: T) => T

/** The parts of a chain between the operators that are `operator`. */
function splitAt({ first, rest }: OperatorChain, operator: QueryOperator): OperatorChain[] {
  let last: OperatorChain = { first, rest: [] }
  const parts = [last]
  for (const each of rest) {
    if (each.operator === operator) {
      last = { first: each.operand, rest: [] }
      parts.push(last)
    } else last.rest.push(each)
  }
  return parts
}

function comparison({ first, rest }: OperatorChain, count: Count): QueryNode {
  const compared = rest.flatMap(({ operator, operand }): ComparedOperand[] => {
    if (operator === '|' || operator === '||' || operator === '&&') throw new TypeError(`${operator} was not split`)
    return [count({ operator, operand })]
  })
  return compared.length === 0 ? first : count({ kind: 'comparison', first, rest: compared })
}

/** The tree of a chain of operands. Recurses once for each strength, whatever the length of the chain. */
export function joinedOperands(chain: OperatorChain, count: Count, strength = 0): QueryNode {
  const joint = joints[strength]
  if (joint === undefined) return comparison(chain, count)
  const operands = splitAt(chain, joint.operator).map((part) => joinedOperands(part, count, strength + 1))
  const [only] = operands
  return only !== undefined && operands.length === 1 ? only : count({ kind: joint.kind, operands })
}
