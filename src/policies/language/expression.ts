import { shortened } from './code-points.ts'
import { integerValue } from './integer.ts'
import type { RuleScope } from './rule-scope.ts'
import type { ClaimProperty, Expression, FunctionName } from './syntax.ts'
import type { Token } from './token.ts'
import { claimProperties, functionArity, functionNames, inOtherCase, isReserved, quoted } from './words.ts'

const textHint = 'a text stands in double quotes; the value of a claim is identifier.value'
const expressionStart = ['string', 'integer', "'true'", "'false'", 'identifier', 'function']

/** What people write where an expression begins. */
const markHints: ReadonlyMap<string, string> = new Map([
  ['<', 'put the value in the place of <…>'],
  ['=', 'write == to compare'],
  ['>', 'write != for not equal'],
  ['[', 'a list is JSON in a string: JsonToClaimValue("[1, 2]")'],
])

/** One of the four properties of a claim (POL-207, POL-110). */
export function readProperty({ reader }: RuleScope): ClaimProperty {
  const property = reader.wordOf(claimProperties)
  if (property === undefined) {
    return reader.fail('POL-207', { expected: quoted(claimProperties), hint: reader.near(claimProperties) })
  }
  reader.advance()
  return property
}

/** A string, a number, a truth value, a property of bound claims or a function of such (section 2). */
export function readExpression(scope: RuleScope, depth = 1): Expression {
  const { reader, limits } = scope
  const { token } = reader
  if (depth > limits.expressionDepth) {
    reader.fail('POL-603', { message: `an expression is nested deeper than ${limits.expressionDepth}` })
  }
  if (token.kind === 'string') {
    reader.advance()
    return { kind: 'string', value: token.value, span: token.span }
  }
  if (token.kind === 'number') {
    reader.advance()
    return { kind: 'integer', value: token.fault ? 0n : integerValue(token.text), span: token.span }
  }
  if (token.kind === 'word') return readWord(scope, token, depth)
  return reader.fail('POL-210', { expected: expressionStart, hint: markHints.get(token.text) })
}

function readWord(scope: RuleScope, token: Token, depth: number): Expression {
  const { reader } = scope
  const next = reader.peek()
  const isTruth = token.text === 'true' || token.text === 'false'
  const follows = (mark: string) => !isTruth && next.kind === 'mark' && next.text === mark
  if (follows('(')) return readCall(scope, token, depth)
  if (follows('.') && !isFunction(token.text)) return readAccess(scope, token)
  const truth = reader.wordOf(['true', 'false'])
  if (truth !== undefined) {
    reader.advance()
    return { kind: 'boolean', value: truth === 'true', span: token.span }
  }
  if (isReserved(token.text) && !isFunction(token.text)) {
    return reader.fail('POL-210', { expected: expressionStart, hint: textHint })
  }
  reader.advance()
  const expected = isFunction(token.text) ? ["'('"] : ["'.'"]
  return reader.fail('POL-210', { expected, hint: isFunction(token.text) ? undefined : textHint })
}

/** `identifier.property`. */
function readAccess(scope: RuleScope, token: Token): Expression {
  const { reader } = scope
  reader.advance()
  reader.advance()
  const isProperty = claimProperties.some((property) => property === reader.token.text)
  scope.requireBound(token, isProperty ? `bind it in front: ${shortened(token.text)}:[…]` : textHint)
  const property = readProperty(scope)
  return { kind: 'property', identifier: token.text, property, span: reader.spanFrom(token) }
}

function isFunction(word: string): word is FunctionName {
  return Object.hasOwn(functionArity, word)
}

/** The function that is called, or null if there is none of that name (POL-305, POL-307). */
function readFunctionName({ reader, version }: RuleScope, token: Token): FunctionName | null {
  const meant = isFunction(token.text) ? token.text : inOtherCase(token.text, functionNames)
  const message = `unknown function ${token.text}`
  if (meant === undefined) {
    reader.note('POL-305', token, { message, hint: reader.near(functionNames) ?? `known: ${functionNames.join(', ')}` })
  } else if (meant !== token.text) {
    reader.respell('POL-305', token, meant, { message })
  }
  if (meant !== undefined && version !== '1.2') {
    const gate = `functions need version 1.2; this policy says ${version}`
    reader.note('POL-307', token, { message: gate, hint: 'write version=1.2;' })
  }
  reader.advance()
  return meant ?? null
}

function readCall(scope: RuleScope, token: Token, depth: number): Expression {
  const { reader } = scope
  const name = readFunctionName(scope, token)
  reader.advance()
  const args = [readExpression(scope, depth + 1)]
  while (reader.takes(',')) args.push(readExpression(scope, depth + 1))
  if (!reader.takes(')')) reader.fail('POL-210', { expected: quoted([',', ')']) })
  if (name !== null) checkArity(scope, token, name, args.length)
  return { kind: 'call', function: name ?? 'JmesPath', arguments: args, span: reader.spanFrom(token) }
}

/** POL-306. */
function checkArity({ reader }: RuleScope, token: Token, name: FunctionName, given: number): void {
  const arity = functionArity[name]
  if (given === arity) return
  const message = `${name} takes ${arity === 1 ? 'one argument' : `${arity} arguments`} and is given ${given}`
  reader.note('POL-306', token, { message })
}
