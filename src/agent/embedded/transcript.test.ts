import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { embeddedIssuer, embeddedRequest } from '../../../test/support/embedded-machine.ts'
import { toBase64url, toHex } from '../../base/bytes.ts'
import { deriveReportData, deriveSeed, encodeTokenRequest } from '../../evidence/binding.ts'
import { hashLeaf, verifyInclusion } from '../../evidence/request-tree.ts'
import type { TokenRequest } from '../../results/token-request.ts'
import { batchRequests, commitmentOf, saltRequest, seedOf, type TokenTranscript } from './transcript.ts'

const salted = (change: Partial<TokenRequest> = {}, salt = 1) =>
  saltRequest(embeddedRequest(change), (size) => new Uint8Array(size).fill(salt))
const transcript: TokenTranscript = {
  verifier: embeddedIssuer,
  challenge: new Uint8Array(32).fill(0xc0),
  batch: batchRequests([salted()]),
}
const asking = (change: Partial<TokenRequest>): TokenTranscript => ({
  ...transcript,
  batch: batchRequests([salted(change)]),
})

describe('the seed of a batch', () => {
  it('of one request is that of a tree whose only leaf is the request (BRK-86, BRK-90, BRK-91)', () => {
    const { challenge, verifier } = transcript
    const root = hashLeaf(encodeTokenRequest(embeddedRequest(), new Uint8Array(16).fill(1)))
    const seed = deriveSeed({ purpose: 'token', verifier, challenge, root, size: 1, agentKey: null })
    expect(seedOf(transcript)).toEqual(seed)
  })

  it('of three requests is that of the worked example', () => {
    const policyIds = ['default']
    const batch = batchRequests([
      salted({ audience: ['https://b.example', 'https://a.example'], policyIds }, 1),
      salted({ audience: ['https://rp.example'], nonces: ['nonce-0001', 'nonce-0002'], ttlS: 600, policyIds }, 2),
      salted({ audience: ['sts.aliyuncs.com'], policyIds }, 3),
    ])
    const example = { verifier: 'https://verifier.example', challenge: new Uint8Array(32).fill(0xc0), batch }
    expect(toHex(batch.tree.root)).toBe('0ce2f9707ecaf59971a25bf8a40b730a2e775290b361083740834430e83ad59b')
    expect(toHex(seedOf(example))).toBe(
      '07cd5aa48447b692922d919ae093a9644670aaaa90362f88370abe7b8351a824783275db51f5ebbe029e148189543245',
    )
    const third = commitmentOf(example, new Uint8Array(), 2)
    expect(third.path.map(toHex)).toEqual(['59d829bbbdd97529780df7c6a77ec833c6ad9ce1b443db6d8c43338437afbac2'])
    expect(third).toMatchObject({ index: 2, size: 3, ttlS: null, policyIds, salt: new Uint8Array(16).fill(3) })
    expect(toHex(deriveReportData(seedOf(example), new Uint8Array())).slice(0, 64)).toBe(
      '4a57d9cf82d5bb9d6c543a64ff1e35897023a9762146c18c2bcefd535495bbb4',
    )
  })

  it.each<[string, TokenTranscript]>([
    ['verifier', { ...transcript, verifier: 'https://other.example' }],
    ['challenge', { ...transcript, challenge: new Uint8Array(32) }],
    ['salt', { ...transcript, batch: batchRequests([salted({}, 2)]) }],
    ['neighbour', { ...transcript, batch: batchRequests([salted(), salted({}, 2)]) }],
    ['audience', asking({ audience: ['https://other.example'] })],
    ['nonces', asking({ nonces: ['nonce-0001'] })],
    ['life', asking({ ttlS: 60 })],
    ['policies', asking({ policyIds: ['strict'] })],
    ['key', asking({ cnf: { jkt: toBase64url(new Uint8Array(32)), jwk: {} } })],
  ])('is another one for another %s', (_what, other) => {
    expect(toHex(seedOf(other))).not.toBe(toHex(seedOf(transcript)))
  })

  it('takes 16 bytes of salt from the random source', () => {
    const drawn = saltRequest(embeddedRequest(), (size) => new Uint8Array(size).fill(size))
    expect(drawn.salt).toEqual(new Uint8Array(16).fill(16))
  })
})

describe('a batch', () => {
  it('of equal requests has a leaf for each, told apart by their salts', () => {
    const { tree, requests } = batchRequests([salted({}, 1), salted({}, 2), salted({}, 3)])
    expect(new Set(requests.map(({ leaf }) => toHex(leaf))).size).toBe(3)
    for (const [index, { leaf }] of requests.entries()) {
      const proof = { index, size: 3, path: tree.paths[index] ?? [] }
      expect(verifyInclusion(leaf, proof, tree.root)).toBe(true)
    }
  })

  it('is never made of requests with the same salt (SVC-53)', () => {
    expect(() => batchRequests([salted({}, 1), salted({ nonces: ['nonce-0001'] }, 1)])).toThrow(TypeError)
    expect(() => batchRequests([])).toThrow(RangeError)
  })

  it('shows of the neighbours of a request hashes alone, under salts that it does not show', () => {
    const secret = salted({ audience: ['https://secret.example'] }, 2)
    const shown = JSON.stringify(
      commitmentOf({ ...transcript, batch: batchRequests([salted(), secret]) }, new Uint8Array(), 0),
      (_, value) => (value instanceof Uint8Array ? toHex(value) : value),
    )
    const unsalted = createHash('sha256')
      .update(encodeTokenRequest(secret.request, new Uint8Array(16)))
      .digest('hex')
    expect(shown).toContain(toHex(secret.leaf))
    for (const hidden of ['secret.example', toHex(secret.salt), unsalted]) expect(shown).not.toContain(hidden)
  })

  it('has no place for who is not in it', () => {
    expect(() => commitmentOf(transcript, new Uint8Array(), 1)).toThrow(TypeError)
  })
})
