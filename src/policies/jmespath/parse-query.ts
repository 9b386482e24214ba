import { EvaluationFailure } from '../evaluation-failure.ts'
import { beginningOf } from '../language/code-points.ts'
import type { PolicyLimits } from '../policy-limits.ts'
import { functionSignatures, isQueryFunction, parameterAt } from './function-signatures.ts'
import { isQueryOperator, joinedOperands, type OperatorChain } from './join-operands.ts'
import { utf8Length } from './json-text.ts'
import { PostfixChain } from './postfix-chain.ts'
import { QueryCursor } from './query-cursor.ts'
import type { HashMember, QueryArgument, QueryFunctionName, QueryNode, SliceBounds } from './query-syntax.ts'
import { QueryTokens, queryProblem } from './query-tokens.ts'

export type QueryLimits = Pick<PolicyLimits, 'queryBytes' | 'queryDepth' | 'queryNodes'>

/** Recursive descent: recursion is bounded by `queryDepth`, for only what stands in brackets or behind `!` recurses. */
class QueryParser {
  readonly #cursor: QueryCursor
  readonly #limits: QueryLimits
  #depth = 0
  #nodes = 0

  constructor(cursor: QueryCursor, limits: QueryLimits) {
    this.#cursor = cursor
    this.#limits = limits
  }

  query(): QueryNode {
    const query = this.#expression()
    if (!this.#cursor.at('end')) throw this.#cursor.unexpected('an operator or the end')
    return query
  }

  #node<T>(node: T): T {
    if (++this.#nodes > this.#limits.queryNodes) {
      throw new EvaluationFailure('POL-605', `the query has more than ${this.#limits.queryNodes} nodes`)
    }
    return node
  }

  /** Called before and after what stands in brackets or behind `!`. */
  #enter(): void {
    if (++this.#depth > this.#limits.queryDepth) {
      throw new EvaluationFailure('POL-605', `the query nests deeper than ${this.#limits.queryDepth} levels`)
    }
  }

  #leave(): void {
    this.#depth--
  }

  /** Operands and the operators between them, read in a row and joined afterwards: no frame for each strength. */
  #expression(): QueryNode {
    const first = this.#chain(false)
    const rest: OperatorChain['rest'] = []
    for (let { kind } = this.#cursor.token; isQueryOperator(kind); { kind } = this.#cursor.token) {
      this.#cursor.take()
      rest.push({ operator: kind, operand: this.#chain(false) })
    }
    if (rest.length === 0) return first
    return joinedOperands({ first, rest }, (node) => this.#node(node))
  }

  /** An operand and what follows it. Directly behind `!` only brackets bind (POL-520). */
  #chain(isNegated: boolean): QueryNode {
    const { base, opens } = this.#base()
    const chain = new PostfixChain(isNegated)
    if (opens) this.#postfix(chain)
    while (chain.binds(this.#cursor.token.kind)) this.#postfix(chain)
    const steps = chain.closed()
    return steps.length === 0 ? base : this.#node({ kind: 'chain', base, steps })
  }

  /** `opens`: the chain begins with a bracket or a star that applies to the current value. */
  #base(): { base: QueryNode; opens: boolean } {
    const current: QueryNode = { kind: 'current' }
    const { kind } = this.#cursor.token
    if (kind === '*' || kind === '[]' || kind === '[?') return { base: this.#node(current), opens: true }
    if (kind === '[' && this.#isSubscript()) return { base: this.#node(current), opens: true }
    return { base: this.#operand(), opens: false }
  }

  /** `[0]`, `[1:2]`, `[*]`; anything else in brackets is a list. */
  #isSubscript(): boolean {
    const [first, second] = [this.#cursor.behind(1), this.#cursor.behind(2)]
    return first === 'number' || first === ':' || (first === '*' && second === ']')
  }

  #operand(): QueryNode {
    const token = this.#cursor.take()
    switch (token.kind) {
      case '@':
        return this.#node({ kind: 'current' })
      case 'identifier':
        return this.#named(token.text, token.at)
      case 'quoted':
        return this.#quoted(token.text)
      case 'raw':
        return this.#node({ kind: 'raw', value: token.text })
      case 'literal':
        return this.#node({ kind: 'literal', value: token.value })
      case '[':
        return this.#list()
      case '{':
        return this.#hash()
      case '(':
        return this.#parenthesized()
      case '!':
        return this.#not()
      default:
        throw queryProblem('expected an expression', token.at)
    }
  }

  #not(): QueryNode {
    this.#enter()
    const operand = this.#chain(true)
    this.#leave()
    return this.#node({ kind: 'not', operand })
  }

  #parenthesized(): QueryNode {
    this.#enter()
    const inner = this.#expression()
    this.#leave()
    this.#cursor.require(')')
    return inner
  }

  #named(name: string, at: number): QueryNode {
    if (this.#cursor.skip('(')) return this.#call(name, at)
    return this.#node({ kind: 'field', name, quoted: false })
  }

  #quoted(name: string): QueryNode {
    if (this.#cursor.at('(')) throw this.#cursor.unexpected('a function name without quotes')
    return this.#node({ kind: 'field', name, quoted: true })
  }

  #postfix(chain: PostfixChain): void {
    const token = this.#cursor.take()
    this.#node(token)
    if (token.kind === '.') chain.dotted(this.#behindDot(chain))
    else if (token.kind === '*') chain.project(token.kind, { kind: 'members' })
    else if (token.kind === '[]') chain.project(token.kind, { kind: 'flatten' })
    else if (token.kind === '[?') chain.project(token.kind, { kind: 'filter', condition: this.#filter() })
    else this.#subscript(chain)
  }

  /** Undefined for `.*`, which is a projection. */
  #behindDot(chain: PostfixChain): QueryNode | undefined {
    const token = this.#cursor.take()
    switch (token.kind) {
      case '*':
        chain.project('.', { kind: 'members' })
        return undefined
      case 'identifier':
        return this.#named(token.text, token.at)
      case 'quoted':
        return this.#quoted(token.text)
      case '[':
        return this.#list()
      case '{':
        return this.#hash()
      default:
        throw queryProblem("expected a name, '*', '[' or '{'", token.at)
    }
  }

  #filter(): QueryNode {
    this.#enter()
    const condition = this.#expression()
    this.#leave()
    this.#cursor.require(']')
    return condition
  }

  #subscript(chain: PostfixChain): void {
    if (this.#cursor.skip('*')) {
      this.#cursor.require(']')
      chain.project('[', { kind: 'elements' })
      return
    }
    const start = this.#number()
    if (this.#cursor.at(':')) chain.project('[', { kind: 'slice', ...this.#slice(start) })
    else if (start === null) throw this.#cursor.unexpected("a number, ':' or '*'")
    else chain.index(start)
    this.#cursor.require(']')
  }

  #number(): number | null {
    const token = this.#cursor.token
    if (token.kind !== 'number') return null
    this.#cursor.take()
    return token.value
  }

  #slice(start: number | null): SliceBounds {
    this.#cursor.require(':')
    const stop = this.#number()
    const { at } = this.#cursor.token
    const step = this.#cursor.skip(':') ? (this.#number() ?? 1) : 1
    if (step === 0) throw queryProblem('the step of a slice is 0', at)
    return { start, stop, step }
  }

  #list(): QueryNode {
    this.#enter()
    const items = [this.#expression()]
    while (this.#cursor.skip(',')) items.push(this.#expression())
    this.#cursor.require(']')
    this.#leave()
    return this.#node({ kind: 'list', items })
  }

  #hash(): QueryNode {
    this.#enter()
    const members = [this.#member()]
    while (this.#cursor.skip(',')) members.push(this.#member())
    this.#cursor.require('}')
    this.#leave()
    return this.#node({ kind: 'hash', members })
  }

  #member(): HashMember {
    const token = this.#cursor.take()
    if (token.kind !== 'identifier' && token.kind !== 'quoted') throw queryProblem('expected a member name', token.at)
    this.#cursor.require(':')
    return this.#node({ name: token.text, value: this.#expression() })
  }

  #call(name: string, at: number): QueryNode {
    if (!isQueryFunction(name)) throw queryProblem(`there is no function ${beginningOf(name)}`, at)
    this.#enter()
    const given = this.#arguments(name)
    this.#leave()
    const { parameters, variadic } = functionSignatures[name]
    if (given.length < parameters.length || (given.length > parameters.length && !variadic)) {
      const least = variadic ? 'at least ' : ''
      throw queryProblem(`${name} takes ${least}${parameters.length} arguments, not ${given.length}`, at)
    }
    return this.#node({ kind: 'call', name, arguments: given })
  }

  #arguments(name: QueryFunctionName): QueryArgument[] {
    const given: QueryArgument[] = []
    if (this.#cursor.skip(')')) return given
    do given.push(this.#argument(name, given.length))
    while (this.#cursor.skip(','))
    this.#cursor.require(')')
    return given
  }

  #argument(name: QueryFunctionName, at: number): QueryArgument {
    const place = this.#cursor.token.at
    const isReference = this.#cursor.skip('&')
    const expression = this.#expression()
    const type = parameterAt(functionSignatures[name], at)
    if (type !== undefined && isReference !== (type === 'reference')) {
      throw queryProblem(isReference ? `${name} takes no &expression here` : `${name} needs an &expression here`, place)
    }
    return isReference ? this.#node({ kind: 'reference', expression }) : expression
  }
}

/**
 * Parses a query of POL-520: the original JMESPath grammar with the functions of the original specification and
 * `equals_ignore_case`. Unknown functions, a wrong number of arguments and a slice with step 0 are errors here already.
 * Throws `EvaluationFailure`: POL-502 for an empty query, POL-503, and POL-605 beyond the limits.
 */
export function parseQuery(text: string, limits: QueryLimits): QueryNode {
  if (text === '') throw new EvaluationFailure('POL-502', 'the query is empty')
  if (utf8Length(text, limits.queryBytes) > limits.queryBytes) {
    throw new EvaluationFailure('POL-605', `the query has more than ${limits.queryBytes} bytes`)
  }
  return new QueryParser(new QueryCursor(new QueryTokens(text).all()), limits).query()
}
