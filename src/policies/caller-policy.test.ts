import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CallerIdentity } from './caller-identity.ts'
import {
  type CallerPolicy,
  type CallerRequest,
  callerMethods,
  callerRequest,
  type Decision,
  type DenialDimension,
  decide,
  raisedRate,
} from './caller-policy.ts'
import { parseCallerRules } from './caller-rules.ts'

const caller = (parts: Partial<CallerIdentity> = {}): CallerIdentity => ({
  identity: 'pidfd',
  pid: 4711,
  uid: 1001,
  gid: 1001,
  groups: [],
  unit: 'payments.service',
  slice: 'system.slice',
  container: null,
  listener: 'api',
  ...parts,
})

const token = (parts: Partial<Omit<CallerRequest, 'method'>> = {}): CallerRequest =>
  callerRequest('token', { audience: ['https://a.example'], tokenType: 'OIDC', issuer: 'local', ...parts })

const allowToken = { methods: ['token'], audiences: ['https://a.example'] }
const rule = (match: object, allow: object = allowToken, id = 'r') => ({ id, match, allow })
const policyOf = (...rules: object[]): CallerPolicy => parseCallerRules(rules)

const shown = (decision: Decision) =>
  decision.allowed ? `allowed by ${decision.rule.id}` : `${decision.code} ${decision.dimension}`

describe('who a rule is about (API-48 to API-55, API-60)', () => {
  const container = 'ab'.repeat(32)
  const matches = (match: object, parts: Partial<CallerIdentity> = {}) =>
    decide(policyOf(rule(match)), caller(parts), token()).allowed

  it.each<[object, Partial<CallerIdentity>, boolean]>([
    [{ uid: 1001 }, {}, true],
    [{ uid: 1002 }, {}, false],
    [{ uid: [7, 1001] }, {}, true],
    [{ uid: 0 }, { uid: 0 }, true],
    [{ gid: 1001 }, {}, true],
    [{ gid: 20 }, { groups: [10, 20] }, true],
    [{ gid: 30 }, { groups: [10, 20] }, false],
    [{ unit: 'payments.service' }, {}, true],
    [{ unit: 'payments.service' }, { unit: 'Payments.service' }, false],
    [{ unit: 'payments.service' }, { unit: null }, false],
    [{ unit: 'worker@3.service' }, { unit: 'worker@3.service' }, true],
    [{ unit: 'worker@3.service' }, { unit: 'worker@33.service' }, false],
    [{ unit: 'worker@.service' }, { unit: 'worker@3.service' }, true],
    [{ unit: 'worker@.service' }, { unit: 'worker@.service' }, true],
    [{ unit: 'worker@.service' }, { unit: 'worker.service' }, false],
    [{ unit: 'worker@.service' }, { unit: 'coworker@3.service' }, false],
    [{ unit: 'worker@.service' }, { unit: 'worker@3.socket' }, false],
    [{ unit: 'worker@.service' }, { unit: 'worker@3.service.scope' }, false],
    [{ slice: 'machine.slice' }, { slice: 'machine.slice' }, true],
    [{ slice: 'machine.slice' }, {}, false],
    [{ container }, { container }, true],
    [{ container }, {}, false],
    [{ listener: 'api' }, {}, true],
    [{ listener: 'admin' }, {}, false],
    [{ uid: 1001, unit: 'other.service' }, {}, false],
    [{ uid: 1001, unit: 'payments.service', listener: 'api', gid: 1001, slice: 'system.slice' }, {}, true],
  ])('%j about %j: %s', (match, parts, expected) => {
    expect(matches(match, parts)).toBe(expected)
  })

  it('never believes a unit of uid 0 unless the rule names uid 0 (API-53)', () => {
    expect(matches({ unit: 'payments.service' }, { uid: 0 })).toBe(false)
    expect(matches({ unit: 'payments.service', uid: 1001 }, { uid: 0 })).toBe(false)
    expect(matches({ unit: 'payments.service', uid: 0 }, { uid: 0 })).toBe(true)
    expect(matches({ unit: 'payments.service', uid: [0, 1001] }, { uid: 0 })).toBe(true)
    expect(matches({ unit: 'payments.service' }, { uid: null })).toBe(false)
  })

  it('never matches an unmapped uid, whatever the rule says (API-49)', () => {
    for (const match of [{ uid: 65_534 }, { listener: 'api' }, { unit: 'payments.service' }, { gid: 1001 }]) {
      expect(shown(decide(policyOf(rule(match)), caller({ uid: 65_534 }), token()))).toBe('caller_unidentified caller')
    }
    const elsewhere = parseCallerRules([rule({ uid: 65_534 })], { unmapped: { uid: 99, gid: 99 } })
    expect(decide(elsewhere, caller({ uid: 65_534 }), token()).allowed).toBe(true)
    expect(decide(elsewhere, caller({ uid: 99 }), token()).allowed).toBe(false)
  })

  it('never matches an unmapped group, primary or supplementary (API-49)', () => {
    expect(matches({ gid: 65_534 }, { gid: 65_534 })).toBe(false)
    expect(matches({ gid: 65_534 }, { groups: [65_534] })).toBe(false)
    expect(matches({ uid: 1001 }, { groups: [65_534] })).toBe(true)
  })

  it('believes only uid and gid of a peer in a process namespace that we cannot see (API-48)', () => {
    const hidden = { pid: 0, unit: null, slice: null }
    expect(matches({ uid: 1001 }, hidden)).toBe(true)
    expect(matches({ uid: 1001, gid: 1001 }, hidden)).toBe(true)
    expect(matches({ uid: 1001, listener: 'api' }, hidden)).toBe(false)
    expect(matches({ uid: 1001, unit: 'payments.service' }, { pid: 0 })).toBe(false)
    expect(shown(decide(policyOf(rule({ listener: 'api' })), caller(hidden), token()))).toBe(
      'caller_unidentified caller',
    )
  })

  it('believes of a caller over TCP its uid only, which the listener may narrow (API-54)', () => {
    const over = { identity: 'tcp-uid', pid: 0, gid: null, unit: null, slice: null, listener: 'tcp:github' } as const
    expect(matches({ uid: 1001 }, over)).toBe(true)
    expect(matches({ uid: 1002 }, over)).toBe(false)
    expect(matches({ uid: 1001, listener: 'tcp:github' }, over)).toBe(true)
    expect(matches({ uid: 1001, listener: ['api', 'tcp:gcp'] }, over)).toBe(false)
    expect(matches({ listener: 'tcp:github' }, over)).toBe(false)
    expect(matches({ uid: 1001, gid: 1001 }, { ...over, gid: 1001 })).toBe(false)
    expect(matches({ gid: 1001 }, { ...over, gid: 1001 })).toBe(false)
    expect(matches({ uid: 1001, unit: 'payments.service' }, { ...over, unit: 'payments.service' })).toBe(false)
    expect(matches({ uid: 65_534 }, { ...over, uid: 65_534 })).toBe(false)
    const without = caller({ ...over, uid: null })
    expect(shown(decide(policyOf(rule({ uid: 1001 })), without, token()))).toBe('caller_unidentified caller')
    const other = caller({ ...over, uid: 1002 })
    expect(shown(decide(policyOf(rule({ uid: 1001 })), other, token()))).toBe('policy_denied caller')
  })

  it('says that a caller without a uid is unidentified, whatever else is known of it', () => {
    const nobody = caller({ uid: null, gid: null, unit: null })
    expect(shown(decide(policyOf(rule({ uid: 1001 })), nobody, token()))).toBe('caller_unidentified caller')
  })

  it('never takes a rule without selectors for one about everybody (API-60)', () => {
    const [made] = policyOf(rule({ uid: 1001 })).rules
    const match = { uid: null, gid: null, unit: null, slice: null, container: null, listener: null }
    const policy = { ...policyOf(), rules: made ? [{ ...made, match }] : [] }
    expect(shown(decide(policy, caller(), token()))).toBe('policy_denied caller')
    expect(shown(decide(policy, caller({ uid: 0 }), token()))).toBe('policy_denied caller')
  })

  it('believes only the listener where the kernel cannot be asked (API-55)', () => {
    const blind = { identity: 'socket', pid: 0, uid: null, gid: null, unit: null, slice: null } as const
    expect(matches({ listener: 'api' }, blind)).toBe(true)
    expect(matches({ listener: 'api', uid: 1001 }, blind)).toBe(false)
    expect(matches({ listener: 'api', uid: 1001 }, { ...blind, uid: 1001 })).toBe(false)
    expect(shown(decide(policyOf(rule({ uid: 1001 })), caller(blind), token()))).toBe('policy_denied caller')
  })
})

describe('what a rule allows (API-61 to API-66)', () => {
  const bytes = (length: number, tail = '') => {
    const data = new Uint8Array(length).fill(7)
    data.set(new TextEncoder().encode(tail), 48)
    return data
  }
  const raw = (rawReportData: Uint8Array) => callerRequest('raw_report_data', { rawReportData })
  const rawRule = { methods: ['raw_report_data'], raw_max_bytes: 64 }

  it.each<[string, object, CallerRequest, string]>([
    ['exact audience', {}, token(), 'allowed by r'],
    ['other case', {}, token({ audience: ['https://A.example'] }), 'policy_denied audience'],
    ['trailing slash', {}, token({ audience: ['https://a.example/'] }), 'policy_denied audience'],
    ['no audience', {}, token({ audience: [] }), 'policy_denied audience'],
    ['one of two', {}, token({ audience: ['https://a.example', 'https://b.example'] }), 'policy_denied audience'],
    [
      'prefix',
      { audiences: [{ prefix: 'https://a.example/' }] },
      token({ audience: ['https://a.example/x', 'https://a.example/'] }),
      'allowed by r',
    ],
    [
      'prefix of another host',
      { audiences: [{ prefix: 'https://a.example/' }] },
      token({ audience: ['https://a.example.evil/'] }),
      'policy_denied audience',
    ],
    ['method', { methods: ['jwks'] }, token(), 'policy_denied method'],
    ['token type', {}, token({ tokenType: 'AS' }), 'policy_denied token_type'],
    ['token type allowed', { token_types: ['AS'] }, token({ tokenType: 'AS' }), 'allowed by r'],
    ['no token type', {}, token({ tokenType: null }), 'policy_denied token_type'],
    ['issuer', {}, token({ issuer: 'remote' }), 'policy_denied issuer'],
    ['no issuer', {}, token({ issuer: null }), 'policy_denied issuer'],
    ['issuer allowed', { issuers: ['remote'] }, token({ issuer: 'remote' }), 'allowed by r'],
    ['nonce by default', {}, token({ nonces: true }), 'policy_denied nonce'],
    ['nonce allowed', { nonce: 'allow' }, token({ nonces: true }), 'allowed by r'],
    ['nonce not needed', { nonce: 'allow' }, token(), 'allowed by r'],
    ['nonce required', { nonce: 'require' }, token(), 'policy_denied nonce'],
    ['nonce required and there', { nonce: 'require' }, token({ nonces: true }), 'allowed by r'],
    ['fresh by default', {}, token({ fresh: true }), 'policy_denied fresh'],
    ['fresh allowed', { fresh: true }, token({ fresh: true }), 'allowed by r'],
    ['ttl at the bound', { ttl_s_max: 900 }, token({ ttlS: 900 }), 'allowed by r'],
    ['ttl above', { ttl_s_max: 900 }, token({ ttlS: 901 }), 'policy_denied ttl'],
    ['ttl unbounded', {}, token({ ttlS: 86_400 }), 'allowed by r'],
    ['min_valid at the default bound', {}, token({ minValidS: 900 }), 'allowed by r'],
    ['min_valid above the default bound', {}, token({ minValidS: 901 }), 'policy_denied min_valid'],
    ['min_valid at its bound', { min_valid_s_max: 60 }, token({ minValidS: 61 }), 'policy_denied min_valid'],
    ['jwks of an issuer', { methods: ['jwks'] }, callerRequest('jwks', { issuer: 'remote' }), 'policy_denied issuer'],
    ['jwks', { methods: ['jwks'] }, callerRequest('jwks', { issuer: 'local' }), 'allowed by r'],
    ['evidence', { methods: ['evidence'] }, callerRequest('evidence'), 'allowed by r'],
    ['48 raw bytes', { methods: ['raw_report_data'] }, raw(bytes(48)), 'allowed by r'],
    ['49 raw bytes', { methods: ['raw_report_data'] }, raw(bytes(49)), 'policy_denied nonce'],
    ['64 raw bytes', rawRule, raw(bytes(64)), 'allowed by r'],
    ['64 raw bytes with our tag', rawRule, raw(bytes(64, 'attestd:rdata:v1')), 'policy_denied nonce'],
    ['64 raw bytes that begin like our tag', rawRule, raw(bytes(64, 'attestd')), 'policy_denied nonce'],
    ['55 raw bytes that end like our tag', rawRule, raw(bytes(55, 'attestd')), 'policy_denied nonce'],
    ['64 raw bytes with half of it', rawRule, raw(bytes(64, 'attest!')), 'allowed by r'],
  ])('%s', (_, allow, request, expected) => {
    expect(shown(decide(policyOf(rule({ uid: 1001 }, { ...allowToken, ...allow })), caller(), request))).toBe(expected)
  })

  it('is one of six methods, and none by itself (API-62)', () => {
    expect(callerMethods).toEqual(['token', 'evidence', 'raw_report_data', 'measure', 'jwks', 'explain'])
    for (const method of callerMethods) {
      const others = callerMethods.filter((other) => other !== method)
      const policy = policyOf(rule({ uid: 1001 }, { ...allowToken, methods: others }))
      expect(shown(decide(policy, caller(), { ...token(), method })), method).toBe('policy_denied method')
    }
  })

  it('never adds the rights of two rules (API-61)', () => {
    const policy = policyOf(
      rule({ uid: 1001 }, { ...allowToken, nonce: 'allow' }, 'a'),
      rule({ unit: 'payments.service' }, { methods: ['token'], audiences: ['https://b.example'] }, 'b'),
    )
    expect(decide(policy, caller(), token({ nonces: true })).allowed).toBe(true)
    expect(decide(policy, caller(), token({ audience: ['https://b.example'] })).allowed).toBe(true)
    expect(shown(decide(policy, caller(), token({ audience: ['https://b.example'], nonces: true })))).toBe(
      'policy_denied nonce',
    )
    const both = token({ audience: ['https://a.example', 'https://b.example'] })
    expect(shown(decide(policy, caller(), both))).toBe('policy_denied audience')
  })

  it('takes the rule that bounds the life of tokens least, then the first', () => {
    const bounded = (ttl: number, id: string) => rule({ uid: 1001 }, { ...allowToken, ttl_s_max: ttl }, id)
    const free = rule({ uid: 1001 }, allowToken, 'free')
    expect(shown(decide(policyOf(bounded(60, 'a'), bounded(900, 'b'), bounded(900, 'c')), caller(), token()))).toBe(
      'allowed by b',
    )
    expect(shown(decide(policyOf(bounded(60, 'a'), free), caller(), token()))).toBe('allowed by free')
  })

  it('gives the built-in rule for declared audiences only (API-65)', () => {
    const policy = parseCallerRules([], { defaultAudiences: ['https://a.example'] })
    expect(shown(decide(policy, caller(), token()))).toBe('allowed by default')
    expect(shown(decide(policy, caller(), token({ audience: ['https://b.example'] })))).toBe('policy_denied audience')
    expect(shown(decide(policy, caller(), token({ nonces: true })))).toBe('policy_denied nonce')
    expect(shown(decide(policy, caller(), token({ fresh: true })))).toBe('policy_denied fresh')
    expect(shown(decide(policy, caller(), callerRequest('evidence')))).toBe('policy_denied method')
    expect(shown(decide(policy, caller({ listener: 'cs' }), token()))).toBe('policy_denied caller')
    const noAudiences = parseCallerRules([], { defaultAudiences: [] })
    expect(shown(decide(noAudiences, caller(), token()))).toBe('policy_denied audience')
    expect(shown(decide(noAudiences, caller(), callerRequest('explain')))).toBe('allowed by default')
    expect(shown(decide(parseCallerRules([]), caller(), token()))).toBe('policy_denied caller')
  })

  it('lets nonces into nothing but tokens', () => {
    const policy = policyOf(rule({ uid: 1001 }, { methods: ['explain', 'jwks', 'evidence'], nonce: 'allow' }))
    for (const method of ['explain', 'evidence'] as const) {
      expect(shown(decide(policy, caller(), callerRequest(method)))).toBe('allowed by r')
      expect(shown(decide(policy, caller(), callerRequest(method, { nonces: true })))).toBe('policy_denied nonce')
    }
  })

  it('binds measurements to their domains, where a prefix covers no half of a name (section 6.3, API-63)', () => {
    const measuring = (...domains: unknown[]) => policyOf(rule({ uid: 1001 }, { methods: ['measure'], domains }))
    const measured = (policy: CallerPolicy, domain: string | null) =>
      shown(decide(policy, caller(), callerRequest('measure', { domain })))
    const policy = measuring('app', { prefix: 'org.example/' })
    for (const domain of ['app', 'org.example/', 'org.example/a/b'])
      expect(measured(policy, domain)).toBe('allowed by r')
    for (const domain of ['apple', 'ap', 'App', 'org.example', 'org.example.evil/a', '']) {
      expect(measured(policy, domain)).toBe('policy_denied domain')
    }
    expect(measured(policy, null)).toBe('allowed by r')
    // What the agent measures itself (BRK-123).
    for (const own of [measuring('attestd/journal'), measuring({ prefix: 'attestd/' })]) {
      expect(measured(own, 'attestd/journal')).toBe('policy_denied domain')
    }
    expect(measured(measuring(), null)).toBe('policy_denied domain')
    expect(measured(measuring(), 'app')).toBe('policy_denied domain')
    for (const prefix of ['app', '', 'app.', 'app:', 'a b/']) expect(() => measuring({ prefix })).toThrow(/prefix/)
  })

  it('finds the highest rate that a matching rule raises (API-81)', () => {
    const rated = (match: object, per_min: number, raise: boolean, id: string) =>
      rule(match, { ...allowToken, rate: { per_min, burst: 9, raise } }, id)
    const policy = policyOf(
      rated({ uid: 1001 }, 60_000, true, 'a'),
      rated({ uid: 1001 }, 90_000, true, 'b'),
      rated({ uid: 1001 }, 99_000, false, 'c'),
      rated({ uid: 2 }, 100_000, true, 'd'),
    )
    expect(raisedRate(policy, caller())).toEqual({ perMin: 90_000, burst: 9, raise: true })
    expect(raisedRate(policy, caller({ uid: 3 }))).toBeNull()
  })
})

describe('the matrix of API-61 to API-66', () => {
  /** Each dimension with a request that a full rule allows, one that it refuses, and the rule's member that refuses. */
  const faults: Readonly<Record<Exclude<DenialDimension, 'caller'>, { request: object; allow: object }>> = {
    method: { request: {}, allow: { methods: ['jwks', 'explain'] } },
    audience: { request: { audience: ['https://z.example'] }, allow: { audiences: ['https://q.example'] } },
    token_type: { request: { tokenType: 'XX' }, allow: { token_types: ['AS'] } },
    issuer: { request: { issuer: 'zz' }, allow: { issuers: ['other'] } },
    nonce: { request: {}, allow: { nonce: 'forbid' } },
    fresh: { request: {}, allow: { fresh: false } },
    ttl: { request: { ttlS: 901 }, allow: { ttl_s_max: 60 } },
    min_valid: { request: { minValidS: 601 }, allow: { min_valid_s_max: 1 } },
    domain: { request: { domain: 'a' }, allow: { domains: ['a/b/c', 'a'] } },
  }
  const order = Object.keys(faults) as (keyof typeof faults)[]
  const fullAllow = {
    methods: [...callerMethods],
    audiences: ['https://a.example', { prefix: 'urn:x:' }],
    token_types: ['OIDC', 'AS'],
    issuers: ['local', 'remote'],
    nonce: 'allow',
    fresh: true,
    ttl_s_max: 900,
    min_valid_s_max: 600,
    domains: [{ prefix: 'a/' }],
  }
  const fullRequest = token({
    audience: ['https://a.example', 'urn:x:y'],
    nonces: true,
    fresh: true,
    ttlS: 900,
    minValidS: 600,
    domain: 'a/b',
  })
  const subsets = Array.from({ length: 2 ** order.length }, (_, bits) => order.filter((_, at) => bits & (1 << at)))

  it('allows the request that uses every right to its bound', () => {
    expect(shown(decide(policyOf(rule({ uid: 1001 }, fullAllow)), caller(), fullRequest))).toBe('allowed by r')
  })

  it('denies every subset of missing rights, in the first dimension that is missing', () => {
    for (const subset of subsets.filter(({ length }) => length > 0)) {
      const allow = Object.assign({}, fullAllow, ...subset.map((dimension) => faults[dimension].allow))
      const decision = decide(policyOf(rule({ uid: 1001 }, allow)), caller(), fullRequest)
      expect(shown(decision), subset.join()).toBe(`policy_denied ${subset[0]}`)
    }
  })

  it('denies a request that asks for too much, in that dimension', () => {
    for (const dimension of order.filter((one) => Object.keys(faults[one].request).length > 0)) {
      const request = { ...fullRequest, ...faults[dimension].request }
      expect(shown(decide(policyOf(rule({ uid: 1001 }, fullAllow)), caller(), request))).toBe(
        `policy_denied ${dimension}`,
      )
    }
  })

  it('names the dimension of the rule that came furthest', () => {
    const methodOnly = rule({ uid: 1001 }, { ...fullAllow, methods: ['jwks'] }, 'a')
    const ttlTooShort = rule({ uid: 1001 }, { ...fullAllow, ttl_s_max: 60 }, 'b')
    expect(shown(decide(policyOf(methodOnly, ttlTooShort), caller(), fullRequest))).toBe('policy_denied ttl')
    expect(shown(decide(policyOf(ttlTooShort, methodOnly), caller(), fullRequest))).toBe('policy_denied ttl')
  })
})

const audiences = ['https://a.example', 'https://b.example', 'urn:x:1']
const anyMatch = fc.oneof(
  fc.record({ uid: fc.constantFrom(0, 1001, 1002) }),
  fc.record({ gid: fc.constantFrom(10, 20) }),
  fc.record({ unit: fc.constantFrom('payments.service', 'worker@.service') }),
  fc.record({ listener: fc.constantFrom('api', 'admin') }),
  fc.record({ uid: fc.constantFrom(0, 1001), unit: fc.constantFrom('payments.service') }),
)
const anyAllow = fc.record({
  methods: fc.subarray([...callerMethods], { minLength: 1 }),
  audiences: fc.subarray([...audiences, { prefix: 'urn:x:' }]),
  issuers: fc.subarray(['local', 'remote']),
  nonce: fc.constantFrom('forbid', 'allow', 'require'),
  fresh: fc.boolean(),
  ttl_s_max: fc.constantFrom(60, 900, 3600),
  min_valid_s_max: fc.constantFrom(0, 600, 900),
  domains: fc.subarray(['app', { prefix: 'app/' }]),
})
const anyRules = fc
  .array(fc.tuple(anyMatch, anyAllow), { maxLength: 5 })
  .map((pairs) => pairs.map(([match, allow], at) => rule(match, allow, `r${at}`)))
const anyCaller = fc
  .record({
    uid: fc.constantFrom(0, 1001, 1002, 65_534),
    pid: fc.constantFrom(0, 7),
    groups: fc.subarray([10, 20]),
    unit: fc.constantFrom(null, 'payments.service', 'worker@1.service'),
    listener: fc.constantFrom('api', 'admin'),
  })
  .map(caller)
const anyRequest: fc.Arbitrary<CallerRequest> = fc.record({
  method: fc.constantFrom(...callerMethods),
  audience: fc.subarray(audiences),
  tokenType: fc.constantFrom('OIDC', null),
  issuer: fc.constantFrom('local', 'remote', null),
  nonces: fc.boolean(),
  fresh: fc.boolean(),
  ttlS: fc.constantFrom(null, 60, 900, 3600),
  minValidS: fc.constantFrom(null, 0, 600, 900),
  rawReportData: fc.constantFrom(null, new Uint8Array(48), new Uint8Array(49)),
  domain: fc.constantFrom(null, 'app', 'app/x', 'apple'),
})

describe('properties of decisions', () => {
  it('adding a rule anywhere never takes a permission away, nor shortens what is served', () => {
    fc.assert(
      fc.property(
        anyRules,
        anyMatch,
        anyAllow,
        fc.nat(),
        anyCaller,
        anyRequest,
        (rules, match, allow, at, who, what) => {
          const before = decide(policyOf(...rules), who, what)
          const after = decide(
            policyOf(...rules.toSpliced(at % (rules.length + 1), 0, rule(match, allow, 'new'))),
            who,
            what,
          )
          if (!before.allowed) return
          expect(after.allowed).toBe(true)
          if (after.allowed) {
            expect(after.rule.allow.ttlMaxS ?? 1e9).toBeGreaterThanOrEqual(before.rule.allow.ttlMaxS ?? 1e9)
          }
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('rules about others change nothing: neither the answer nor the dimension', () => {
    const others = { match: { uid: 4242 } }
    fc.assert(
      fc.property(
        anyRules,
        fc.array(anyAllow, { maxLength: 3 }),
        anyCaller,
        anyRequest,
        (rules, foreign, who, what) => {
          const more = foreign.map((allow, at) => rule(others.match, allow, `foreign${at}`))
          expect(shown(decide(policyOf(...more, ...rules), who, what))).toBe(
            shown(decide(policyOf(...rules), who, what)),
          )
        },
      ),
      { numRuns: 1000 },
    )
  })

  it('what is allowed is allowed by that one rule alone', () => {
    fc.assert(
      fc.property(anyRules, anyCaller, anyRequest, (rules, who, what) => {
        const policy = policyOf(...rules)
        const decision = decide(policy, who, what)
        if (decision.allowed) expect(decide({ ...policy, rules: [decision.rule] }, who, what).allowed).toBe(true)
        else for (const one of policy.rules) expect(decide({ ...policy, rules: [one] }, who, what).allowed).toBe(false)
      }),
      { numRuns: 2000 },
    )
  })

  it('a denial carries a code, a dimension and a rule about this very caller, and nothing else', () => {
    fc.assert(
      fc.property(anyRules, anyCaller, anyRequest, (rules, who, what) => {
        const decision = decide(policyOf(...rules), who, what)
        if (decision.allowed) return
        expect(Object.keys(decision).sort()).toEqual(['allowed', 'code', 'dimension', 'rule'])
        const own = rules.filter((one) => one.id === decision.rule)
        expect(own.length === 0).toBe(decision.rule === null)
        for (const one of own) expect(decide(policyOf(one), who, what)).toMatchObject({ rule: one.id })
      }),
    )
  })
})
