import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { requireEntrypoints } from './entrypoints.ts'
import { joinEvaluations, type RegoEvaluation } from './rego-evaluation.ts'
import { longestResult, type RegoEntrypoint, type ResultRules, readRegoResults } from './rego-results.ts'
import { judgeTrust, type TrustName, tierOf, trustNames, usuallyRequired } from './trust-claims.ts'

const rules: ResultRules = { required: ['hardware'], profile: 'attestd' }
const set = (value: unknown) => JSON.stringify([{ result: value }])

function read(results: Partial<Record<RegoEntrypoint, string>>, given = rules): RegoEvaluation {
  return readRegoResults(new Map(Object.entries(results) as [RegoEntrypoint, string][]), given)
}

const trusting = (claims: object, given = rules) => read({ 'policy/trust_claims': set(claims) }, given)

function shown(evaluation: RegoEvaluation): string {
  if (evaluation.verdict === 'error') return `${evaluation.error.id}: ${evaluation.error.message}`
  return evaluation.verdict === 'deny' ? evaluation.reason : 'permit'
}

describe('tiers of a trust vector (POL-964)', () => {
  it.each<[number, string]>([
    [0, 'none'],
    [1, 'none'],
    [2, 'affirming'],
    [31, 'affirming'],
    [32, 'warning'],
    [95, 'warning'],
    [96, 'contraindicated'],
    [127, 'contraindicated'],
  ])('±%i is %s', (value, tier) => {
    expect([tierOf(value), tierOf(-value)]).toEqual([tier, tier])
  })

  it.each([128, -128, 0.5, 2.5, Number.NaN, Number.POSITIVE_INFINITY, '2', true, null, [2], {}])(
    '%j is none of them',
    (value) => {
      expect(tierOf(value)).toBeNull()
      if (typeof value !== 'number' || Number.isFinite(value)) {
        expect(shown(trusting({ hardware: value }))).toBe('POL-964: hardware is no integer from -127 to 127')
      }
    },
  )

  it('permits iff nothing warns and everything that is required affirms', () => {
    const claims = fc.dictionary(fc.constantFrom(...trustNames), fc.integer({ min: -127, max: 127 }))
    fc.assert(
      fc.property(claims, fc.subarray([...trustNames]), (values, required) => {
        const magnitudes = Object.entries(values).map(([name, value]) => [name, Math.abs(value)] as const)
        const warns = magnitudes.some(([, magnitude]) => magnitude >= 32)
        const affirms = (name: TrustName) => magnitudes.some(([one, size]) => one === name && size >= 2 && size <= 31)
        const expected = warns ? 'deny-rule' : required.every(affirms) ? 'permit' : 'no-permit'
        expect(shown(trusting(values, { ...rules, required }))).toBe(expected)
      }),
    )
  })

  it('requires what the specification says where nothing else is said', () => {
    expect(usuallyRequired('cpu')).toEqual(['hardware', 'executables', 'configuration'])
    for (const one of ['gpu', 'switch', 'ppcie'] as const) expect(usuallyRequired(one)).toEqual(['hardware'])
    expect(judgeTrust([], [])).toBe('permit')
  })

  it.each(['Hardware', 'hardware ', '__proto__', 'constructor', 'file_system', ''])('refuses the name %j', (name) => {
    const text = `[{"result":{"hardware":2,${JSON.stringify(name)}:2}}]`
    expect(shown(read({ 'policy/trust_claims': text }))).toBe(
      `POL-964: policy/trust_claims has the unknown name ${JSON.stringify(name)}`,
    )
  })
})

describe('result sets that are not what they should be (POL-961)', () => {
  it.each<[string, RegExp]>([
    ['', /ends too early/],
    ['{', /POL-961/],
    ['null', /no result set/],
    ['{}', /no result set/],
    ['[]', /is undefined for this evidence/],
    ['[{}]', /another form/],
    ['[null]', /another form/],
    ['[{"expressions":[]}]', /another form/],
    ['[{"result":{"hardware":2}},{"result":{"hardware":2}}]', /another form/],
    ['[{"result":null}]', /POL-964: policy\/trust_claims is no object/],
    ['[{"result":[]}]', /is no object/],
    ['[{"result":{"hardware":2,"hardware":2}}]', /duplicate member/],
    [`[{"result":${'['.repeat(20)}${']'.repeat(20)}}]`, /nested deeper/],
  ])('%s', (text, says) => {
    expect(shown(read({ 'policy/trust_claims': text }))).toMatch(says)
  })

  it('are errors above 262144 characters (POL-609)', () => {
    const padded = (length: number) => `[{"result":{"hardware":2}}]${' '.repeat(length - 27)}`
    expect(shown(read({ 'policy/trust_claims': padded(longestResult) }))).toBe('permit')
    expect(shown(read({ 'policy/trust_claims': padded(longestResult + 1) }))).toMatch(/^POL-609/)
  })

  it('never make an exception or a permit, whatever text they are', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), fc.jsonValue().map(set)), (text) => {
        expect(read({ 'policy/trust_claims': text }).verdict).not.toBe('permit')
        expect(read({ 'policy/trust_claims': set({ hardware: 97 }), 'policy/extensions': text }).verdict).not.toBe(
          'permit',
        )
      }),
    )
  })
})

describe('policy/extensions (POL-964)', () => {
  const extended = (...extensions: unknown[]) =>
    read({ 'policy/trust_claims': set({ hardware: 2 }), 'policy/extensions': set(extensions) })

  it('become members of the token, sorted, without prototype, and claims that were added', () => {
    const evaluation = extended(
      { name: 'b', key: -70_001, value: ['x', 1, true, 'x'] },
      { name: 'a', key: 1, value: 'text' },
      { name: 'constructor', key: 2, value: 9_007_199_254_740_991 },
    )
    expect(evaluation).toMatchObject({ verdict: 'permit' })
    const token = 'token' in evaluation ? evaluation.token : {}
    expect(Object.entries(token)).toEqual([
      ['a', 'text'],
      ['b', ['x', 1n, true]],
      ['constructor', 9_007_199_254_740_991n],
    ])
    expect(Object.getPrototypeOf(token)).toBeNull()
    expect(evaluation.added.map(({ type, value }) => [type, value])).toEqual([
      ['trust_claims.hardware', 2n],
      ['b', 'x'],
      ['b', 1n],
      ['b', true],
      ['a', 'text'],
      ['constructor', 9_007_199_254_740_991n],
    ])
  })

  it.each<[unknown, RegExp]>([
    [{ name: 'a', key: 1 }, /members are not name, key and value/],
    [{ name: 'a', key: 1, value: 1, more: 1 }, /members are not/],
    ['a', /members are not/],
    [{ name: '', key: 1, value: 1 }, /without a name/],
    [{ name: 'x'.repeat(257), key: 1, value: 1 }, /without a name/],
    [{ name: '\ud800', key: 1, value: 1 }, /without a name/],
    [{ name: 1, key: 1, value: 1 }, /without a name/],
    [{ name: 'a', key: '1', value: 1 }, /key that is no integer/],
    [{ name: 'a', key: 1.5, value: 1 }, /key that is no integer/],
    [{ name: 'a', key: 1, value: null }, /no text, integer or Boolean/],
    [{ name: 'a', key: 1, value: 0.5 }, /no text, integer or Boolean/],
    [{ name: 'a', key: 1, value: 2 ** 53 }, /no text, integer or Boolean/],
    [{ name: 'a', key: 1, value: { b: 1 } }, /no text, integer or Boolean/],
    [{ name: 'a', key: 1, value: '\udc00x' }, /no text, integer or Boolean/],
    [{ name: 'a', key: 1, value: [] }, /has no value/],
    [{ name: 'a', key: 1, value: [[1]] }, /no text, integer or Boolean/],
    [{ name: 'sub', key: 1, value: 'root' }, /^POL-427: sub is reserved/],
    [JSON.parse('{"name":"__proto__","key":1,"value":1}'), /^POL-427/],
  ])('%j is an error', (extension, says) => {
    expect(shown(extended(extension))).toMatch(says)
  })

  it('have the reserved names of their profile', () => {
    const issued = (profile: ResultRules['profile']) =>
      shown(
        read(
          {
            'policy/trust_claims': set({ hardware: 2 }),
            'policy/extensions': set([{ name: 'tee', key: 1, value: 'tdx' }]),
          },
          { ...rules, profile },
        ),
      )
    expect(issued('attestd')).toBe('POL-427: tee is reserved and cannot be issued')
    expect(issued('maa')).toBe('permit')
  })

  it('have each name once, are an array, and at most 256', () => {
    const one = (name: string) => ({ name, key: 1, value: 1 })
    expect(shown(extended(one('a'), one('a')))).toMatch(/has a name twice/)
    const many = (count: number) => extended(...Array.from({ length: count }, (_, at) => one(`n${at}`)))
    expect(shown(many(256))).toBe('permit')
    expect(shown(many(257))).toMatch(/has 257 items/)
    expect(shown(read({ 'policy/trust_claims': set({ hardware: 2 }), 'policy/extensions': set({}) }))).toMatch(
      /no array/,
    )
    expect(shown(read({ 'policy/trust_claims': set({ hardware: 2 }), 'policy/extensions': '[]' }))).toMatch(/undefined/)
  })

  it('are in no token of a denial', () => {
    const denied = read({
      'policy/trust_claims': set({ hardware: 97 }),
      'policy/extensions': set([{ name: 'a', key: 1, value: 1 }]),
    })
    expect(denied).toMatchObject({ verdict: 'deny', reason: 'deny-rule' })
    expect(denied).not.toHaveProperty('token')
  })
})

describe('policy/allow (POL-964)', () => {
  it('decides alone, and only as a Boolean', () => {
    expect(shown(read({ 'policy/allow': set(true) }))).toBe('permit')
    expect(shown(read({ 'policy/allow': set(false) }))).toBe('no-permit')
    for (const value of [1, 'true', null, {}]) expect(shown(read({ 'policy/allow': set(value) }))).toMatch(/no Boolean/)
    expect(shown(read({ 'policy/allow': '[]' }))).toMatch(/^POL-961/)
  })

  it('must permit as well where there is a trust vector', () => {
    const both = (allow: boolean, hardware: number) =>
      shown(read({ 'policy/allow': set(allow), 'policy/trust_claims': set({ hardware }) }))
    expect(both(true, 2)).toBe('permit')
    expect(both(false, 2)).toBe('no-permit')
    expect(both(true, 97)).toBe('deny-rule')
    expect(both(false, 97)).toBe('deny-rule')
  })

  it('nothing at all permits nothing', () => expect(shown(read({}))).toBe('no-permit'))
})

describe('entrypoints that are asked (POL-960)', () => {
  const asked = (module: readonly string[], named: readonly RegoEntrypoint[] | null = null) => {
    try {
      return requireEntrypoints({ module, manifest: null }, named).join()
    } catch (error) {
      return String(error)
    }
  }

  it('are those of ours that the policy has', () => {
    expect(asked(['policy/extensions', 'policy/other', 'policy/trust_claims'])).toBe(
      'policy/trust_claims,policy/extensions',
    )
    expect(asked(['policy/allow'])).toBe('policy/allow')
    expect(asked(['policy/allow', 'policy/trust_claims'])).toBe('policy/trust_claims,policy/allow')
  })

  it('are those that are named, where any are', () => {
    const all = ['policy/extensions', 'policy/allow', 'policy/trust_claims']
    expect(asked(all, ['policy/trust_claims'])).toBe('policy/trust_claims')
    expect(asked(all, ['policy/allow'])).toBe('policy/allow')
    expect(asked(['policy/trust_claims'], ['policy/trust_claims', 'policy/allow'])).toMatch(
      /the configuration names policy\/allow/,
    )
    expect(asked(all, ['policy/extensions'])).toMatch(/no entrypoint policy\/trust_claims/)
    expect(asked(all, [])).toMatch(/no entrypoint policy\/trust_claims/)
  })

  it('are not policy/allow beside something else, without a trust vector', () => {
    expect(asked(['policy/allow', 'policy/extensions'])).toMatch(/policy\/allow is not its only one/)
    expect(asked([])).toMatch(/no entrypoint/)
    expect(asked(['policy/trust_claims/'])).toMatch(/no entrypoint/)
  })
})

describe('one verdict of several devices', () => {
  const extended = (value: unknown, name = 'a') =>
    read({
      'policy/trust_claims': set({ hardware: 2 }),
      'policy/extensions': set([{ name, key: 1, value }]),
    })

  it('permits if all permit and agree (POL-429)', () => {
    const joined = joinEvaluations([extended('x'), extended('x'), trusting({ hardware: 3 })])
    expect(joined).toMatchObject({ verdict: 'permit', token: { a: 'x' } })
    expect(joined.trust.map(({ value }) => value)).toEqual([2, 2, 3])
    expect(shown(joinEvaluations([extended('x'), extended('y')]))).toMatch(
      /^POL-429: devices get different values of "a"/,
    )
    expect(shown(joinEvaluations([extended('1'), extended(1)]))).toMatch(/^POL-429/)
    expect(shown(joinEvaluations([extended(['x', 'y']), extended(['x', 'y'])]))).toBe('permit')
  })

  it('has the members of all, sorted, without prototype (POL-419)', () => {
    const joined = joinEvaluations([extended('x', 'b'), extended('y', 'a'), extended('z', 'toString')])
    const token = 'token' in joined ? joined.token : {}
    expect(Object.entries(token)).toEqual([
      ['a', 'y'],
      ['b', 'x'],
      ['toString', 'z'],
    ])
    expect(Object.getPrototypeOf(token)).toBeNull()
  })

  it('is an error before it is a denial, and a denial before it permits', () => {
    const [permit, deny, error] = [extended('x'), trusting({ hardware: 97 }), trusting({ hardware: 'x' })]
    expect(joinEvaluations([permit, deny]).verdict).toBe('deny')
    expect(joinEvaluations([permit, deny, error]).verdict).toBe('error')
    expect(joinEvaluations([permit]).verdict).toBe('permit')
    expect(() => joinEvaluations([])).toThrow(TypeError)
  })
})
