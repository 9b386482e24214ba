import { describe, expect, it } from 'vitest'
import { evaluate, issued, outcome, policyFrom, policyText, service } from '../../../test/support/policy-evaluations.ts'
import type { GivenClaim } from '../claims/incoming-claims.ts'
import type { Policy, Rule } from '../language/syntax.ts'
import { evaluatePolicy, PreparedPolicy } from './evaluate-policy.ts'

const custom = (type: string, value: string | number | boolean): GivenClaim => ({ type, value })

describe('incoming claims (POL-402)', () => {
  const any = { authorization: ['[] => permit();'] }

  it.each<[string, unknown]>([
    ['issuer of a policy', { type: 'a', value: 'x', issuer: 'AttestationPolicy' }],
    ['unknown issuer', { type: 'a', value: 'x', issuer: 'attestationservice' }],
    ['no type', { value: 'x' }],
    ['empty type', { type: '', value: 'x' }],
    ['type that is no String', { type: 5, value: 'x' }],
    ['type with half a pair', { type: '\ud800', value: 'x' }],
    ['type of 257 characters', { type: 'x'.repeat(257), value: 'x' }],
    ['type of 257 characters beyond U+FFFF', { type: '😀'.repeat(257), value: 'x' }],
    ['no value', { type: 'a' }],
    ['null', { type: 'a', value: null }],
    ['fraction', { type: 'a', value: 1.5 }],
    ['inexact number', { type: 'a', value: 2 ** 53 }],
    ['array', { type: 'a', value: ['x'] }],
    ['Integer beyond 64 bits', { type: 'a', value: 2n ** 63n }],
    ['String with half a pair', { type: 'a', value: 'x\udc00' }],
    ['other valueType', { type: 'a', value: 'x', valueType: 'Boolean' }],
    ['nothing', null],
    ['a text', 'claim'],
  ])('refuses %s', (_, claim) => {
    expect(outcome(evaluate(any, [service('ok', 1), claim as GivenClaim]))).toBe('POL-402 line null')
  })

  it('refuses what is no list', () => {
    expect(outcome(evaluate(any, null as unknown as GivenClaim[]))).toBe('POL-402 line null')
    expect(outcome(evaluate(any, { length: 1 } as unknown as GivenClaim[]))).toBe('POL-402 line null')
  })

  it('takes a type of 256 characters, and each kind of value', () => {
    const values = [service('😀'.repeat(256), 'x'), service('i', -(2n ** 63n)), service('b', false), service('n', 7)]
    expect(evaluate(any, values).verdict).toBe('permit')
  })

  it('never lets the attester speak for the service', () => {
    const rules = { authorization: ['[type=="ok", value==true, issuer=="AttestationService"] => permit();'] }
    expect(outcome(evaluate(rules, [custom('ok', true)]))).toBe('no-permit')
    expect(outcome(evaluate(rules, [service('ok', true)]))).toEqual({})
  })
})

describe('conditions', () => {
  it('test claims by type, issuer, valueType and value, whatever the order of the text (POL-413)', () => {
    const rule =
      '[value > 3, valueType=="Integer", issuer=="AttestationService", type=="n"] => issue(type="r", value=1);'
    expect(issued([rule], [service('s', 'x'), custom('n', 'x'), service('n', 'x'), service('n', 4)])).toEqual({ r: 1n })
    expect(issued([rule.replace('valueType=="Integer", ', '')], [service('n', 'x')])).toBe('POL-412 line 6')
  })

  it('test every claim of a type: an error does not hide behind one that matched (POL-412)', () => {
    const rule = '[type=="n", value > 3] => issue(type="r", value=1);'
    expect(issued([rule], [service('n', 4), service('n', 'x')])).toBe('POL-412 line 6')
    expect(issued([rule], [service('n', 'x'), service('n', 4)])).toBe('POL-412 line 6')
    const many = Array.from({ length: 30 }, (_, at) => service('n', at))
    const exact = '[type=="n", value > 3, value == 7] => issue(type="r", value=1);'
    expect(issued([exact], many)).toEqual({ r: 1n })
    expect(issued([exact], [...many, service('n', 'x')])).toBe('POL-412 line 6')
  })

  it('compute right-hand sides in text order, also where there is no claim to test (POL-413)', () => {
    const bad = (json: string) => `JsonToClaimValue("${json}")`
    expect(issued([`[type=="none", value==${bad('{')}] => issue(type="r", value=1);`])).toBe('POL-501 line 6')
    expect(issued([`[value==${bad('1.5')}, type==${bad('{')}] => issue(type="r", value=1);`])).toBe('POL-504 line 6')
    // Behind a false condition nothing is computed (POL-405).
    expect(issued([`[type=="none"] && [value==${bad('{')}] => issue(type="r", value=1);`])).toEqual({})
  })

  it('are false for every operator beside the empty value (POL-411, POL-417)', () => {
    for (const operator of ['==', '!=', '<', '>=']) {
      const test = `value ${operator} JsonToClaimValue("null")`
      expect(issued([`[type=="n", ${test}] => issue(type="r", value=1);`], [service('n', 1)])).toEqual({})
      expect(issued([`![type=="n", ${test}] => issue(type="r", value=1);`], [service('n', 1)])).toEqual({ r: 1n })
    }
    expect(issued(['[type!=JsonToClaimValue("null")] => issue(type="r", value=1);'], [service('n', 1)])).toEqual({})
  })

  it('need one value to compare with (POL-410)', () => {
    const rule = 'c:[type=="c"] && [type=="n", value==c.value] => issue(type="r", value=1);'
    expect(issued([rule], [service('c', 1), service('c', 2)])).toBe('POL-410 line 6')
    expect(issued([rule], [service('c', 1), custom('c', 1), service('n', 1)])).toEqual({ r: 1n })
  })

  it('find a claim among many of its type by its value, as they do among few', () => {
    const rules = ['[type=="n", value=="v7"] => issue(type="r", value=1);', '[type=="n", value=="none"] => deny();']
    const claims = Array.from({ length: 5000 }, (_, at) => service('n', `v${at}`))
    const found = evaluate({ authorization: ['=> permit();', ...rules.slice(1)], issuance: rules.slice(0, 1) }, claims)
    expect(outcome(found)).toEqual({ r: 1n })
    expect(found.steps).toBeLessThan(50)
  })
})

describe('binding', () => {
  it('is a set: one firing, distinct values in order of arrival (POL-407 to POL-409)', () => {
    const claims = [service('c', 2), service('c', 'x'), custom('c', 2), service('c', true)]
    const rule = (property: string) => `c:[type=="c"] => issue(type="r", value=c.${property});`
    expect(issued([rule('value')], claims)).toEqual({ r: [2n, 'x', true] })
    expect(issued([rule('type')], claims)).toEqual({ r: 'c' })
    expect(issued([rule('valueType')], claims)).toEqual({ r: ['Integer', 'String', 'Boolean'] })
    expect(issued([rule('issuer')], claims)).toEqual({ r: ['AttestationService', 'CustomClaim'] })
    expect(evaluate({ issuance: [rule('value')] }, claims).firedLines).toEqual([3, 6])
  })

  it('copies claims unchanged (POL-418)', () => {
    const evaluation = evaluate(
      { issuance: ['c:[type=="c"] => add(claim=c);', '[issuer=="AttestationPolicy"] => issue(type="r", value=1);'] },
      [service('c', 1)],
    )
    expect(evaluation).toMatchObject({ verdict: 'permit', added: [], token: {} })
  })

  it('takes one claim type only (POL-410, POL-310)', () => {
    const rule = 'c:[type=="c"] => issue(type=c.value, value=1);'
    expect(issued([rule], [service('c', 'a'), service('c', 'b')])).toBe('POL-410 line 6')
    expect(issued([rule], [service('c', 'x'.repeat(257))])).toBe('POL-310 line 6')
    expect(issued([rule], [service('c', 'x'.repeat(256))])).toEqual({ ['x'.repeat(256)]: 1n })
    expect(issued(['=> issue(type=JsonToClaimValue("null"), value=1);'])).toBe('POL-310 line 6')
  })
})

describe('the working set', () => {
  it('has no claim twice (POL-415)', () => {
    const rules = ['=> add(type="a", value=1);', '=> add(type="a", value=1);', '=> add(type="a", value="1");']
    expect(evaluate({ issuance: rules }, [service('a', 1)]).added).toEqual([
      { type: 'a', value: 1n, issuer: 'AttestationPolicy' },
      { type: 'a', value: '1', issuer: 'AttestationPolicy' },
    ])
  })

  it('gets one claim a value of a set, and none for the empty value (POL-416, POL-417)', () => {
    const values = (json: string) =>
      evaluate({ issuance: [`=> add(type="a", value=JsonToClaimValue("${json}"));`] }).added
    expect(values('[1,true,1,null]').map(({ value }) => value)).toEqual([1n, true])
    expect(values('[]')).toEqual([])
    expect(values('null')).toEqual([])
  })

  it('is seen by later rules of later sections, never by earlier ones (POL-404)', () => {
    const rules = {
      configuration: [
        '[type=="p"] => issueproperty(type="omit_x5c", value=false);',
        '=> issueproperty(type="omit_x5c", value=true);',
      ],
      authorization: [
        'c:[type=="omit_x5c", issuer=="AttestationPolicy"] => add(type="seen", value=c.value);',
        '[type=="seen", value==true] => permit();',
      ],
      issuance: ['[type=="seen"] => issue(type="r", value=1);'],
    }
    expect(evaluate(rules)).toMatchObject({ verdict: 'permit', properties: { omit_x5c: true } })
  })
})

describe('the verdict', () => {
  it('is error whenever anything fails, with nothing of a token (POL-424)', () => {
    const evaluation = evaluate({
      issuance: ['=> issue(type="a", value=1);', '=> issue(type="b", value=JsonToClaimValue("{"));'],
    })
    expect(evaluation).toMatchObject({
      verdict: 'error',
      error: { id: 'POL-501', section: 'issuancerules', line: 7 },
      decidedBy: [7],
    })
    expect(evaluation).not.toHaveProperty('token')
    expect(evaluation).not.toHaveProperty('properties')
  })

  it('is that of any deny, with the lines that denied (POL-421)', () => {
    const denied = evaluate({ authorization: ['=> permit();', '=> deny();', '=> permit();', '=> deny();'] })
    expect(denied).toMatchObject({ verdict: 'deny', reason: 'deny-rule', decidedBy: [4, 6], firedLines: [3, 4, 5, 6] })
    expect(evaluate({ authorization: ['=> permit();', '=> permit();'] }).decidedBy).toEqual([3, 4])
  })

  it('runs no issuance rule unless permitted (POL-403)', () => {
    const rules = { authorization: [], issuance: ['=> issue(type="b", value=JsonToClaimValue("{"));'] }
    expect(outcome(evaluate(rules))).toBe('no-permit')
  })
})

describe('the token (POL-419, POL-427)', () => {
  it('has members sorted by code unit and no prototype', () => {
    const evaluation = evaluate({
      issuance: ['b', 'a', 'B', 'é', 'a.b'].map((type) => `=> issue(type="${type}", value=1);`),
    })
    if (evaluation.verdict !== 'permit') throw new TypeError('no permit')
    expect(Object.keys(evaluation.token)).toEqual(['B', 'a', 'a.b', 'b', 'é'])
    expect(Object.getPrototypeOf(evaluation.token)).toBeNull()
    expect(Object.getPrototypeOf(evaluation.properties)).toBeNull()
  })

  it('joins what several rules issue for one type', () => {
    const rules = ['=> issue(type="a", value=2);', '=> issue(type="a", value="2");', '=> issue(type="a", value=2);']
    expect(issued(rules)).toEqual({ a: [2n, '2'] })
  })

  it('takes names of the prototype but the one that is reserved', () => {
    expect(issued(['=> issue(type="constructor", value=1);', '=> issue(type="toString", value=2);'])).toEqual({
      constructor: 1n,
      toString: 2n,
    })
    expect(issued(['=> issue(type="__proto__", value=1);'])).toBe('POL-427 line 6')
    expect(
      issued(['=> add(type="__proto__", value=1);', 'c:[type=="__proto__"] => issue(type="r", value=c.value);']),
    ).toEqual({ r: 1n })
  })

  it('refuses reserved names whether written, computed or copied, by profile', () => {
    expect(issued(['=> issue(type=AppendString("is", "s"), value=1);'])).toBe('POL-427 line 6')
    expect(issued(['c:[type=="aud"] => issue(claim=c);'], [service('aud', 'x')])).toBe('POL-427 line 6')
    expect(issued(['=> issue(type="tcb-status", value=1);'])).toBe('POL-427 line 6')
    expect(issued(['=> issue(type="tcb-status", value=1);'], [], { profile: 'maa' })).toEqual({ 'tcb-status': 1n })
    expect(issued(['=> issue(type="x-ms-runtime", value=1);'], [], { profile: 'maa' })).toBe('POL-427 line 6')
    // Nothing is issued: `add`, and `issue` in authorizationrules (POL-301).
    expect(outcome(evaluate({ authorization: ['=> issue(type="iss", value=1);', '=> permit();'] }))).toEqual({})
  })
})

describe('read-only values (POL-425)', () => {
  const pcrs = service('tpm.pcrs', '{"PCRs":[{"Index":0,"Digests":{"SHA256":"aa"}}],"flag":true}')
  const bind = 'c:[type=="tpm.pcrs", issuer=="AttestationService"] => '

  it.each([
    ['c.value', 'c.value'],
    ['JmesPath', 'JmesPath(c.value, "PCRs")'],
    [
      'JmesPath with the value as its query',
      'JmesPath("1", AppendString(AppendString("\'", "x"), AppendString("\'", JsonToClaimValue(JmesPath(c.value, "PCRs[7].x || \'\'")))))',
    ],
    ['JsonToClaimValue', 'JsonToClaimValue(JmesPath(c.value, "flag"))'],
    ['AppendString', 'AppendString("x", c.value)'],
    ['AppendString, left', 'AppendString(c.value, "x")'],
    ['NegateBool', 'NegateBool(JsonToClaimValue(JmesPath(c.value, "flag")))'],
  ])('stay read-only through %s', (_, expression) => {
    expect(issued([`${bind}issue(type="r", value=${expression});`], [pcrs])).toBe('POL-425 line 6')
    expect(issued([`${bind}issueproperty(type="x-ms-sgx-tcbidentifier", value=${expression});`], [pcrs])).toBe(
      'POL-425 line 6',
    )
    expect(
      issued(
        [`${bind}add(type="r", value=${expression});`, 'r:[type=="r"] => issue(type="t", value=r.value);'],
        [pcrs],
      ),
    ).toBe('POL-425 line 7')
    expect(issued([`${bind}add(type="r", value=${expression});`, 'r:[type=="r"] => issue(claim=r);'], [pcrs])).toBe(
      'POL-425 line 7',
    )
  })

  it('leave no mark on truth values about them, nor on type, valueType and issuer', () => {
    const rules = [
      `${bind}issue(type="a", value=IsSubsetOf(c.value, "x"));`,
      `${bind}issue(type="b", value=ContainsOnlyValue(c.value, c.value));`,
      `${bind}issue(type="c", value=c.type);`,
      `${bind}issue(type="d", value=c.valueType);`,
      `${bind}issue(type="e", value=c.issuer);`,
    ]
    expect(issued(rules, [pcrs])).toEqual({ a: false, b: true, c: 'tpm.pcrs', d: 'String', e: 'AttestationService' })
  })

  it('are not issued as the name of a claim either', () => {
    const type = 'JsonToClaimValue(JmesPath(c.value, "PCRs[0].Digests.SHA256"))'
    expect(issued([`${bind}issue(type=${type}, value=1);`], [pcrs])).toBe('POL-425 line 6')
    expect(issued([`${bind}add(type=${type}, value=1);`, 'r:[type=="aa"] => issue(claim=r);'], [pcrs])).toBe(
      'POL-425 line 7',
    )
  })

  it('do not come back as the type of a claim that was named after them', () => {
    const type = 'JsonToClaimValue(JmesPath(c.value, "PCRs[0].Digests.SHA256"))'
    const named = `${bind}add(type=${type}, value="mark");`
    const reads = (expression: string) => `r:[value=="mark"] => issue(type="t", value=${expression});`
    for (const expression of ['r.type', 'AppendString(r.type, "")']) {
      expect(issued([named, reads(expression)], [pcrs])).toBe('POL-425 line 7')
      expect(issued([named, '=> add(type="aa", value="mark");', reads(expression)], [pcrs])).toBe('POL-425 line 8')
      expect(issued(['=> add(type="aa", value="mark");', named, reads(expression)], [pcrs])).toBe('POL-425 line 8')
    }
    expect(issued([named, 'r:[value=="mark"] => issue(type=r.type, value=1);'], [pcrs])).toBe('POL-425 line 7')
    expect(issued([named, reads('r.issuer')], [pcrs])).toEqual({ t: 'AttestationPolicy' })
  })

  it('stay so when an equal claim was there before', () => {
    const rules = [
      '=> add(type="r", value=true);',
      `${bind}add(type="r", value=JsonToClaimValue(JmesPath(c.value, "flag")));`,
    ]
    expect(issued([...rules, 'r:[type=="r"] => issue(claim=r);'], [pcrs])).toBe('POL-425 line 8')
    expect(issued([...[...rules].reverse(), 'r:[type=="r"] => issue(claim=r);'], [pcrs])).toBe('POL-425 line 8')
  })

  it('taint one value of a set, not the others', () => {
    const claims = [service('x', 'free'), { ...service('x', 'kept'), readOnly: true }]
    expect(
      issued(
        ['c:[type=="x"] => add(type="y", value=c.value);', 'c:[type=="y", value=="free"] => issue(claim=c);'],
        claims,
      ),
    ).toEqual({ y: 'free' })
    expect(issued(['c:[type=="x"] => issue(type="y", value=c.value);'], claims)).toBe('POL-425 line 6')
  })

  it('is every name of such a document, from the service only', () => {
    for (const type of ['tpm.pcrs', 'pcrs', 'ima.log']) {
      expect(issued([`c:[type=="${type}"] => issue(claim=c);`], [service(type, '{}')])).toBe('POL-425 line 6')
      expect(issued([`c:[type=="${type}"] => issue(claim=c);`], [custom(type, '{}')])).toEqual({ [type]: '{}' })
    }
  })
})

describe('properties (section 7)', () => {
  const set = (name: string, value: string) =>
    outcome(evaluate({ issuance: [`=> issueproperty(type=AppendString("${name}", ""), value=${value});`] }))

  it.each([
    ['required_pcr_mask', ['0', '16777215'], ['-1', '16777216', 'true', '"1"']],
    ['require_valid_aik_cert', ['true', 'false'], ['0', '"true"']],
    ['report_validity_in_minutes', ['1', '525600'], ['0', '525601', '"30"']],
    ['omit_x5c', ['true'], ['1']],
    ['x-ms-sgx-tcbidentifier', ['"azuredefault"'], ['1', 'true']],
  ])('%s has a type and a range (POL-309)', (name, good, bad) => {
    for (const value of good) expect(set(name, value)).toEqual({})
    for (const value of bad) expect(set(name, value)).toBe('POL-309 line 6')
  })

  it('has names that nobody knows: without effect in issuancerules, an error in configurationrules (POL-309, L20)', () => {
    const rule = '=> issueproperty(type=AppendString("color", ""), value=1);'
    expect(evaluate({ issuance: [rule] })).toMatchObject({ verdict: 'permit', properties: {} })
    expect(outcome(evaluate({ configuration: [rule] }))).toBe('POL-309 line 3')
  })

  it('has one value (POL-426)', () => {
    expect(issued(['=> issueproperty(type="omit_x5c", value=JsonToClaimValue("[true,false]"));'])).toBe(
      'POL-426 line 6',
    )
    expect(
      issued(['=> issueproperty(type="omit_x5c", value=true);', '=> issueproperty(type="omit_x5c", value=true);']),
    ).toEqual({})
  })
})

describe('configuration (POL-428)', () => {
  const mask = (value: number) => ({ configuration: [`=> issueproperty(type="required_pcr_mask", value=${value});`] })
  const quoted = (...pcrs: number[]) => pcrs.map((pcr) => service('tpm.quoted_pcrs', pcr))

  it('needs every bit of the mask quoted, where there is a quote', () => {
    expect(outcome(evaluate(mask(0b1011), quoted(0, 1, 3)))).toEqual({})
    expect(evaluate(mask(0b1011), quoted(0, 1))).toMatchObject({ reason: 'configuration', decidedBy: [3] })
    expect(outcome(evaluate(mask(0b1011), []))).toEqual({})
    expect(outcome(evaluate(mask(0xffffff), quoted(...Array.from({ length: 24 }, (_, at) => at))))).toEqual({})
    expect(outcome(evaluate(mask(0xffffff), quoted(...Array.from({ length: 23 }, (_, at) => at))))).toBe(
      'configuration',
    )
    expect(
      outcome(
        evaluate(mask(1), [
          service('tpm.quoted_pcrs', '0'),
          service('tpm.quoted_pcrs', -1),
          service('tpm.quoted_pcrs', 1n << 40n),
        ]),
      ),
    ).toBe('configuration')
  })

  it('needs a trusted key unless the policy says otherwise', () => {
    const untrusted = [service('tpm.ak_trusted', false)]
    expect(evaluate({}, untrusted)).toMatchObject({ reason: 'configuration', decidedBy: [] })
    expect(outcome(evaluate({}, [service('tpm.ak_trusted', 'true')]))).toBe('configuration')
    expect(outcome(evaluate({}, [...untrusted, service('tpm.ak_trusted', true)]))).toBe('configuration')
    expect(outcome(evaluate({}, [custom('tpm.ak_trusted', false)]))).toEqual({})
    const waived = { configuration: ['=> issueproperty(type="require_valid_aik_cert", value=false);'] }
    expect(outcome(evaluate(waived, untrusted))).toEqual({})
    // Set too late: the key has been judged (POL-403).
    expect(
      outcome(evaluate({ issuance: ['=> issueproperty(type="require_valid_aik_cert", value=false);'] }, untrusted)),
    ).toBe('configuration')
  })
})

describe('functions', () => {
  const value = (expression: string, claims: readonly GivenClaim[] = []) => {
    const result = issued([`=> issue(type="r", value=${expression});`], claims)
    return typeof result === 'object' && result !== null && 'r' in result ? result.r : result
  }

  it.each<[string, unknown]>([
    // POL-501 to POL-503.
    ['JmesPath("{\\"a\\":[1,\\"x\\"]}", "a")', '[1,"x"]'],
    ['JmesPath("{\\"a\\":\\"x\\"}", "a")', '"x"'],
    ['JmesPath("{}", "a")', 'null'],
    ['JmesPath("{", "a")', 'POL-501 line 6'],
    ['JmesPath(1, "a")', 'POL-501 line 6'],
    ['JmesPath(JsonToClaimValue("null"), "a")', 'POL-501 line 6'],
    ['JmesPath("{}", "")', 'POL-502 line 6'],
    ['JmesPath("{}", JsonToClaimValue("null"))', 'POL-502 line 6'],
    ['JmesPath("{}", 1)', 'POL-503 line 6'],
    ['JmesPath("{}", "a[")', 'POL-503 line 6'],
    ['JmesPath("{}", "abs(a)")', 'POL-503 line 6'],
    ['JmesPath("{", "")', 'POL-501 line 6'],
    ['JmesPath(JsonToClaimValue("[\\"1\\",\\"2\\"]"), "@")', 'POL-410 line 6'],
    ['JmesPath("1", JsonToClaimValue("[\\"a\\",\\"b\\"]"))', 'POL-410 line 6'],
    // POL-504.
    ['JsonToClaimValue("9007199254740993")', 9007199254740993n],
    ['JsonToClaimValue("9007199254740992.0")', 'POL-504 line 6'],
    ['JsonToClaimValue("9007199254740991.0")', 9007199254740991n],
    ['JsonToClaimValue("255.00000000000000001")', 'POL-504 line 6'],
    ['JsonToClaimValue("-12.50e1")', -125n],
    ['JsonToClaimValue("12.50e0")', 'POL-504 line 6'],
    ['JsonToClaimValue("100e-2")', 1n],
    ['JsonToClaimValue("0e99999999999")', 0n],
    ['JsonToClaimValue("0.000")', 0n],
    ['JsonToClaimValue("1e400")', 'POL-504 line 6'],
    ['JsonToClaimValue("[[]]")', 'POL-504 line 6'],
    ['JsonToClaimValue(true)', 'POL-501 line 6'],
    ['JsonToClaimValue(JsonToClaimValue("null"))', 'POL-501 line 6'],
    // POL-505 to POL-508.
    ['AppendString("a", "b")', 'ab'],
    ['AppendString("a", JsonToClaimValue("null"))', 'POL-505 line 6'],
    ['AppendString(1, "b")', 'POL-505 line 6'],
    ['NegateBool(false)', true],
    ['NegateBool("false")', 'POL-506 line 6'],
    ['NegateBool(JsonToClaimValue("null"))', 'POL-506 line 6'],
    ['ContainsOnlyValue(JsonToClaimValue("[1,1]"), 1)', true],
    ['ContainsOnlyValue(JsonToClaimValue("[1,2]"), 1)', false],
    ['ContainsOnlyValue(JsonToClaimValue("[]"), 1)', false],
    ['ContainsOnlyValue("1", 1)', false],
    ['ContainsOnlyValue(1, JsonToClaimValue("[]"))', 'POL-507 line 6'],
    ['ContainsOnlyValue(1, JsonToClaimValue("[1,2]"))', 'POL-410 line 6'],
    ['IsSubsetOf(JsonToClaimValue("[]"), JsonToClaimValue("[]"))', true],
    ['IsSubsetOf(JsonToClaimValue("[1,true]"), JsonToClaimValue("[true,\\"x\\",1]"))', true],
    ['IsSubsetOf(JsonToClaimValue("[1,\\"1\\"]"), 1)', false],
  ])('%s', (expression, result) => {
    expect(value(expression)).toEqual(result)
  })

  it('evaluate their arguments from left to right', () => {
    expect(value('AppendString(JsonToClaimValue("{"), JsonToClaimValue("1.5"))')).toBe('POL-501 line 6')
    expect(value('AppendString(JsonToClaimValue("1.5"), JsonToClaimValue("{"))')).toBe('POL-504 line 6')
  })
})

describe('policies that no parser has seen', () => {
  const span = { line: 7, column: 1, length: 1 }
  const text = (value: string) => ({ kind: 'string', value, span }) as const
  const write = (kind: 'add' | 'issue' | 'issueproperty'): Rule => ({
    conditions: [],
    action: { kind, argument: { kind: 'claim', type: text('a'), value: text('b') }, span },
    span,
  })
  const permit: Rule = { conditions: [], action: { kind: 'permit', span }, span }
  const base: Policy = { version: '1.2', configuration: [], authorization: [permit], issuance: [] }
  const run = (policy: Policy, limits = {}) => outcome(evaluatePolicy(policy, [], { profile: 'attestd', limits }))

  it('cannot do in a section what does not belong there (POL-301)', () => {
    expect(run({ ...base, configuration: [permit], authorization: [] })).toBe('POL-301 line null')
    expect(run({ ...base, issuance: [permit] })).toBe('POL-301 line null')
    expect(run({ ...base, configuration: [write('add')] })).toBe('POL-301 line null')
    expect(run({ ...base, authorization: [write('issueproperty')] })).toBe('POL-301 line null')
  })

  it('cannot use what is not bound (POL-302)', () => {
    const copy: Rule = {
      conditions: [],
      action: { kind: 'issue', argument: { kind: 'copy', identifier: 'c', span }, span },
      span,
    }
    expect(run({ ...base, issuance: [copy] })).toBe('POL-302 line 7')
    const read: Rule = {
      conditions: [],
      action: {
        kind: 'add',
        argument: {
          kind: 'claim',
          type: text('a'),
          value: { kind: 'property', identifier: 'c', property: 'value', span },
        },
        span,
      },
      span,
    }
    expect(run({ ...base, authorization: [read] })).toBe('POL-302 line 7')
  })

  it('keep the limits of size (POL-602, POL-603)', () => {
    expect(run({ ...base, issuance: [write('add'), write('add')] }, { rules: 3 })).toEqual({})
    expect(run({ ...base, issuance: [write('add'), write('add')] }, { rules: 2 })).toBe('POL-602 line null')
    const test = { property: 'type', operator: '==', expression: text('a'), span } as const
    const condition = (tests: number) => ({
      negated: false,
      identifier: null,
      tests: Array.from({ length: tests }, () => test),
      span,
    })
    const rule = (conditions: number, tests: number): Policy => ({
      ...base,
      authorization: [permit, { ...permit, conditions: Array.from({ length: conditions }, () => condition(tests)) }],
    })
    expect(run(rule(32, 16))).toEqual({})
    expect(run(rule(33, 16))).toBe('POL-602 line null')
    expect(run(rule(32, 17))).toBe('POL-602 line null')
  })

  it('are prepared once and evaluated often, with the same result', () => {
    const prepared = new PreparedPolicy(
      policyFrom(policyText({ issuance: ['c:[type=="d"] => issue(type="r", value=JmesPath(c.value, "a"));'] })),
      { profile: 'attestd' },
    )
    const first = prepared.evaluate([service('d', '{"a":1}')])
    expect(outcome(first)).toEqual({ r: '1' })
    expect(outcome(prepared.evaluate([service('d', '{"a":2}')]))).toEqual({ r: '2' })
    expect(prepared.evaluate([service('d', '{"a":1}')])).toEqual(first)
  })
})
