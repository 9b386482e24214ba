import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CallerRuleOptions, CallerRulesError, parseCallerRules } from './caller-rules.ts'

const allow = { methods: ['token'], audiences: ['https://a.example'] }
const rule = (parts: object = {}) => ({ id: 'r', match: { uid: 1001 }, allow, ...parts })

function refused(value: unknown, options: CallerRuleOptions = {}): CallerRulesError {
  try {
    parseCallerRules(value, options)
  } catch (error) {
    if (error instanceof CallerRulesError) return error
    throw error
  }
  throw new Error('accepted')
}

describe('caller rules', () => {
  it('reads the example of the specification', () => {
    const { rules } = parseCallerRules([
      {
        id: 'payments',
        match: { unit: 'payments.service', uid: 1001 },
        allow: {
          methods: ['token', 'jwks', 'explain'],
          audiences: ['https://sts.example', { prefix: 'https://rp.example/' }],
          token_types: ['OIDC'],
          issuers: ['local'],
          nonce: 'allow',
          fresh: false,
          ttl_s_max: 900,
          min_valid_s_max: 600,
          rate: { per_min: 120, burst: 40 },
        },
      },
    ])
    expect(rules).toEqual([
      {
        id: 'payments',
        match: { uid: [1001], gid: null, unit: ['payments.service'], slice: null, container: null, listener: null },
        allow: {
          methods: ['token', 'jwks', 'explain'],
          audiences: [{ exact: 'https://sts.example' }, { prefix: 'https://rp.example/' }],
          tokenTypes: ['OIDC'],
          issuers: ['local'],
          nonce: 'allow',
          fresh: false,
          ttlMaxS: 900,
          minValidMaxS: 600,
          rawMaxBytes: 48,
          domains: [],
          measureBytesMax: 131_072,
        },
        rate: { perMin: 120, burst: 40, raise: false },
      },
    ])
  })

  it('defaults to the least: no nonce, not fresh, OIDC from the default issuer, 900 s', () => {
    const [only] = parseCallerRules([{ id: 'r', match: { uid: 1 }, allow: { methods: ['token'] } }], {
      defaultIssuer: 'remote',
    }).rules
    expect(only?.allow).toEqual({
      methods: ['token'],
      audiences: [],
      tokenTypes: ['OIDC'],
      issuers: ['remote'],
      nonce: 'forbid',
      fresh: false,
      ttlMaxS: null,
      minValidMaxS: 900,
      rawMaxBytes: 48,
      domains: [],
      measureBytesMax: 131_072,
    })
  })

  it.each<[string, unknown, string]>([
    ['no list', { rules: [] }, 'rules: '],
    ['unknown member of a rule (API-70)', [rule({ alow: {} })], 'rules[0].alow: is not a member'],
    ['unknown selector (API-70)', [rule({ match: { user: 1 } })], 'rules[0].match.user: is not a member'],
    [
      'unknown right (API-70)',
      [rule({ allow: { ...allow, audience: ['x'] } })],
      'rules[0].allow.audience: is not a member',
    ],
    [
      'unknown member of a rate (API-70)',
      [rule({ allow: { ...allow, rate: { per_s: 1 } } })],
      'rules[0].allow.rate.per_min',
    ],
    ['empty match (API-60)', [rule({ match: {} })], 'rules[0].match: is empty'],
    ['empty list of uids (API-60)', [rule({ match: { uid: [] } })], 'rules[0].match.uid: '],
    ['missing match', [{ id: 'r', allow }], 'rules[0].match: is missing'],
    ['missing methods', [rule({ allow: {} })], 'rules[0].allow.methods: is missing'],
    ['no methods', [rule({ allow: { methods: [] } })], 'rules[0].allow.methods: '],
    ['unknown method (API-62)', [rule({ allow: { methods: ['token', 'tokens'] } })], 'rules[0].allow.methods[1]: '],
    ['prefix of a name', [withAudience({ prefix: 'https://rp.example' })], 'audiences[0].prefix: must end in'],
    ['prefix of a domain', [withAudience({ prefix: 'https://rp.example.' })], 'audiences[0].prefix: must end in'],
    ['prefix with a blank', [withAudience({ prefix: 'https://rp.example/ ' })], 'audiences[0].prefix: must end in'],
    ['prefix with a new line', [withAudience({ prefix: 'https://rp.example/\n' })], 'audiences[0].prefix: must end in'],
    ['empty prefix', [withAudience({ prefix: '' })], 'audiences[0].prefix: must end in'],
    ['unknown pattern', [withAudience({ suffix: '/' })], 'audiences[0].prefix: is missing'],
    ['prefix and more', [withAudience({ prefix: 'a/', suffix: '/' })], 'audiences[0].suffix: is not a member'],
    ['number as audience', [withAudience(7)], 'rules[0].allow.audiences[0]: '],
    ['empty audience', [withAudience('')], 'rules[0].allow.audiences[0]: '],
    ['uid below zero', [rule({ match: { uid: -1 } })], 'rules[0].match.uid: '],
    ['uid in a list', [rule({ match: { uid: [1, 1.5] } })], 'rules[0].match.uid[1]: '],
    ['uid -1 as unsigned', [rule({ match: { uid: 0xffff_ffff } })], 'rules[0].match.uid: '],
    ['unit without type', [rule({ match: { unit: 'payments' } })], 'rules[0].match.unit: must be a unit name'],
    ['unit with a star', [rule({ match: { unit: '*.service' } })], 'rules[0].match.unit: must be a unit name'],
    ['unit in a list', [rule({ match: { unit: ['a.service', 'a/b.service'] } })], 'rules[0].match.unit[1]: must be'],
    ['slice', [rule({ match: { slice: 'machine' } })], 'rules[0].match.slice: must end in .slice'],
    ['short container', [rule({ match: { container: 'ab' } })], 'rules[0].match.container: must be 64'],
    ['listener', [rule({ match: { listener: 'any' } })], 'rules[0].match.listener: must be'],
    ['id', [rule({ id: 'a b' })], 'rules[0].id: must be'],
    ['id twice', [rule(), rule()], 'rules[1].id: r is the id of another rule'],
    ['id of the built-in rule', [rule({ id: 'default' })], 'rules[0].id: default is the id'],
    ['unknown user', [rule({ match: { uid: 'nobody-here' } })], 'rules[0].match.uid: nobody-here is a name'],
    ['nonce', [rule({ allow: { ...allow, nonce: true } })], 'rules[0].allow.nonce: '],
    ['fresh as text', [rule({ allow: { ...allow, fresh: 'false' } })], 'rules[0].allow.fresh: '],
    ['ttl too short', [rule({ allow: { ...allow, ttl_s_max: 59 } })], 'rules[0].allow.ttl_s_max: '],
    [
      'a share of the log',
      [rule({ allow: { ...allow, measure_bytes_max: 1023 } })],
      'rules[0].allow.measure_bytes_max: ',
    ],
    ['raw bytes', [rule({ allow: { ...allow, raw_max_bytes: 65 } })], 'rules[0].allow.raw_max_bytes: '],
    [
      'prototype',
      [JSON.parse('{"id":"r","match":{"uid":1},"allow":{"methods":["token"]},"__proto__":{}}')],
      '__proto__',
    ],
  ])('refuses %s', (_, value, says) => {
    expect(refused(value).message).toContain(says)
  })

  it('says all that is wrong, each with its path', () => {
    const { problems, message } = refused([
      rule({ match: {} }),
      rule({ id: 'x', allow: { ...allow, fresh: 1, foo: 2 } }),
    ])
    expect(problems.map(({ path }) => path)).toEqual([
      [0, 'match'],
      [1, 'allow', 'fresh'],
      [1, 'allow', 'foo'],
    ])
    expect(message).toContain('2 more')
  })

  it('resolves names of users and groups once, and refuses those that nobody has (API-52)', () => {
    const options: CallerRuleOptions = {
      resolveUser: (name) => (name === 'payments' ? 1001 : null),
      resolveGroup: (name) => (name === 'wheel' ? 10 : null),
    }
    const [only] = parseCallerRules([rule({ match: { uid: ['payments', 7], gid: 'wheel' } })], options).rules
    expect(only?.match).toMatchObject({ uid: [1001, 7], gid: [10] })
    expect(refused([rule({ match: { gid: 'payments' } })], options).path).toBe('rules[0].match.gid')
  })

  it.each(['/', ':', '#'])('takes a prefix that ends in %s', (end) => {
    expect(parseCallerRules([withAudience({ prefix: `a${end}` })]).rules[0]?.allow.audiences).toEqual([
      { prefix: `a${end}` },
    ])
  })

  it('answers every value with a policy or with problems, and nothing else', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        try {
          parseCallerRules(value)
        } catch (error) {
          expect(error).toBeInstanceOf(CallerRulesError)
        }
      }),
      { numRuns: 1000 },
    )
  })
})

function withAudience(audience: unknown): object {
  return rule({ allow: { methods: ['token'], audiences: [audience] } })
}
