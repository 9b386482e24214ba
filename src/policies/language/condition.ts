import { readExpression, readProperty } from './expression.ts'
import { checkTest } from './load-checks.ts'
import type { RuleScope } from './rule-scope.ts'
import type { ClaimTest, ComparisonOperator, Condition } from './syntax.ts'
import type { Token } from './token.ts'
import { actionNames, comparisonOperators, inOtherCase, quoted } from './words.ts'

/** `[…]`, `![…]` or `identifier:[…]` (section 2). */
export function readCondition(scope: RuleScope, isFirst: boolean): Condition {
  const { reader } = scope
  return reader.within('condition', () => {
    const start = reader.token
    const negated = reader.at('!')
    if (negated) readNegation(scope)
    const others = isFirst ? ["'!'", 'identifier', "'=>'"] : ["'!'", 'identifier']
    const identifier = reader.at('[') ? null : readIdentifier(scope, negated, negated ? [] : others)
    reader.expect('POL-207', '[')
    const tests = readTests(scope)
    if (identifier !== null) scope.bind(identifier)
    return { negated, identifier, tests, span: reader.spanFrom(start) }
  })
}

function readNegation({ reader, version }: RuleScope): void {
  if (version !== '1.2') {
    const message = `a condition with ! needs version 1.2; this policy says ${version}`
    reader.note('POL-307', reader.token, { message, hint: 'write version=1.2;' })
  }
  reader.advance()
}

/** The name in front of a condition, with its `:`. `others` may stand there beside `[`. */
function readIdentifier(scope: RuleScope, negated: boolean, others: readonly string[]): string | null {
  const { reader } = scope
  const { token } = reader
  if (token.kind !== 'word') {
    reader.fail('POL-207', { expected: ["'['", ...others], hint: token.text === ';' ? 'delete it' : undefined })
  }
  if (!negated) requireCondition(scope, token)
  if (negated) {
    const message = `a condition with ! finds no claims: it cannot bind '${token.text}'`
    reader.note('POL-304', token, { message, hint: 'delete the identifier or the !' })
  } else {
    scope.requireNew(token)
  }
  reader.advance()
  reader.expect('POL-207', ':')
  return negated ? null : token.text
}

/** A word that starts no condition but an action whose `=>` was forgotten (POL-205). */
function requireCondition({ reader }: RuleScope, token: Token): void {
  const next = reader.peek()
  if (next.kind !== 'mark' || next.text !== '(' || inOtherCase(token.text, actionNames) === undefined) return
  reader.fail('POL-205', { expected: ["'=>'"], hint: 'an action stands behind =>' })
}

function readTests(scope: RuleScope): ClaimTest[] {
  const { reader, limits } = scope
  const tests: ClaimTest[] = []
  if (reader.takes(']')) return tests
  do {
    if (tests.length === limits.testsPerCondition) {
      reader.fail('POL-602', { message: `a condition has more than ${limits.testsPerCondition} tests` })
    }
    tests.push(reader.within('claimPropertyCondition', () => readTest(scope)))
  } while (reader.takes(','))
  if (reader.takes(']')) return tests
  const hint = reader.at('&&') ? 'tests of one condition are separated by ,' : undefined
  return reader.fail('POL-212', { expected: quoted([',', ']']), hint })
}

function readTest(scope: RuleScope): ClaimTest {
  const { reader } = scope
  const start = reader.token
  const property = readProperty(scope)
  const operatorToken = reader.token
  const operator = readOperator(scope)
  const expression = readExpression(scope)
  const test = { property, operator, expression, span: reader.spanFrom(start) }
  checkTest(reader, test, operatorToken)
  return test
}

/** What people write in the place of an operator. */
const operatorHints: ReadonlyMap<string, string> = new Map([
  ['=', 'write == to compare'],
  ['=~', 'there are no patterns: compare with == or !='],
  ['=>', 'write >= for greater or equal; => stands before the action'],
  [':', 'write == to compare'],
])

function readOperator({ reader }: RuleScope): ComparisonOperator {
  const { token } = reader
  const operator = token.kind === 'mark' ? comparisonOperators.find((each) => each === token.text) : undefined
  if (operator === undefined) {
    return reader.fail('POL-206', { expected: quoted(comparisonOperators), hint: operatorHints.get(token.text) })
  }
  reader.advance()
  return operator
}
