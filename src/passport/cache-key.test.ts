import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { tokenRequest } from '../../test/support/fake-token-source.ts'
import { canonicalJson, parseJson } from '../base/json.ts'
import type { TokenRequest } from '../results/token-request.ts'
import { cacheKey, sameSet } from './cache-key.ts'

const source = { generation: 1 }
const cnf = (jkt: string) => ({ jkt, jwk: { kty: 'OKP', crv: 'Ed25519', x: jkt } })

describe('the cache key (BRK-01)', () => {
  const base = tokenRequest({ audience: ['a', 'b'], ttlS: 600, policyIds: ['p', 'q'], cnf: cnf('k') })

  it('is canonical JSON', () => {
    const key = cacheKey(base, source)
    expect(canonicalJson(parseJson(key, 'key'))).toBe(key)
  })

  it.each<[string, Partial<TokenRequest>]>([
    ['issuer', { issuer: 'other' }],
    ['audience', { audience: ['a'] }],
    ['another audience', { audience: ['a', 'c'] }],
    ['an audience that joins two', { audience: ['a","b'] }],
    ['lifetime', { ttlS: 601 }],
    ['no lifetime', { ttlS: null }],
    ['policies', { policyIds: ['p'] }],
    ['a policy moved to the audiences', { audience: ['a', 'b', 'p'], policyIds: ['q'] }],
    ['key', { cnf: cnf('other') }],
    ['no key', { cnf: null }],
  ])('differs by %s', (_, change) => {
    expect(cacheKey({ ...base, ...change }, source)).not.toBe(cacheKey(base, source))
  })

  it('differs by the generation of the source', () => {
    expect(cacheKey(base, { generation: 2 })).not.toBe(cacheKey(base, source))
  })

  it('is the same whatever the order of sets (API-99)', () => {
    const texts = fc.uniqueArray(fc.string({ unit: 'grapheme' }), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(texts, texts, fc.infiniteStream(fc.nat()), (audience, policyIds, numbers) => {
        const shuffled = (list: readonly string[]) =>
          [...list, ...list.slice(0, 1)]
            .map((text) => ({ text, at: numbers.next().value }))
            .sort((left, right) => left.at - right.at)
            .map(({ text }) => text)
        const changed = { ...base, audience: shuffled(audience), policyIds: shuffled(policyIds) }
        expect(cacheKey(changed, source)).toBe(cacheKey({ ...base, audience, policyIds }, source))
      }),
    )
  })

  it('is one for an issuer with one fixed audience (BRK-05)', () => {
    const fixed = { generation: 1, fixedAudience: ['urn:fixed'] }
    expect(cacheKey({ ...base, audience: ['x'] }, fixed)).toBe(cacheKey({ ...base, audience: [] }, fixed))
  })

  it('ignores the members of the JWK beside its thumbprint', () => {
    const same = { ...base, cnf: { jkt: 'k', jwk: { kty: 'OKP', crv: 'Ed25519', x: 'k', kid: 'name' } } }
    expect(cacheKey(same, source)).toBe(cacheKey(base, source))
  })

  it.each([{ fresh: true }, { nonces: ['nonce-0001'] }])('does not exist for %o (BRK-03)', (change) => {
    expect(() => cacheKey({ ...base, ...change }, source)).toThrow(TypeError)
  })
})

it.each([
  [['a'], ['a'], true],
  [['a', 'b'], ['b', 'a', 'b'], true],
  [[], [], true],
  [['a'], [], false],
  [['a'], ['b'], false],
  [['a', 'b'], ['a'], false],
])('sameSet %j %j: %s', (left, right, same) => {
  expect(sameSet(left, right)).toBe(same)
})
