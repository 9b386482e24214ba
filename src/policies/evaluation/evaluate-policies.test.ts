import { describe, expect, it } from 'vitest'
import { policyFrom, policyText, type Rules, service } from '../../../test/support/policy-evaluations.ts'
import { evaluatePolicies, type NamedPolicy } from './evaluate-policies.ts'
import { PreparedPolicy } from './evaluate-policy.ts'

const named = (id: string, rules: Rules): NamedPolicy => ({
  id,
  policy: new PreparedPolicy(policyFrom(policyText(rules)), { profile: 'attestd' }),
})
const issuing = (id: string, ...rules: string[]) => named(id, { issuance: rules })

describe('several policies for one request (POL-429)', () => {
  it('join what they issue', () => {
    const joint = evaluatePolicies(
      [
        issuing('b', '=> issue(type="z", value=1);', '=> issue(type="same", value="x");'),
        issuing('a', '=> issue(type="a", value=2);', '=> issue(type="same", value="x");'),
      ],
      [],
    )
    expect(joint).toMatchObject({ verdict: 'permit', token: { a: 2n, same: 'x', z: 1n } })
    expect(Object.keys('token' in joint ? joint.token : {})).toEqual(['a', 'same', 'z'])
    expect(joint.evaluations.map(({ id, evaluation }) => [id, evaluation.verdict])).toEqual([
      ['b', 'permit'],
      ['a', 'permit'],
    ])
  })

  it('are an error when they issue different values for one name', () => {
    const one = issuing('one', '=> issue(type="n", value=1);')
    for (const other of ['2', '"1"', 'JsonToClaimValue("[1,2]")']) {
      const joint = evaluatePolicies([one, issuing('other', `=> issue(type="n", value=${other});`)], [])
      expect(joint).toMatchObject({ verdict: 'error', id: null, error: { id: 'POL-429' } })
      expect(joint).not.toHaveProperty('token')
    }
    const sets = ['[1,2]', '[2,1]'].map((json) =>
      issuing(json, `=> issue(type="n", value=JsonToClaimValue("${json}"));`),
    )
    expect(evaluatePolicies(sets, []).verdict).toBe('error')
  })

  it('must all permit, and the first that does not is named', () => {
    const [good, none] = [issuing('good'), named('none', { authorization: [] })]
    const broken = issuing('broken', '=> issue(type="n", value=NegateBool(1));')
    expect(evaluatePolicies([good, none, broken], [])).toMatchObject({ verdict: 'deny', id: 'none' })
    expect(evaluatePolicies([good, broken, none], [])).toMatchObject({
      verdict: 'error',
      id: 'broken',
      error: { id: 'POL-506' },
    })
    expect(evaluatePolicies([], [])).toMatchObject({ verdict: 'deny', id: null })
  })

  it('do not see what another adds', () => {
    const adds = named('adds', { authorization: ['=> add(type="ok", value=true);', '=> permit();'] })
    const needs = named('needs', { authorization: ['[type=="ok"] => permit();'] })
    expect(evaluatePolicies([adds, needs], [])).toMatchObject({ verdict: 'deny', id: 'needs' })
    expect(evaluatePolicies([adds, needs], [service('ok', true)]).verdict).toBe('permit')
  })

  it('keep of properties the stricter one, and are an error where none is stricter', () => {
    const joint = (name: string, ...values: string[]) => {
      const policies = values.map((value) =>
        named(value, { configuration: [`=> issueproperty(type="${name}", value=${value});`] }),
      )
      const result = evaluatePolicies(policies, [])
      return result.verdict === 'permit' ? result.properties[name] : result.verdict
    }
    expect(joint('report_validity_in_minutes', '30', '5', '60')).toBe(5n)
    expect(joint('required_pcr_mask', '3', '12')).toBe(15n)
    expect(joint('require_valid_aik_cert', 'false', 'true')).toBe(true)
    expect(joint('require_valid_aik_cert', 'false', 'false')).toBe(false)
    expect(joint('omit_x5c', 'true', 'true')).toBe(true)
    expect(joint('omit_x5c', 'true', 'false')).toBe('error')
    expect(joint('x-ms-sgx-tcbidentifier', '"a"', '"b"')).toBe('error')
  })
})
