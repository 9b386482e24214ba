import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { rsaKey } from '../../test/support/issuing.ts'
import { FakeKeyStore } from '../../test/support/key-stores.ts'
import { AttestdError, MalformedError } from '../base/errors.ts'
import { encodeKeyState, type KeyState, parseKeyState } from './key-state.ts'
import { openKeyRing } from './open-key-ring.ts'
import { generateSigningKey, importSigningKey, type SigningAlgorithm } from './signing-key.ts'

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const bytes = (document: unknown) => new TextEncoder().encode(JSON.stringify(document))

let state: KeyState
// biome-ignore lint/suspicious/noExplicitAny: each case breaks another member
let document: any

beforeAll(async () => {
  const es256 = await generateSigningKey('ES256')
  state = {
    purpose: 'id-token',
    keys: [
      { key: rsaKey(), state: 'active', since: 100 },
      { key: es256, state: 'published', since: 200 },
      { key: await generateSigningKey('ES256'), state: 'retiring', since: 150 },
    ],
    tombstones: [{ kid: 'gone', reason: 'revoked', at: 50 }],
  }
  document = JSON.parse(text(encodeKeyState(state)))
})

const changed = (change: (copy: typeof document) => void) => {
  const copy = structuredClone(document)
  change(copy)
  return bytes(copy)
}

describe('the stored state', () => {
  it('reads back as it was', () => {
    const back = parseKeyState(encodeKeyState(state), 'id-token')
    expect(back.keys.map(({ key, ...rest }) => [key.publicJwk, rest])).toEqual(
      state.keys.map(({ key, ...rest }) => [key.publicJwk, rest]),
    )
    expect(back.tombstones).toEqual(state.tombstones)
    expect(encodeKeyState(back)).toEqual(encodeKeyState(state))
  })

  it.each<[string, (copy: typeof document) => void]>([
    ['another format', (copy) => (copy.format = 'x')],
    ['another version', (copy) => (copy.version = 2)],
    ['keys of another purpose', (copy) => (copy.purpose = 'challenge')],
    ['an unknown member', (copy) => (copy.more = 1)],
    ['a missing member', (copy) => delete copy.tombstones],
    ['keys that are no list', (copy) => (copy.keys = {})],
    ['more than ten keys', (copy) => (copy.keys = Array(11).fill(copy.keys[0]))],
    ['a key that is no object', (copy) => (copy.keys[0] = 'x')],
    ['an unknown state', (copy) => (copy.keys[0].state = 'asleep')],
    ['an unknown algorithm', (copy) => (copy.keys[0].alg = 'HS256')],
    ['an inherited name as algorithm', (copy) => (copy.keys[0].alg = 'toString')],
    ['a time before the epoch', (copy) => (copy.keys[0].since = -1)],
    ['a fractional time', (copy) => (copy.keys[0].since = 1.5)],
    ['no time', (copy) => (copy.keys[0].since = null)],
    ['a key that is no text', (copy) => (copy.keys[0].pkcs8 = 7)],
    ['a key with white space', (copy) => (copy.keys[0].pkcs8 += '\n')],
    ['a key that is cut', (copy) => (copy.keys[0].pkcs8 = copy.keys[0].pkcs8.slice(0, 40))],
    ['a key of another algorithm', (copy) => (copy.keys[0].alg = 'ES256')],
    ['a bad kid', (copy) => (copy.keys[0].kid = 'a b')],
    ['one kid twice', (copy) => (copy.keys[1].kid = copy.keys[2].kid)],
    ['one key twice', (copy) => copy.keys.push({ ...copy.keys[0], kid: 'other', alg: 'PS256' })],
    ['two active keys of one algorithm', (copy) => (copy.keys[1].state = copy.keys[2].state = 'active')],
    ['two published keys of one algorithm', (copy) => (copy.keys[2].state = 'published')],
    ['a key with a tombstone', (copy) => (copy.tombstones[0].kid = copy.keys[0].kid)],
    ['an unknown reason', (copy) => (copy.tombstones[0].reason = 'tired')],
    ['a tombstone without date', (copy) => delete copy.tombstones[0].at],
  ])('is refused with %s', (_, change) => {
    expect(() => parseKeyState(changed(change), 'id-token')).toThrow(MalformedError)
  })

  it('is refused with a duplicate member, a byte order mark, text behind it, or nothing in it', () => {
    const whole = text(encodeKeyState(state))
    for (const bad of [whole.replace('{', '{"version": 1,'), `\ufeff${whole}`, `${whole}{}`, '', 'null', '[]']) {
      expect(() => parseKeyState(new TextEncoder().encode(bad), 'id-token')).toThrow(MalformedError)
    }
  })

  it('is refused wherever it is cut, and the error never quotes a key', () => {
    const whole = encodeKeyState(state)
    fc.assert(
      fc.property(fc.integer({ min: 0, max: whole.length - 2 }), (size) => {
        try {
          parseKeyState(whole.subarray(0, size), 'id-token')
          expect.unreachable()
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError)
          expect(String(error)).not.toMatch(/[A-Za-z0-9+/]{44}/)
        }
      }),
    )
  })

  it('that is torn stops the start and is left alone: no new keys in its place', async () => {
    const torn = encodeKeyState(state).slice(0, 300)
    const store = new FakeKeyStore(torn)
    const opening = openKeyRing({ purpose: 'id-token', store, algorithms: ['RS256'], clock: new FakeClock() })
    await expect(opening).rejects.toMatchObject({ code: 'KEY_STATE_UNREADABLE', kind: 'configuration' })
    expect(store.bytes).toEqual(torn)
    expect(store.writes).toBe(0)
  })
})

describe('keys (TOK-08, TOK-09)', () => {
  const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).privateKey
  const rsa = (modulusLength: number, publicExponent = 65537) =>
    generateKeyPairSync('rsa', { modulusLength, publicExponent }).privateKey

  it.each<[string, SigningAlgorithm, () => ReturnType<typeof ec>]>([
    ['RSA with 1024 bits', 'RS256', () => rsa(1024)],
    ['RSA with exponent 3', 'RS256', () => rsa(2048, 3)],
    ['RSA with exponent 65539', 'RS256', () => rsa(2048, 65_539)],
    ['an EC key for RS256', 'RS256', () => ec('P-256')],
    ['an RSA key for ES256', 'ES256', () => rsaKey().privateKey],
    ['P-384 for ES256', 'ES256', () => ec('P-384')],
    ['P-256 for ES384', 'ES384', () => ec('P-256')],
    ['secp256k1 for ES256', 'ES256', () => ec('secp256k1')],
    ['X25519 for EdDSA', 'EdDSA', () => generateKeyPairSync('x25519').privateKey],
    ['Ed448 for EdDSA', 'EdDSA', () => generateKeyPairSync('ed448').privateKey],
    ['RSA-PSS parameters', 'PS256', () => generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey],
    ['a public key', 'EdDSA', () => generateKeyPairSync('ed25519').publicKey],
  ])('%s is refused', (_, alg, make) => {
    try {
      importSigningKey(make(), alg)
      expect.unreachable()
    } catch (error) {
      expect(error).toMatchObject({ code: 'KEY_UNSUITABLE' })
      expect(error).toBeInstanceOf(AttestdError)
    }
  })

  it('have their thumbprint as kid unless an operator fixed another', () => {
    const key = ec('P-256')
    expect(importSigningKey(key, 'ES256').kid).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(importSigningKey(key, 'ES256', 'A.b-c_1')).toMatchObject({ kid: 'A.b-c_1', publicJwk: { kid: 'A.b-c_1' } })
    expect(importSigningKey(key, 'ES256', 'x'.repeat(64)).kid).toHaveLength(64)
    for (const kid of ['', 'x'.repeat(65), 'a/b', 'ä']) expect(() => importSigningKey(key, 'ES256', kid)).toThrow()
  })
})
