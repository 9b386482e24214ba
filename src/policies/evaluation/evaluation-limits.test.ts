import { describe, expect, it } from 'vitest'
import { evaluate, issued, outcome, policyFrom, policyText, service } from '../../../test/support/policy-evaluations.ts'
import { evaluatePolicy } from './evaluate-policy.ts'

const any = { authorization: ['[] => permit();'] }

describe('claims (POL-606)', () => {
  it('come in at most 20 000', () => {
    const claims = Array.from({ length: 20_001 }, (_, at) => service(`t${at}`, at))
    expect(outcome(evaluate(any, claims.slice(1)))).toEqual({})
    expect(outcome(evaluate(any, claims))).toBe('POL-606 line null')
  })

  it('are at most as many in the working set as its limit', () => {
    const rule = '=> add(type="n", value=JsonToClaimValue("[1,2,3]"));'
    const limits = { workingClaims: 4 }
    expect(issued([rule], [service('a', 1)], { limits })).toEqual({})
    expect(issued([rule, rule], [service('a', 1)], { limits })).toEqual({})
    expect(issued([rule], [service('a', 1), service('b', 1)], { limits })).toBe('POL-606 line 6')
    expect(
      issued(
        [],
        ['a', 'b', 'c', 'd', 'e'].map((type) => service(type, 1)),
        { limits },
      ),
    ).toBe('POL-606 line null')
  })

  it('have Strings of at most so many bytes, not characters', () => {
    const limits = { stringBytes: 8 }
    expect(outcome(evaluate(any, [service('a', 'éééé')], { limits }))).toEqual({})
    expect(outcome(evaluate(any, [service('a', 'ééééx')], { limits }))).toBe('POL-606 line null')
    expect(outcome(evaluate(any, [service('a', '12345678')], { limits }))).toEqual({})
    expect(outcome(evaluate(any, [service('a', '123456789')], { limits }))).toBe('POL-606 line null')
  })

  it('take 16 MiB', () => {
    expect(outcome(evaluate(any, [service('a', 'x'.repeat(2 ** 24))]))).toEqual({})
    expect(outcome(evaluate(any, [service('a', 'x'.repeat(2 ** 24 + 1))]))).toBe('POL-606 line null')
  })
})

describe('results (POL-607)', () => {
  const doubling = 'a:[type=="a"] => issue(type="r", value=IsSubsetOf(AppendString(a.value, "é"), "x"));'

  it('of AppendString count in bytes', () => {
    const limits = { resultBytes: 6 }
    expect(issued([doubling], [service('a', 'xxxx')], { limits })).toEqual({ r: false })
    expect(issued([doubling], [service('a', 'xxxxx')], { limits })).toBe('POL-607 line 6')
  })

  it('of AppendString and JmesPath are at most 1 MiB', () => {
    expect(issued([doubling], [service('a', 'x'.repeat(2 ** 20 - 2))])).toEqual({ r: false })
    expect(issued([doubling], [service('a', 'x'.repeat(2 ** 20 - 1))])).toBe('POL-607 line 6')
    const text = 'a:[type=="a"] => issue(type="r", value=IsSubsetOf(JmesPath(a.value, "@"), "x"));'
    expect(issued([text], [service('a', `"${'x'.repeat(2 ** 20 - 2)}"`)])).toEqual({ r: false })
    expect(issued([text], [service('a', `"${'x'.repeat(2 ** 20 - 1)}"`)])).toBe('POL-607 line 6')
  })
})

describe('issued claims (POL-609)', () => {
  it('count as the JSON text of the token, at n and n + 1', () => {
    const rules = [
      '=> issue(type="b\\"c", value="é\\\\");',
      '=> issue(type="a", value=JsonToClaimValue("[1,true,\\"x\\",-9223372036854775808]"));',
      '=> issue(type="b\\"c", value=false);',
    ]
    const text = '{"a":[1,true,"x",-9223372036854775808],"b\\"c":["é\\\\",false]}'
    const bytes = new TextEncoder().encode(text).length
    expect(issued(rules, [], { limits: { issuedBytes: bytes } })).toEqual({
      a: [1n, true, 'x', -(2n ** 63n)],
      'b"c': ['é\\', false],
    })
    expect(issued(rules, [], { limits: { issuedBytes: bytes - 1 } })).toBe('POL-609 line 8')
    expect(issued([], [], { limits: { issuedBytes: 2 } })).toEqual({})
  })

  it('are at most 262 144 bytes', () => {
    const rule = 'a:[type=="a"] => issue(claim=a);'
    const [least] = ['{"a":""}'.length]
    expect(issued([rule], [service('a', 'x'.repeat(262_144 - least))])).toHaveProperty('a')
    expect(issued([rule], [service('a', 'x'.repeat(262_145 - least))])).toBe('POL-609 line 6')
  })
})

describe('steps (POL-608)', () => {
  const document = service('d', JSON.stringify({ n: Array.from({ length: 200 }, (_, at) => at) }))
  const rules = {
    authorization: ['[type=="d", value!="x"] => permit();'],
    issuance: ['d:[type=="d"] => issue(type="r", value=JmesPath(d.value, "length(n[?@ > `100`])"));'],
  }

  it('are the same in every run, traced or not, and end at n and n + 1', () => {
    const { steps } = evaluate(rules, [document])
    expect(evaluate(rules, [document]).steps).toBe(steps)
    expect(evaluate(rules, [document], { trace: true }).steps).toBe(steps)
    expect(outcome(evaluate(rules, [document], { limits: { steps } }))).toEqual({ r: '99' })
    expect(outcome(evaluate(rules, [document], { limits: { steps: steps - 1 } }))).toBe('POL-608 line 6')
  })

  it('count claims that are tested, and none of another type', () => {
    const tests = (rule: string, claims: number) => {
      const given = Array.from({ length: claims }, (_, at) => service(at % 2 === 0 ? 'even' : 'odd', at))
      return evaluate({ authorization: [rule] }, given).steps
    }
    expect(tests('[type=="even", value!=0] => permit();', 100)).toBe(50)
    expect(tests('[type!="even"] => permit();', 100)).toBe(100)
    expect(tests('[type=="none"] => permit();', 100)).toBe(0)
  })

  it('pay for Strings that are compared, and not for those that are only bound', () => {
    const steps = (rule: string) => evaluate({ issuance: [rule] }, [service('long', 'x'.repeat(32_000))]).steps
    const compared = steps(`[type=="long", value!="${'y'.repeat(16_000)}"] => add(type="r", value=1);`)
    expect(steps('c:[type=="long"] => add(type="r", value=1);')).toBe(compared)
    const same = evaluate({ issuance: [`[type=="long", value!="${'y'.repeat(16_000)}"] => add(type="r", value=1);`] }, [
      service('long', 'x'.repeat(16_000)),
    ])
    expect(same.steps - compared).toBe(500)
  })

  it('pay for a JSON text by its length, however few values it has', () => {
    const steps = (length: number) =>
      evaluate({ issuance: ['d:[type=="d"] => issue(type="r", value=JmesPath(d.value, "type(@)"));'] }, [
        service('d', `"${'x'.repeat(length)}"`),
      ]).steps
    expect(steps(40_000) - steps(0)).toBe(10_000)
  })

  it('bound a policy of tests without a type', () => {
    const policy = policyFrom(
      policyText({
        authorization: Array.from({ length: 500 }, (_, at) => `[value==${at}] && [value!=0] => permit();`),
      }),
    )
    const claims = Array.from({ length: 20_000 }, (_, at) => service(`t${at}`, at % 600))
    const evaluation = evaluatePolicy(policy, claims, { profile: 'attestd', limits: { steps: 1_000_000 } })
    expect(evaluation).toMatchObject({ verdict: 'error', error: { id: 'POL-608' } })
  })

  it('pay for queries that are computed by their length, and not for those in the text', () => {
    const computed = (length: number) => {
      const query = `length('${'x'.repeat(length)}')`
      return evaluate({ issuance: ['q:[type=="q"] => issue(type="r", value=JmesPath("1", q.value));'] }, [
        service('q', query),
      ]).steps
    }
    expect(computed(10_000) - computed(100)).toBeGreaterThan(9900)
    const literal = (length: number) =>
      evaluate({ issuance: [`=> issue(type="r", value=JmesPath("1", "'${'x'.repeat(length)}' == 'x'"));`] }).steps
    expect(literal(10_000) - literal(100)).toBeLessThan(400)
  })

  it('count a document once, however often it is asked', () => {
    const ask = (times: number) =>
      evaluate(
        {
          issuance: Array.from(
            { length: times },
            (_, at) => `d:[type=="d"] => issue(type="r${at}", value=JmesPath(d.value, "n[${at}]"));`,
          ),
        },
        [document],
      ).steps
    expect(ask(20) - ask(10)).toBe(ask(30) - ask(20))
    expect(ask(20)).toBeLessThan(2 * ask(10))
  })
})

describe('documents that were read (POL-606)', () => {
  it('are kept while they are no longer together than one String may be', () => {
    const claims = ['a', 'b'].map((type) => service(type, `["${type.repeat(600)}",1,2,3]`))
    const rules = Array.from(
      { length: 20 },
      (_, at) => `d:[type=="${'ab'.charAt(at % 2)}"] => issue(type="r${at}", value=JmesPath(d.value, "[1]"));`,
    )
    const steps = (stringBytes: number) => evaluate({ issuance: rules }, claims, { limits: { stringBytes } }).steps
    const lengths = claims.map(({ value }) => String(value).length)
    const both = lengths.reduce((sum, length) => sum + length, 0)
    expect(steps(both)).toBe(steps(2 ** 24))
    expect(steps(both - 1)).toBeGreaterThan(steps(both) + 18 * 5)
  })
})

describe('ten thousand rules on ten thousand claims', () => {
  const rules = Array.from(
    { length: 8000 },
    (_, at) => `c:[type=="t${at}", value=="v${at}"] => add(type="x${at}", value=c.value);`,
  )
  const limits = { rules: 8192, textBytes: 2 ** 20 }
  const policy = policyFrom(policyText({ authorization: ['=> permit();', ...rules] }), limits)

  it.each([
    ['of as many types', (at: number) => service(`t${at}`, `v${at}`)],
    ['of one type', (at: number) => service('t0', `v${at}`)],
  ])('%s take few steps', (_, claim) => {
    const claims = Array.from({ length: 10_000 }, (__, at) => claim(at))
    const { verdict, steps } = evaluatePolicy(policy, claims, { profile: 'attestd', limits })
    expect(verdict).toBe('permit')
    expect(steps).toBeLessThan(100_000)
  })
})

/** Undoes what V8 makes of the 64 bits of a BigInt to find its place in a Map: 30 bits that hold no secret. */
function integersInOnePlace(count: number): bigint[] {
  const bits = (value: bigint) => BigInt.asUintN(64, value)
  const inverse = (odd: bigint) => Array.from({ length: 6 }).reduce<bigint>((x) => bits(x * (2n - odd * x)), 1n)
  const unshifted = (hash: bigint, by: bigint) =>
    Array.from({ length: 7 }).reduce<bigint>((x) => hash ^ (x >> by), hash)
  const [by65, by21, byShift] = [inverse(65n), inverse(21n), inverse(2n ** 18n - 1n)]
  const found: bigint[] = []
  for (let high = 1n; found.length < count; high++) {
    const third = unshifted(bits(unshifted((high << 30n) | 5n, 22n) * by65), 11n)
    const integer = bits((unshifted(bits(third * by21), 31n) + 1n) * byShift)
    if (integer < 2n ** 63n) found.push(integer)
  }
  return found
}

describe('Integers that were chosen for one place in a table', () => {
  const integers = integersInOnePlace(12_000)
  const claims = [service('d', `[${integers.join(',')}]`)]

  it.each([
    ['a set', 'd:[type=="d"] => add(type="n", value=JsonToClaimValue(d.value));', {}],
    ['a token', 'd:[type=="d"] => issue(type="n", value=JsonToClaimValue(d.value));', { n: integers }],
    [
      'a comparison of sets',
      'd:[type=="d"] => issue(type="r", value=IsSubsetOf(JsonToClaimValue(d.value), JsonToClaimValue(d.value)));',
      { r: true },
    ],
  ])('do not stall %s (POL-608)', { timeout: 2000 }, (_, rule, token) => {
    expect(issued([rule], claims)).toEqual(token)
  })

  it('count twice, for they are written out wherever values are told apart (POL-608)', () => {
    const steps = (rule: string, value: (at: number) => string | number) =>
      evaluate(
        { issuance: [rule] },
        Array.from({ length: 100 }, (_, at) => service('n', value(at))),
      ).steps
    const more = (rule: string) => steps(rule, (at) => at) - steps(rule, (at) => `${at}`)
    expect(more('c:[type=="n"] => add(claim=c);')).toBe(100)
    expect(more('c:[type=="n"] => add(type="m", value=c.value);')).toBe(200)
    expect(more('c:[type=="n"] => add(type="m", value=IsSubsetOf(c.value, c.value));')).toBe(400)
    expect(more('c:[type=="n"] => add(type="m", value=c.valueType);')).toBe(0)
  })

  it('are other values than their texts (POL-401)', () => {
    const mixed = service('d', '[1,"1",2,"2",true,"true",1,"1"]')
    expect(issued(['d:[type=="d"] => issue(type="n", value=JsonToClaimValue(d.value));'], [mixed])).toEqual({
      n: [1n, '1', 2n, '2', true, 'true'],
    })
  })
})
