import { describe, expect, it } from 'vitest'
import { embeddedIssuer, embeddedRequest } from '../../../test/support/embedded-machine.ts'
import { toBase64url, toHex } from '../../base/bytes.ts'
import { deriveSeed, encodeTokenRequest } from '../../evidence/binding.ts'
import { hashLeaf } from '../../evidence/request-tree.ts'
import type { TokenRequest } from '../../results/token-request.ts'
import { drawSalt, seedOf, type TokenTranscript } from './transcript.ts'

const transcript: TokenTranscript = {
  verifier: embeddedIssuer,
  challenge: new Uint8Array(32).fill(0xc0),
  request: embeddedRequest(),
  salt: new Uint8Array(16).fill(1),
}
const asking = (change: Partial<TokenRequest>): TokenTranscript => ({
  ...transcript,
  request: embeddedRequest(change),
})

describe('the seed of a token request', () => {
  it('is that of a tree whose only leaf is the request (BRK-86, BRK-90, BRK-91)', () => {
    const { request, salt, challenge, verifier } = transcript
    const root = hashLeaf(encodeTokenRequest(request, salt))
    const seed = deriveSeed({ purpose: 'token', verifier, challenge, root, size: 1, agentKey: null })
    expect(seedOf(transcript)).toEqual(seed)
  })

  it.each<[string, TokenTranscript]>([
    ['verifier', { ...transcript, verifier: 'https://other.example' }],
    ['challenge', { ...transcript, challenge: new Uint8Array(32) }],
    ['salt', { ...transcript, salt: new Uint8Array(16) }],
    ['audience', asking({ audience: ['https://other.example'] })],
    ['nonces', asking({ nonces: ['nonce-0001'] })],
    ['life', asking({ ttlS: 60 })],
    ['policies', asking({ policyIds: ['strict'] })],
    ['key', asking({ cnf: { jkt: toBase64url(new Uint8Array(32)), jwk: {} } })],
  ])('is another one for another %s', (_what, other) => {
    expect(toHex(seedOf(other))).not.toBe(toHex(seedOf(transcript)))
  })

  it('takes 16 bytes of salt from the random source', () => {
    expect(drawSalt((size) => new Uint8Array(size).fill(size))).toEqual(new Uint8Array(16).fill(16))
  })
})
