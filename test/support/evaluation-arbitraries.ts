import fc from 'fast-check'
import type { GivenClaim } from '../../src/policies/claims/incoming-claims.ts'
import type {
  Action,
  ClaimTest,
  Condition,
  Expression,
  FunctionName,
  Policy,
  Rule,
} from '../../src/policies/language/syntax.ts'

const span = { line: 1, column: 1, length: 1 }
const functions: readonly FunctionName[] = [
  ...(['JmesPath', 'JsonToClaimValue', 'IsSubsetOf', 'AppendString', 'NegateBool', 'ContainsOnlyValue'] as const),
]
const types = ['a', 'b', 'tpm.pcrs', 'tpm.quoted_pcrs', 'tpm.ak_trusted', 'iss', 'omit_x5c', 'required_pcr_mask']
const documents = ['{"a":[1,{"b":"x"},null],"b":true}', '[1,2,2.5]', '"a"', '[[]]', 'null', '{', '1e2', '{"a":1,"a":2}']

/** Pieces of queries, put together without regard to grammar or in it. */
const pieces = [
  ...[
    'a',
    'b',
    '@',
    '*',
    '.',
    '[',
    ']',
    '[?',
    '[]',
    '[*]',
    '[0]',
    '[-1]',
    '[::2]',
    '{',
    '}',
    '(',
    ')',
    ',',
    ':',
    '&',
    '!',
    '|',
    '||',
  ],
  ...[
    '&&',
    '==',
    '!=',
    '<',
    '>=',
    '`1`',
    '`"x"`',
    '`[1,2]`',
    "'x'",
    '"a"',
    'length(',
    'sort_by(',
    'map(&',
    'to_string(',
    'keys(',
    'sum(',
  ],
  ...['contains(', 'merge(', '`', "'", '"', '\\', '1', '-', ' ', '😀', '\ud800', '\u0000', '$', '#'],
]

export const queryTexts = fc.oneof(
  fc.array(fc.constantFrom(...pieces), { maxLength: 12 }).map((parts) => parts.join('')),
  fc.constantFrom('a', 'a[*].b', 'a[?b]', 'length(@)', '[@,@]|[@,@]', 'sort(@)', "join('x', a)", '*'),
  fc.string({ unit: 'binary', maxLength: 20 }),
)

export const claimValues = fc.oneof(
  fc.constantFrom<string | bigint | boolean>(...documents, 'a', '', true, false, 0n, 7n, -(2n ** 63n)),
  queryTexts.filter((text) => !/\p{Surrogate}/u.test(text)),
)

export const claims: fc.Arbitrary<GivenClaim> = fc.record({
  type: fc.constantFrom(...types),
  value: claimValues,
  issuer: fc.constantFrom('AttestationService', 'CustomClaim'),
})

/** Anything that a program could hand over instead of a claim. */
export const noClaims = fc.oneof(
  fc.anything(),
  fc.record(
    { type: fc.anything(), value: fc.anything(), issuer: fc.anything(), valueType: fc.anything() },
    { requiredKeys: [] },
  ),
)

const identifiers = fc.constantFrom('c', 'd')

const { expression } = fc.letrec<{ expression: Expression }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    fc.record({
      kind: fc.constant('string' as const),
      value: fc.oneof(fc.constantFrom(...types, ...documents), queryTexts),
      span: fc.constant(span),
    }),
    fc.record({ kind: fc.constant('integer' as const), value: fc.bigInt(-2n, 9n), span: fc.constant(span) }),
    fc.record({ kind: fc.constant('boolean' as const), value: fc.boolean(), span: fc.constant(span) }),
    fc.record({
      kind: fc.constant('property' as const),
      identifier: identifiers,
      property: fc.constantFrom('type' as const, 'value' as const, 'valueType' as const, 'issuer' as const),
      span: fc.constant(span),
    }),
    fc.record({
      kind: fc.constant('call' as const),
      function: fc.constantFrom(...functions),
      arguments: fc.array(tie('expression'), { maxLength: 3 }),
      span: fc.constant(span),
    }),
  ),
}))

const tests: fc.Arbitrary<ClaimTest> = fc.record({
  property: fc.constantFrom('type' as const, 'value' as const, 'valueType' as const, 'issuer' as const),
  operator: fc.constantFrom('==' as const, '!=' as const, '<' as const, '>=' as const),
  expression,
  span: fc.constant(span),
})

const conditions: fc.Arbitrary<Condition> = fc.record({
  negated: fc.boolean(),
  identifier: fc.option(identifiers),
  tests: fc.array(tests, { maxLength: 3 }),
  span: fc.constant(span),
})

const argument = fc.oneof(
  fc.record({ kind: fc.constant('copy' as const), identifier: identifiers, span: fc.constant(span) }),
  fc.record({ kind: fc.constant('claim' as const), type: expression, value: expression }),
)

/** Rules with actions of a section; now and then with one that it does not have. */
function rulesWith(...kinds: readonly Action['kind'][]): fc.Arbitrary<Rule> {
  const strange = fc.constantFrom<Action['kind']>('add', 'issueproperty', 'permit')
  const kind = fc.oneof({ weight: 40, arbitrary: fc.constantFrom(...kinds) }, { weight: 1, arbitrary: strange })
  const action: fc.Arbitrary<Action> = fc
    .tuple(kind, argument)
    .map(([chosen, given]) =>
      chosen === 'permit' || chosen === 'deny' ? { kind: chosen, span } : { kind: chosen, argument: given, span },
    )
  return fc.record({ conditions: fc.array(conditions, { maxLength: 3 }), action, span: fc.constant(span) })
}

/** Policies that no parser would have let pass, most of them. */
export const policies: fc.Arbitrary<Policy> = fc.record({
  version: fc.constant('1.2' as const),
  configuration: fc.array(rulesWith('issueproperty'), { maxLength: 1 }),
  authorization: fc.array(rulesWith('permit', 'deny', 'add', 'issue'), { maxLength: 5 }),
  issuance: fc.array(rulesWith('add', 'issue', 'issueproperty'), { maxLength: 3 }),
})

/** Rules that parse and that do something, with `asked` as what conditions say of issuers. */
export function ruleTexts(asked: readonly string[]) {
  const condition = fc
    .tuple(
      fc.constantFrom('a', 'b', 'p'),
      fc.constantFrom(...asked),
      fc.constantFrom('', ', value==7', ', value!="a"', ', value > 3', ', valueType=="String"'),
    )
    .map(([type, issuer, value]) => `[type=="${type}"${issuer}${value}]`)
  const value = fc.constantFrom(
    'c.value',
    'IsSubsetOf(c.value, d.value)',
    'JsonToClaimValue(c.value)',
    'ContainsOnlyValue(d.value, 7)',
    'AppendString(c.value, "x")',
  )
  const bound = fc.tuple(condition, condition).map(([c, d]) => `c:${c} && d:${d}`)
  const write = fc.tuple(bound, value).map(([given, what]) => `${given} => add(type="p", value=${what});`)
  const verdict = fc
    .tuple(fc.boolean(), condition, fc.constantFrom('permit', 'permit', 'permit', 'deny'))
    .map(([isNegated, given, action]) => `${isNegated ? '!' : ''}${given} => ${action}();`)
  return fc.array(fc.oneof(write, verdict), { minLength: 1, maxLength: 6 })
}
