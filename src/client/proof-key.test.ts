import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } from 'jose'
import { describe, expect, it } from 'vitest'
import { createProofKey } from './proof-key.ts'

const request = { method: 'POST', url: 'HTTPS://RP.example:443/a%20b?secret=1#part', token: 'aaa.bbb.ccc' }

describe('a proof', () => {
  it.each([
    ['ES256', undefined],
    ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey],
    ['ES384', generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey],
    ['EdDSA', generateKeyPairSync('ed25519').privateKey],
    ['RS256', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey],
  ])('by %s verifies, by jose, under the key that it names (TOK-141)', async (alg, privateKey) => {
    const key = createProofKey(privateKey)
    const proof = key.prove({ ...request, nonce: 'n1' })
    const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, { typ: 'dpop+jwt', maxTokenAge: 60 })
    expect(protectedHeader).toEqual({ typ: 'dpop+jwt', alg, jwk: key.jwk })
    expect(payload).toEqual({
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
      htm: 'POST',
      htu: 'https://rp.example/a%20b',
      iat: expect.any(Number),
      ath: createHash('sha256').update(request.token).digest('base64url'),
      nonce: 'n1',
    })
    expect(key.jkt).toBe(await calculateJwkThumbprint(key.jwk))
  })

  it('holds no private member, and no two are alike', () => {
    const key = createProofKey()
    expect(Object.keys(key.jwk).sort()).toEqual(['crv', 'kty', 'x', 'y'])
    expect(key.prove(request)).not.toBe(key.prove(request))
    const { header } = {
      header: JSON.parse(Buffer.from(key.prove(request).split('.')[0] ?? '', 'base64url').toString()),
    }
    expect(Object.keys(header.jwk)).not.toContain('d')
  })

  it.each([
    ['a curve that no proof may use', generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey],
    ['a key for agreements', generateKeyPairSync('x25519').privateKey],
    ['a public key', createPublicKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)],
  ])('is not made with %s', (_, key) => {
    expect(() => createProofKey(key).prove(request)).toThrow(TypeError)
  })
})
