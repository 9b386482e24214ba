import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { policyTexts } from '../../../test/support/policy-arbitraries.ts'
import { Findings } from './findings.ts'
import { Lexer } from './lexer.ts'
import { parsePolicy } from './parse-policy.ts'
import { functionNames, isReserved } from './words.ts'

const runs = Number(process.env['ATTESTD_FUZZ_RUNS'] ?? 1500)

/** The grammar of section 2 as productions; what is no production is a token. `name`, `string` and `integer` are kinds. */
const grammar: Readonly<Record<string, readonly string[]>> = {
  policy: ['version = Version ; Configuration'],
  Version: ['1.0', '1.1', '1.2'],
  Configuration: ['configurationrules { Rules } ; Authorization', 'Authorization'],
  Authorization: ['authorizationrules { Rules } ; Issuance'],
  Issuance: ['issuancerules { Rules } ;', ''],
  Rules: ['', 'Rule Rules'],
  Rule: ['=> Action ;', 'Condition Conditions => Action ;'],
  Conditions: ['', '&& Condition Conditions'],
  Condition: ['! [ Tests', '[ Tests', 'name : [ Tests'],
  Tests: [']', 'Test MoreTests'],
  MoreTests: [']', ', Test MoreTests'],
  Test: ['Property Operator Expression'],
  Property: ['type', 'value', 'valueType', 'issuer'],
  Operator: ['==', '!=', '<', '<=', '>', '>='],
  Action: ['permit ( )', 'deny ( )', 'Setter ( Argument )'],
  Setter: ['add', 'issue', 'issueproperty'],
  Argument: [
    'claim = name',
    'type = Expression , value = Expression TooMany',
    'value = Expression , type = Expression TooMany',
  ],
  // A third argument is named at what stands behind its comma: no token is `nothing`.
  TooMany: ['', ', nothing'],
  Expression: ['string', 'integer', 'true', 'false', 'name . Property', 'Function ( Expression Arguments'],
  Arguments: [')', ', Expression Arguments'],
  Function: functionNames,
}

const symbolsOf = (production: string) => production.split(' ').filter((symbol) => symbol !== '')

/** The stacks of symbols whose first one is a token. */
function expanded(stack: readonly string[]): (readonly string[])[] {
  const [top, ...others] = stack
  const productions = top === undefined ? undefined : grammar[top]
  if (productions === undefined) return [stack]
  return productions.flatMap((production) => expanded([...symbolsOf(production), ...others]))
}

function kindOf(token: string): string {
  if (token.startsWith('"')) return 'string'
  if (/^-?[0-9]+$/.test(token)) return 'integer'
  return /^[A-Za-z_]/.test(token) && !isReserved(token) ? 'name' : token
}

/** Index of the first token with which no policy could go on: the number of tokens if the end comes too early; or null. */
function firstWrong(tokens: readonly string[]): number | null {
  let stacks = expanded(['policy'])
  for (const [at, token] of tokens.entries()) {
    const next = stacks.filter(([top]) => top === kindOf(token)).flatMap(([, ...others]) => expanded(others))
    if (next.length === 0) return at
    stacks = [...new Map(next.map((stack) => [stack.join(' '), stack])).values()]
  }
  return stacks.some((stack) => stack.length === 0) ? null : tokens.length
}

function tokensOf(text: string): string[] {
  const lexer = new Lexer(text, text.length, new Findings())
  const tokens: string[] = []
  for (let token = lexer.next(); token.kind !== 'end'; token = lexer.next()) tokens.push(token.text)
  return tokens
}

const vocabulary =
  'version = 1.0 1.2 ; { } [ ] ( ) , : . ! == != < <= > >= => && || =~ "a" 5 -1 true type value valueType issuer permit deny add issue issueproperty claim c0 name JmesPath NegateBool configurationrules authorizationrules issuancerules'.split(
    ' ',
  )

interface Change {
  readonly kind: 'delete' | 'double' | 'replace' | 'insert' | 'swap' | 'cut'
  readonly at: number
  readonly token: string
}

const changes: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom('delete', 'double', 'replace', 'insert', 'swap', 'cut'),
  at: fc.nat(10_000),
  token: fc.constantFrom(...vocabulary),
})

function changed(tokens: readonly string[], { kind, at: place, token }: Change): string[] {
  const at = place % (tokens.length + 1)
  const [here = '', next = ''] = tokens.slice(at)
  switch (kind) {
    case 'delete':
      return tokens.toSpliced(at, 1)
    case 'double':
      return tokens.toSpliced(at, 0, ...tokens.slice(at, at + 1))
    case 'replace':
      return tokens.toSpliced(at, 1, token)
    case 'insert':
      return tokens.toSpliced(at, 0, token)
    case 'swap':
      return here === '' || next === '' ? [...tokens] : tokens.toSpliced(at, 2, next, here)
    case 'cut':
      return tokens.slice(0, at)
  }
}

/** Index of the token that the first error about grammar names; checks at load (section 3) come on top of the grammar. */
function firstReported(tokens: readonly string[]): number | null {
  const first = parsePolicy(tokens.join(' ')).diagnostics?.find(({ id }) => /^POL-(?:1|2|304|305)/.test(id))
  if (first === undefined) return null
  let column = 1
  const at = tokens.findIndex((token) => {
    const found = column === first.column
    column += Array.from(token).length + 1
    return found
  })
  // A call of something that is no function is named at the name, not at the parenthesis where the grammar ends.
  if (first.id === 'POL-305') return isReserved(first.found) ? at : at + 1
  return at < 0 ? tokens.length : at
}

describe('the grammar (section 2)', () => {
  it('is refused at the first token with which no policy could go on, and nowhere else', { timeout: 7_200_000 }, () => {
    let accepted = 0
    fc.assert(
      fc.property(policyTexts, fc.array(changes, { maxLength: 2 }), (text, list) => {
        const tokens = list.reduce(changed, tokensOf(text))
        fc.pre(tokens.length > 0 && !tokens[0]?.startsWith('"') && tokens[0] !== '{')
        const expected = firstWrong(tokens)
        expect(firstReported(tokens)).toBe(expected)
        if (expected === null) accepted++
      }),
      { numRuns: runs },
    )
    expect(accepted).toBeGreaterThan(runs / 20)
    expect(accepted).toBeLessThan(runs)
  })
})
