import { describe, expect, it } from 'vitest'
import { haveVectors, vectorJson } from '../../../test/support/vectors.ts'
import type { JsonValue } from '../../base/json.ts'
import { type Claim, valueTypeOf } from '../claim.ts'
import { aliasClaims, claimCatalogue, claimEntryOf, isReadOnlyClaim, ownClaims } from './claim-catalogue.ts'
import { parseCustomClaims } from './custom-claims.ts'
import { acceptIncomingClaims, type GivenClaim } from './incoming-claims.ts'
import { presentClaims } from './present-claims.ts'
import type { VerifiedTrees } from './verified-trees.ts'

const attestation = { type: 'tdx', time: 1_790_000_000, simulated: false } as const
const presented = (trees: Partial<VerifiedTrees>) => presentClaims({ attestation, ...trees })
const valuesOf = (claims: readonly Claim[], type: string) =>
  claims.filter((claim) => claim.type === type).map(({ value }) => value)

interface PresentationCase {
  readonly name: string
  readonly verified: VerifiedTrees & {
    readonly runtimeData?: { readonly base64url: string }
    readonly customClaims?: JsonValue
  }
  readonly claims: readonly object[]
}

const cases: readonly PresentationCase[] = haveVectors ? vectorJson('policy/presentation.json').cases : []

/** As the vectors have claims: with their value type, integers as numbers, types in order. */
const shown = (claims: readonly Claim[]) =>
  claims
    .map(({ value, ...claim }) => ({
      ...claim,
      value: typeof value === 'bigint' ? Number(value) : value,
      valueType: valueTypeOf(value),
    }))
    .sort((left, right) => (left.type < right.type ? -1 : left.type > right.type ? 1 : 0))

describe.skipIf(!haveVectors)('recorded presentations (POL-431 to POL-435)', () => {
  it.each(cases.map((one) => [one.name, one] as const))('%s', (_name, { verified, claims }) => {
    const { runtimeData, customClaims = [], ...trees } = verified
    const bytes = runtimeData && new Uint8Array(Buffer.from(runtimeData.base64url, 'base64url'))
    const custom = parseCustomClaims(customClaims)
    expect(shown(presentClaims(trees, { custom, ...(bytes ? { runtimeData: bytes } : {}) }))).toEqual(claims)
  })

  it('are there', () => expect(cases.length).toBeGreaterThanOrEqual(5))
})

describe('flattening (POL-431)', () => {
  it('joins paths by dots, sorts names at each level, and leaves out what is null or absent', () => {
    const claims = presented({ tdx: { b: { y: 1, x: 'a' }, a: true, n: null, u: undefined } })
    expect(claims.filter(({ type }) => type.startsWith('tdx.')).map(({ type }) => type)).toEqual([
      'tdx.a',
      'tdx.b.x',
      'tdx.b.y',
    ])
  })

  it('gives one claim for each distinct element of an array, of each value type', () => {
    expect(valuesOf(presented({ tdx: { a: [1, '1', true, 1, '1', false] } }), 'tdx.a')).toEqual([1n, '1', true, false])
    expect(valuesOf(presented({ tdx: { a: [] } }), 'tdx.a')).toEqual([])
  })

  it('gives one claim for each distinct value over all devices', () => {
    const claims = presented({ gpu: [{ debug: false }, { debug: null }, { debug: true }, { debug: false }] })
    expect(valuesOf(claims, 'gpu.debug')).toEqual([false, true])
  })

  it.each<[string, unknown]>([
    ['a fraction', 0.5],
    ['an integer that a double does not hold', 2 ** 53],
    ['an integer above 64 bits', 2n ** 63n],
    ['an integer below 64 bits', -(2n ** 63n) - 1n],
    ['an array of objects', [{}]],
    ['an array in an array', [[1]]],
    ['null in an array', [null]],
    ['NaN', Number.NaN],
    ['a function', () => 1],
  ])('takes %s for a bug of the verifier', (_what, value) => {
    expect(() => presented({ tdx: { a: value } })).toThrow(TypeError)
  })

  it('keeps integers exact up to the ends of 64 bits', () => {
    const ends = [2n ** 63n - 1n, -(2n ** 63n)]
    expect(valuesOf(presented({ tdx: { a: ends } }), 'tdx.a')).toEqual(ends)
  })

  it('goes down eight levels and not nine', () => {
    const nested = (levels: number): Record<string, unknown> => (levels === 1 ? { a: 1 } : { a: nested(levels - 1) })
    expect(() => presented({ tdx: nested(8) })).not.toThrow()
    expect(() => presented({ tdx: nested(9) })).toThrow(TypeError)
  })

  it('takes names of prototypes for names', () => {
    const tree = JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1}')
    const claims = presented({ tdx: tree })
    expect(valuesOf(claims, 'tdx.__proto__.polluted')).toEqual([true])
    expect(valuesOf(claims, 'tdx.constructor')).toEqual([1n])
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false)
  })
})

describe('documents and aliases (POL-432, POL-433)', () => {
  it('are texts of RFC 8785, under the names of the catalogue alone', () => {
    const claims = presented({ documents: { 'tdx.events': { Events: [{ b: 1, a: '\u20ac' }] } } })
    expect(valuesOf(claims, 'tdx.events')).toEqual(['{"Events":[{"a":"€","b":1}]}'])
    expect(() => presented({ documents: { 'tdx.tcb_status': {} } })).toThrow(TypeError)
    expect(() => presented({ documents: { 'tdx.eventz': {} } })).toThrow(TypeError)
  })

  it('are read-only where their original is, and only from the service (POL-425)', () => {
    const claims = presented({ documents: { 'tpm.pcrs': { PCRs: [] }, 'ima.log': { Entries: [] }, 'tpm.events': {} } })
    const marked = claims.filter(({ readOnly }) => readOnly).map(({ type }) => type)
    expect(marked.sort()).toEqual(['ima.log', 'pcrs', 'tpm.pcrs'])
    expect(isReadOnlyClaim('pcrs', 'CustomClaim')).toBe(false)
    expect(isReadOnlyClaim('pcrs', 'AttestationService')).toBe(true)
  })

  it('of enclaves are numbers in the byte order of quotes, and the debug flag', () => {
    const body = { isv_prod_id: '0201', isv_svn: '0a00', 'attributes.flags': '0700000000000000', mr_signer: 'ab' }
    const claims = presented({ sgx: { body } })
    expect(valuesOf(claims, 'x-ms-sgx-product-id')).toEqual([258n])
    expect(valuesOf(claims, '$svn')).toEqual([10n])
    expect(valuesOf(claims, 'x-ms-sgx-is-debuggable')).toEqual([true])
    expect(valuesOf(claims, '$is-debuggable')).toEqual([true])
    expect(valuesOf(claims, '$sgx-mrsigner')).toEqual(['ab'])
    const production = presented({ sgx: { body: { ...body, 'attributes.flags': '0500000000000000' } } })
    expect(valuesOf(production, 'x-ms-sgx-is-debuggable')).toEqual([false])
  })

  it('are absent where the original is, or has no such form', () => {
    expect(valuesOf(presented({ tdx: {} }), 'dbgstat')).toEqual([])
    expect(valuesOf(presented({ tpm: { ak_pub_sha256: 'no hex' } }), 'aikPubHash')).toEqual([])
  })

  it.each([
    ['tdx', 'tdxvm'],
    ['acstdxnvgpu', 'tdxvm'],
    ['tpm', 'tpm'],
    ['nvgpu', 'nvgpu'],
  ])('call the type %s %s', (type, alias) => {
    const claims = presentClaims({ attestation: { ...attestation, type } })
    expect(valuesOf(claims, 'x-ms-attestation-type')).toEqual([alias])
  })
})

describe('the catalogue (POL-430)', () => {
  it('names nothing twice, and every alias of something', () => {
    const names = claimCatalogue.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    const own = new Set(ownClaims.map(({ name }) => name))
    expect(aliasClaims.filter(({ alias }) => !own.has(alias?.of ?? ''))).toEqual([])
  })

  it('finds claims with a part that varies, and not the placeholder', () => {
    expect(claimEntryOf('tpm.pcr.10')?.name).toBe('tpm.pcr.<n>')
    expect(claimEntryOf('custom:tenant')?.issuer).toBe('CustomClaim')
    expect(['tpm.pcr.', 'custom:', 'tpm.pcr', '', '__proto__'].map(claimEntryOf)).toEqual(Array(5).fill(null))
  })

  it.skipIf(!haveVectors)('has every claim of the recorded presentations, with its value type', () => {
    for (const { claims } of cases) {
      for (const { type, valueType } of claims as { type: string; valueType: string }[]) {
        const entry = claimEntryOf(type)
        expect([type, entry?.valueType]).toEqual([type, type.startsWith('custom:') ? 'String' : valueType])
      }
    }
  })
})

describe('custom claims (POL-434)', () => {
  const claim = (name: string, value: JsonValue = 'x') => ({ name, value })
  const many = (count: number) => Array.from({ length: count }, (_, at) => claim(`c${at}`))

  it('are at most 64, with names of at most 64 characters and Strings of at most 4 096 bytes', () => {
    expect(parseCustomClaims(many(64))).toHaveLength(64)
    expect(() => parseCustomClaims(many(65))).toThrow('more than 64')
    expect(parseCustomClaims([claim('a'.repeat(64))])).toHaveLength(1)
    expect(() => parseCustomClaims([claim('a'.repeat(65))])).toThrow('name')
    expect(parseCustomClaims([claim('a', 'é'.repeat(2048))])).toHaveLength(1)
    expect(() => parseCustomClaims([claim('a', `${'é'.repeat(2048)}a`)])).toThrow('4096')
  })

  it.each<[string, JsonValue]>([
    ['no array', {}],
    ['no object', ['a']],
    ['an array in it', [[]]],
    ['no name', [{ value: 'x' }]],
    ['an empty name', [claim('')]],
    ['a colon in a name', [claim('a:b')]],
    ['a line end behind a name', [claim('a\n')]],
    ['no value', [{ name: 'a' }]],
    ['null', [claim('a', null)]],
    ['a fraction', [claim('a', 1.5)]],
    ['an integer beyond 2^53', [claim('a', 2 ** 53)]],
    ['an array as value', [claim('a', ['x'])]],
    ['half a surrogate pair', [claim('a', '\ud800')]],
    ['another member', [{ ...claim('a'), issuer: 'AttestationService' }]],
  ])('with %s are refused', (_what, value) => {
    expect(() => parseCustomClaims(value)).toThrow(/^custom_claims/)
  })

  it('never have the issuer or the name of a claim of the service', () => {
    const custom = parseCustomClaims([claim('tdx.tcb_status', 'UpToDate'), claim('n', 3), claim('b', true)])
    const claims = presentClaims({ attestation }, { custom }).filter(({ issuer }) => issuer === 'CustomClaim')
    expect(claims.map(({ type, value }) => [type, value])).toEqual([
      ['custom:tdx.tcb_status', 'UpToDate'],
      ['custom:n', 3n],
      ['custom:b', true],
    ])
  })
})

describe('runtime data (POL-435)', () => {
  const runtime = (text: string) =>
    presentClaims({ attestation }, { runtimeData: new TextEncoder().encode(text) })
      .filter(({ issuer }) => issuer === 'CustomClaim')
      .map(({ type, value }) => [type, value])

  it('are text, and RFC 8785 text if they are a JSON object', () => {
    expect(runtime('{"b": 1, "a": 1.50}')).toEqual([
      ['runtime.data', 'eyJiIjogMSwgImEiOiAxLjUwfQ'],
      ['runtime.claims', '{"a":1.5,"b":1}'],
    ])
  })

  it('keep their integers exact: a rounded one would be judged in the place of another', () => {
    const text = '{"a":9007199254740993,"b":[-9223372036854775808],"__proto__":{"constructor":1}}'
    expect(runtime(text).at(-1)).toEqual([
      'runtime.claims',
      '{"__proto__":{"constructor":1},"a":9007199254740993,"b":[-9223372036854775808]}',
    ])
  })

  it.each([
    ...['[1]', '1', '', '{"a":1,"a":2}', '{"a":1} ,', '\ufeff{}', `${'{"a":'.repeat(65)}1${'}'.repeat(65)}`],
    ...['{"a":9223372036854775808}', '{"a":1e999}', '{"a":"\\ud800"}', '{"\\udc00":1}'],
  ])('that are no strict JSON object are bytes alone: %s', (text) => {
    expect(runtime(text).map(([type]) => type)).toEqual(['runtime.data'])
  })
})

describe('claims from outside (POL-402)', () => {
  const accepted = (given: GivenClaim) => acceptIncomingClaims([given])
  const errorOf = (given: GivenClaim) => {
    const result = accepted(given)
    return 'error' in result ? result.error.id : null
  }

  it('have issuer CustomClaim where none is given, and the mark of read-only documents', () => {
    expect(accepted({ type: 'x', value: 1 })).toEqual({ claims: [{ type: 'x', value: 1n, issuer: 'CustomClaim' }] })
    const document = { type: 'tpm.pcrs', value: '{}' }
    expect(accepted({ ...document, issuer: 'AttestationService' })).toMatchObject({ claims: [{ readOnly: true }] })
    expect(accepted(document)).toEqual({ claims: [{ ...document, issuer: 'CustomClaim' }] })
  })

  it.each<[string, GivenClaim]>([
    ['the issuer of policies', { type: 'x', value: 1, issuer: 'AttestationPolicy' }],
    ['another issuer', { type: 'x', value: 1, issuer: 'SomeoneElse' }],
    ['an issuer that is no String', { type: 'x', value: 1, issuer: null }],
    ['a valueType that does not fit', { type: 'x', value: 'abc', valueType: 'Integer' }],
    ['a String for a Boolean', { type: 'x', value: 'true', valueType: 'Boolean' }],
    ['an Integer for a String', { type: 'x', value: 1, valueType: 'String' }],
    ['an unknown valueType', { type: 'x', value: 'abc', valueType: 'string' }],
    ['an integer above 64 bits', { type: 'x', value: '9223372036854775808', valueType: 'Integer' }],
    ['leading zeros', { type: 'x', value: '01', valueType: 'Integer' }],
    ['a fraction', { type: 'x', value: 0.5 }],
    ['a number that is not exact', { type: 'x', value: 2 ** 53 }],
    ['null', { type: 'x', value: null }],
    ['an array', { type: 'x', value: ['a'] }],
    ['no value', { type: 'x' }],
    ['half a surrogate pair', { type: 'x', value: '\udc00' }],
    ['no type', { value: 1 }],
    ['an empty type', { type: '', value: 1 }],
    ['a type of 257 characters', { type: 'x'.repeat(257), value: 1 }],
  ])('with %s are an error', (_what, given) => expect(errorOf(given)).toBe('POL-402'))

  it('have types of up to 256 characters, however many code units they take', () => {
    expect(errorOf({ type: '\u{1f600}'.repeat(256), value: 1 })).toBeNull()
  })

  it('have the whole range of 64 bits', () => {
    for (const value of ['9223372036854775807', '-9223372036854775808']) {
      expect(accepted({ type: 'n', value, valueType: 'Integer' })).toMatchObject({ claims: [{ value: BigInt(value) }] })
    }
  })
})
