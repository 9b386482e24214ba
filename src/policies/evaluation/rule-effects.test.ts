import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { evaluate, issued, outcome, policyFrom, policyText, service } from '../../../test/support/policy-evaluations.ts'
import { parsePolicy } from '../language/parse-policy.ts'
import type { Action } from '../language/syntax.ts'
import { evaluatePolicy } from './evaluate-policy.ts'

const firesFor = (condition: string, ...claims: readonly ReturnType<typeof service>[]) =>
  evaluate({ issuance: [`${condition} => add(type="r", value=1);`] }, claims).firedLines.includes(6)

describe('a condition with ! (POL-406)', () => {
  it('is true when no claim satisfies all of its tests, and only then', () => {
    const absent = '![type=="a", value==1]'
    expect(firesFor(absent)).toBe(true)
    expect(firesFor(absent, service('a', 2), service('b', 1))).toBe(true)
    expect(firesFor(absent, service('a', 2), service('a', 1))).toBe(false)
    expect(firesFor('![]')).toBe(true)
    expect(firesFor('![]', service('a', 1))).toBe(false)
  })

  it('says the opposite of the same condition without it, whatever the claims are', () => {
    const claims = fc.array(fc.tuple(fc.constantFrom('a', 'b'), fc.constantFrom(1, 2, 'x')), { maxLength: 4 })
    const tests = fc.constantFrom('type=="a"', 'type=="a", value==1', 'value!=1', 'type=="b", valueType=="String"', '')
    fc.assert(
      fc.property(claims, tests, (given, test) => {
        const all = given.map(([type, value]) => service(type, value))
        expect(firesFor(`![${test}]`, ...all)).toBe(!firesFor(`[${test}]`, ...all))
      }),
      { numRuns: 200 },
    )
  })
})

describe('a rule (POL-408)', () => {
  it('fires once, however many claims or combinations of claims fulfil it', () => {
    const claims = [1, 2, 3].flatMap((value) => [service('c', value), service('d', value)])
    const rule = 'c:[type=="c"] && d:[type=="d"] && [type=="d"] => add(type="r", value=c.value);'
    const { firedLines, trace, added } = evaluate({ issuance: [rule] }, claims, { trace: true })
    expect(firedLines).toEqual([3, 6])
    expect(trace?.filter(({ line }) => line === 6)).toHaveLength(1)
    expect(added.map(({ value }) => value)).toEqual([1n, 2n, 3n])
    const permits = evaluate({ authorization: ['[type=="c"] && [type=="d"] => permit();'] }, claims)
    expect(permits.decidedBy).toEqual([3])
  })
})

describe('the actions that write (POL-414)', () => {
  const rules = [
    '=> add(type="a", value=1);',
    '=> issue(type="b", value="x");',
    '=> issueproperty(type="omit_x5c", value=true);',
  ]

  it('all put claims of the policy into the working set', () => {
    const { added } = evaluate({ issuance: rules })
    expect(added).toEqual([
      { type: 'a', value: 1n, issuer: 'AttestationPolicy' },
      { type: 'b', value: 'x', issuer: 'AttestationPolicy' },
      { type: 'omit_x5c', value: true, issuer: 'AttestationPolicy' },
    ])
    const own = (type: string) => `[type=="${type}", issuer=="AttestationPolicy"]`
    expect(
      issued([...rules, `${own('a')} && ${own('b')} && ${own('omit_x5c')} => issue(type="all", value=1);`]),
    ).toMatchObject({ all: 1n })
  })

  it('issue alone writes into the token, and issueproperty alone into properties', () => {
    expect(evaluate({ issuance: rules })).toMatchObject({
      verdict: 'permit',
      token: { b: 'x' },
      properties: { omit_x5c: true },
    })
    expect(Object.keys(Object(evaluate({ issuance: rules })).token)).toEqual(['b'])
    expect(Object.keys(Object(evaluate({ issuance: rules })).properties)).toEqual(['omit_x5c'])
  })
})

describe('permit and deny (POL-420)', () => {
  it('only record themselves: nothing is added, and every later rule runs (POL-404)', () => {
    const rules = [
      '=> permit();',
      '[type=="permit"] => add(type="seen", value=1);',
      '=> deny();',
      '[type=="deny"] => add(type="seen", value=2);',
      '=> add(type="late", value=3);',
    ]
    const { added, firedLines, decidedBy, verdict } = evaluate({ authorization: rules })
    expect([verdict, decidedBy, firedLines]).toEqual(['deny', [5], [3, 5, 7]])
    expect(added).toEqual([{ type: 'late', value: 3n, issuer: 'AttestationPolicy' }])
  })

  it('do not depend on where among the rules they stand', () => {
    const [permit, deny, add] = ['[type=="p"] => permit();', '[type=="d"] => deny();', '=> add(type="x", value=1);']
    for (const order of [
      [permit, deny, add],
      [add, deny, permit],
      [deny, add, permit],
    ]) {
      const verdict = (...types: readonly string[]) =>
        outcome(
          evaluate(
            { authorization: order },
            types.map((type) => service(type, 1)),
          ),
        )
      expect([verdict('p'), verdict('p', 'd'), verdict('d'), verdict()]).toEqual([
        {},
        'deny-rule',
        'deny-rule',
        'no-permit',
      ])
    }
  })
})

describe('issuance rules (POL-423)', () => {
  it('leave a permit a permit, whether they fire or not, whatever they issue', () => {
    const rules = [
      '[type=="none"] => issue(type="a", value=1);',
      '=> issue(type="deny", value=true);',
      '=> issue(type="b", value=JsonToClaimValue("null"));',
    ]
    const evaluation = evaluate({ issuance: rules })
    expect(outcome(evaluation)).toEqual({ deny: true })
    expect(evaluation.decidedBy).toEqual([3])
  })

  it.each(['permit', 'deny'] as const)(
    'cannot say %s: such a policy does not load, and made by a program it has no verdict but error',
    (kind) => {
      expect(parsePolicy(policyText({ issuance: [`=> ${kind}();`] })).diagnostics?.[0]).toMatchObject({
        id: 'POL-301',
        line: 6,
      })
      const policy = policyFrom(policyText({ issuance: ['=> add(type="a", value=1);'] }))
      const [rule] = policy.issuance
      if (rule === undefined) throw new TypeError('a rule was written')
      const action: Action = { kind, span: rule.span }
      const other = { ...policy, issuance: [{ ...rule, action }] }
      expect(outcome(evaluatePolicy(other, [], { profile: 'attestd' }))).toBe('POL-301 line null')
    },
  )
})
