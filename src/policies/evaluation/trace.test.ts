import { describe, expect, it } from 'vitest'
import { evaluate, type Rules, service } from '../../../test/support/policy-evaluations.ts'
import type { GivenClaim } from '../claims/incoming-claims.ts'

const traced = (rules: Rules, claims: readonly GivenClaim[] = []) => evaluate(rules, claims, { trace: true })
const authorized = (rule: string, claims: readonly GivenClaim[] = []) =>
  traced({ authorization: [rule] }, claims).trace?.[0]

describe('a trace (POL-820)', () => {
  it('is made only if it is asked for', () => {
    expect(evaluate({})).not.toHaveProperty('trace')
    expect(traced({})).toHaveProperty('trace')
  })

  it('has one entry for each rule that was reached', () => {
    const rules = {
      configuration: ['=> issueproperty(type="omit_x5c", value=true);'],
      authorization: ['=> permit();', '[type=="none"] => deny();'],
      issuance: [
        '=> issue(type="a", value=1);',
        '=> issue(type="b", value=NegateBool(1));',
        '=> issue(type="c", value=1);',
      ],
    }
    const { trace } = traced(rules)
    expect(
      trace?.map(({ section, rule, line, column, fired, action }) => [section, rule, line, column, fired, action]),
    ).toEqual([
      ['configurationrules', 1, 3, 1, true, 'issueproperty'],
      ['authorizationrules', 1, 6, 1, true, 'permit'],
      ['authorizationrules', 2, 7, 1, false, undefined],
      ['issuancerules', 1, 10, 1, true, 'issue'],
      ['issuancerules', 2, 11, 1, true, 'issue'],
    ])
    expect(trace?.[4]?.error).toEqual({
      id: 'POL-506',
      message: 'NegateBool needs a Boolean',
      section: 'issuancerules',
      line: 11,
    })
    expect(trace?.slice(0, 4).every((entry) => entry.error === undefined)).toBe(true)
  })

  it('leaves out what stands behind the first false condition', () => {
    const entry = authorized('[type=="a"] && ![type=="a"] && [type=="b"] => permit();', [service('a', 1)])
    const claims = [{ type: 'a', value: 1n, issuer: 'AttestationService' }]
    expect(entry?.conditions).toEqual([
      { line: 3, column: 1, negated: false, matched: 1, result: true, claims },
      { line: 3, column: 16, negated: true, matched: 1, result: false, claims },
    ])
  })

  it('says what an action wrote, and what was there already', () => {
    const entry = traced(
      { issuance: ['c:[type=="c"] => issue(type="r", value=c.value);', '=> add(type="r", value=1);'] },
      [service('c', 1), service('c', 'x')],
    )
    expect(entry.trace?.[1]?.effects).toEqual([
      { op: 'issue', type: 'r', value: 1n, new: true },
      { op: 'issue', type: 'r', value: 'x', new: true },
    ])
    expect(entry.trace?.[2]?.effects).toEqual([{ op: 'add', type: 'r', value: 1n, new: false }])
  })

  it('says of a false condition which claims came near, and by what they failed', () => {
    const claims = [service('a', 1), { type: 'a', value: 5 }, service('a', 'x'), service('a', 9)]
    const near = (test: string, given = claims) => authorized(`[${test}] => permit();`, given)?.conditions[0]?.near
    expect(near('type=="a", value==5, issuer=="AttestationService"')).toEqual([
      { type: 'a', value: 1n, issuer: 'AttestationService', failed: 'value' },
      { type: 'a', value: 5n, issuer: 'CustomClaim', failed: 'issuer' },
      { type: 'a', value: 'x', issuer: 'AttestationService', failed: 'value' },
    ])
    expect(near('type=="a", valueType=="Boolean"', claims.slice(0, 1))).toEqual([
      { type: 'a', value: 1n, issuer: 'AttestationService', failed: 'valueType' },
    ])
    expect(near('type=="A", value==5')).toEqual([{ absent: 'A' }])
    expect(near('value==77')).toBeUndefined()
    expect(near('type!="a"', claims)).toBeUndefined()
    // Found by its value among many: those that came near are looked for among all.
    const many = Array.from({ length: 50 }, (_, at) => service('a', at))
    expect(near('type=="a", value==77', many)).toHaveLength(3)
  })

  it('shows the first claims that matched, also those for which a negated condition is false', () => {
    const many = [1, 2, 3, 4].map((value) => service('a', value))
    const [condition] = authorized('![type=="a"] => permit();', many)?.conditions ?? []
    expect(condition).toMatchObject({ negated: true, matched: 4, result: false })
    expect(condition?.claims?.map(({ value }) => value)).toEqual([1n, 2n, 3n])
    expect(condition).not.toHaveProperty('near')
  })

  it('cuts long strings and marks them, never within a character', () => {
    const long = 'x'.repeat(255) + '😀'.repeat(10)
    const entry = traced({ issuance: ['c:[type=="c"] => issue(type="r", value=c.value);'] }, [service('c', long)])
      .trace?.[1]
    expect(entry?.effects[0]?.value).toBe(`${'x'.repeat(255)}… (275 characters)`)
    const exact = traced({ issuance: ['c:[type=="c"] => issue(type="r", value=c.value);'] }, [
      service('c', 'x'.repeat(256)),
    ]).trace?.[1]
    expect(exact?.effects[0]?.value).toBe('x'.repeat(256))
    expect(authorized(`[type=="c", value=="y"] => permit();`, [service('c', long)])?.conditions[0]?.near).toMatchObject(
      [{ value: `${'x'.repeat(255)}… (275 characters)` }],
    )
  })

  it('says that nothing was written for the empty value (POL-417)', () => {
    expect(traced({ issuance: ['=> issue(type="r", value=JsonToClaimValue("[]"));'] }).trace?.[1]).toMatchObject({
      fired: true,
      effects: [],
      noop: 'empty value',
    })
    expect(traced({}).trace?.[0]).not.toHaveProperty('noop')
  })
})
