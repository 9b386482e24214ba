import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createTestIssuer, type Members } from '../../test/support/test-issuer.ts'
import { MalformedError } from '../base/errors.ts'
import { parseJsonObject } from '../base/json.ts'
import type { SignatureAlgorithm } from './algorithms.ts'
import { parseKeySet } from './public-keys.ts'

const rsa = createTestIssuer('RS256').jwk
const ec = createTestIssuer('ES256').jwk
const ed = createTestIssuer('EdDSA').jwk
const setOf = (...keys: unknown[]) => parseKeySet(parseJsonObject(JSON.stringify({ keys }), 'jwks'))
const without = (jwk: Members, ...names: string[]) =>
  Object.fromEntries(Object.entries(jwk).filter(([name]) => !names.includes(name)))
const rsaOf = (bits: number, e = 'AQAB') => ({
  kty: 'RSA',
  e,
  n: Buffer.alloc(bits / 8, 0xff).toString('base64url'),
  kid: 'k',
})
const b64 = (length: number, fill = 1) => Buffer.alloc(length, fill).toString('base64url')

describe('what a key set must not hold is dropped and reported (BRK-103)', () => {
  it.each<[string, unknown, string]>([
    ['an oct key', { kty: 'oct', k: 'AAAA', kid: 'k' }, 'secret key'],
    ['a private RSA key', { ...rsa, d: 'AAAA' }, 'private key'],
    ['RSA primes', { ...rsa, p: 'AAAA', q: 'AAAA' }, 'private key'],
    [
      'a private EC key',
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
      'private key',
    ],
    ['a private part that is null', { ...ec, d: null }, 'private key'],
    ['RSA of 2040 bits', rsaOf(2040), '2040 bits'],
    ['RSA of 8200 bits', rsaOf(8200), '8200 bits'],
    ['an exponent of 1', rsaOf(2048, 'AQ'), 'exponent'],
    ['an even exponent', rsaOf(2048, 'Ag'), 'exponent'],
    ['an exponent of 33 bits', rsaOf(2048, 'AQAAAAE'), 'exponent'],
    ['a point off its curve', { kty: 'EC', crv: 'P-256', x: b64(32), y: b64(32) }, 'not a public key'],
    ['a short Ed25519 key', { kty: 'OKP', crv: 'Ed25519', x: b64(31) }, 'not a public key'],
    ['a curve that nobody has', { kty: 'EC', crv: 'P-999', x: b64(32), y: b64(32) }, 'not a public key'],
    ['members in standard base64', { ...ed, x: `${String(ed['x']).slice(0, -1)}=` }, 'not a public key'],
    ['a type that nobody has', { kty: 'AKP', pub: 'AAAA' }, 'not a public key'],
    ['no type', { kid: 'k' }, 'not a public key'],
    ['a kid that is no text', { ...ec, kid: 7 }, 'kid'],
    ['no object', 'key', 'not an object'],
  ])('%s', (_name, member, reason) => {
    const keys = setOf(member, ec)
    expect(keys.size).toBe(1)
    expect(keys.dropped.map((dropped) => dropped.reason)).toEqual([expect.stringContaining(reason)])
  })

  it('keeps RSA of 2048 and 8192 bits with the exponents 3 and 65537', () => {
    expect(setOf(rsaOf(2048), rsaOf(8192), rsaOf(2048, 'Aw')).dropped).toEqual([])
  })

  it.each([{}, { keys: {} }, { keys: null }])('a set without an array of keys is malformed: %o', (document) => {
    expect(() => parseKeySet(parseJsonObject(JSON.stringify(document), 'jwks'))).toThrow(MalformedError)
  })
})

describe('the key that a header means', () => {
  const found = (keys: unknown[], kid: string | undefined, algorithm: SignatureAlgorithm = 'ES256') =>
    setOf(...keys).select(kid, algorithm).found

  it('is the one with its kid', () => {
    expect(found([ec, { ...ec, kid: 'other' }], 'key-1')).toBe('key')
    expect(found([ec], 'key-2')).toBe('unknown')
    expect(found([ec], '')).toBe('unknown')
    expect(found([{ ...ec, kid: '' }], '')).toBe('key')
  })

  it('is refused where two keys with one kid fit, and found where one of them does', () => {
    expect(found([ec, createTestIssuer('ES256').jwk], 'key-1')).toBe('refused')
    expect(found([ec, ec], 'key-1')).toBe('refused')
    expect(found([ec, rsa, ed], 'key-1')).toBe('key')
  })

  it('may go without a kid only if there is no choice', () => {
    expect(found([ec, rsa], undefined)).toBe('key')
    expect(found([ec, { ...ec, kid: 'other' }], undefined)).toBe('refused')
    expect(found([without(ec, 'kid')], undefined)).toBe('key')
    expect(found([rsa], undefined)).toBe('refused')
    expect(found([without(ec, 'kid')], 'key-1')).toBe('unknown')
  })

  it.each<[Members, SignatureAlgorithm, string]>([
    [rsa, 'PS256', 'refused'],
    [without(rsa, 'alg'), 'PS256', 'key'],
    [without(rsa, 'alg'), 'ES256', 'refused'],
    [ec, 'ES384', 'refused'],
    [without(ec, 'alg'), 'ES384', 'refused'],
    [without(ec, 'alg', 'use'), 'ES256', 'key'],
    [{ ...ec, alg: 'es256' }, 'ES256', 'refused'],
    [{ ...ec, alg: null }, 'ES256', 'refused'],
    [{ ...ec, use: 'enc' }, 'ES256', 'refused'],
    [{ ...ec, use: null }, 'ES256', 'refused'],
    [{ ...ec, key_ops: ['verify'] }, 'ES256', 'key'],
    [{ ...ec, key_ops: ['sign'] }, 'ES256', 'refused'],
    [{ ...ec, key_ops: 'verify' }, 'ES256', 'refused'],
    [{ ...ec, key_ops: [] }, 'ES256', 'refused'],
    [ed, 'EdDSA', 'key'],
    [{ ...ed, alg: 'Ed25519' }, 'EdDSA', 'key'],
  ])(
    'allows only what it was published for, by type, curve, use and algorithm: %# (BRK-103)',
    (jwk, algorithm, outcome) => {
      expect(found([jwk], 'key-1', algorithm)).toBe(outcome)
    },
  )

  it('is no X25519 key in place of Ed25519', () => {
    const x25519 = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' })
    expect(found([{ ...x25519, kid: 'key-1' }], 'key-1', 'EdDSA')).toBe('refused')
  })
})
