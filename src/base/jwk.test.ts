import { calculateJwkThumbprint } from 'jose'
import { describe, expect, it } from 'vitest'
import { haveVectors, vectorJson } from '../../test/support/vectors.ts'
import { MalformedError } from './errors.ts'
import { jwkThumbprint, publicJwk } from './jwk.ts'

interface ThumbprintCase {
  readonly name: string
  readonly jwk: Record<string, string>
  readonly thumbprint: string
}

const okp = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }

describe.skipIf(!haveVectors)('thumbprints of the vectors (TOK-144)', () => {
  const cases: ThumbprintCase[] = haveVectors ? vectorJson('token/jwk-thumbprints.json').cases : []

  it.each(cases)('$name', async ({ jwk, thumbprint }) => {
    expect(jwkThumbprint(jwk)).toBe(thumbprint)
    expect(await calculateJwkThumbprint(jwk)).toBe(thumbprint)
  })
})

describe('a thumbprint', () => {
  it('is that of RFC 8037 appendix A.3', () => {
    expect(jwkThumbprint(okp)).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k')
  })

  it('ignores everything but the public members, in any order', () => {
    const { kty, crv, x } = okp
    expect(jwkThumbprint({ d: 'secret', x, use: 'sig', crv, kid: 'k', kty })).toBe(jwkThumbprint(okp))
    expect(publicJwk({ d: 'secret', x, crv, kty })).toEqual(okp)
  })

  it.each<[string, Record<string, unknown>]>([
    ['no kty', { crv: 'Ed25519', x: okp.x }],
    ['a symmetric key', { kty: 'oct', k: 'AAAA' }],
    ['an inherited member', Object.create(okp)],
    ['a name of Object.prototype', { kty: 'constructor' }],
    ['a missing member', { kty: 'EC', crv: 'P-256', x: okp.x }],
    ['a number', { ...okp, x: 7 }],
    ['an empty member', { ...okp, x: '' }],
    ['padding', { ...okp, x: `${okp.x}=` }],
    ['unused bits that are set', { ...okp, x: `${okp.x.slice(0, -1)}p` }],
  ])('refuses %s', (_, jwk) => {
    expect(() => jwkThumbprint(jwk)).toThrow(MalformedError)
  })
})
