import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { batchRequest, commitBatch, committedPayload } from '../../test/support/committed-token.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { createTestIssuer, type Members, tokenNow } from '../../test/support/test-issuer.ts'
import { toBase64url } from '../base/bytes.ts'
import { encodeTokenRequest } from '../evidence/binding.ts'
import { hashLeaf, hashNode } from '../evidence/request-tree.ts'
import type { TokenTrust } from './token-trust.ts'
import { createTokenVerifier } from './token-verifier.ts'

const issuer = createTestIssuer('ES256')

const trust = (change: Partial<TokenTrust> = {}): TokenTrust => ({
  issuer: 'https://verifier.test',
  audience: 'https://rp.test',
  keys: { jwks: { keys: [issuer.jwk] } },
  tee: ['tdx', 'tpm'],
  measurements: null,
  requireTcbStatus: null,
  requireCommitment: true,
  clock: new FakeClock(tokenNow * 1000),
  ...change,
})

/** Judges the token of the first request, or of another one for its own audience. */
async function judged(payload: Members, change: Partial<TokenTrust> = {}) {
  const audience = String([payload['aud']].flat()[0])
  const { findings, affirmed } = await createTokenVerifier(trust({ audience, ...change })).appraise(
    issuer.sign(payload),
  )
  const { outcome, detail } = findings.find(({ id }) => id === 'token.inclusion') ?? {}
  const others = findings.filter((finding) => finding.outcome === 'failed' && finding.id !== 'token.inclusion')
  return { outcome, detail, others, affirmed }
}

const attestdOf = (payload: Members) => payload['attestd'] as Members
const commitmentOf = (payload: Members) => attestdOf(payload)['commitment'] as Members

function withCommitment(payload: Members, change: Members): Members {
  const attestd = attestdOf(payload)
  return { ...payload, attestd: { ...attestd, commitment: { ...commitmentOf(payload), ...change } } }
}

const kinds = ['tpm', 'tdx', 'tdx+tpm'] as const

describe('the proof that the quote committed to the request (BRK-86, BRK-90 to BRK-93)', () => {
  it.each(kinds.flatMap((kind) => [1, 2, 3, 7, 64].map((size) => [kind, size] as const)))(
    'of every token of a batch is taken: %s, %i requests',
    async (kind, size) => {
      const devices = kind === 'tdx+tpm' ? new Uint8Array(32).fill(7) : new Uint8Array()
      const batch = commitBatch(size, { devices })
      for (const index of new Set([0, 1, size - 2, size - 1].filter((at) => at >= 0 && at < size))) {
        expect(await judged(committedPayload(batch, index, kind))).toEqual({
          outcome: 'passed',
          detail: undefined,
          others: [],
          affirmed: true,
        })
      }
    },
  )

  it('has ten siblings in a batch of 1 024, and room in a token', async () => {
    const payload = committedPayload(commitBatch(1024), 1023)
    expect(commitmentOf(payload)['path']).toHaveLength(10)
    expect(await judged(payload)).toMatchObject({ outcome: 'passed', affirmed: true })
    expect(toBase64url(Buffer.from(JSON.stringify(commitmentOf(payload)))).length).toBeLessThan(1000)
  })

  it('is not needed unless it is demanded, and is judged all the same where it is there', async () => {
    const { attestd, ...rest } = committedPayload(commitBatch(1), 0)
    const { commitment: _none, ...bare } = attestd as Members
    const without = { ...rest, attestd: bare }
    expect(await judged(without)).toMatchObject({ outcome: 'failed', affirmed: false })
    expect(await judged(without, { requireCommitment: false })).toMatchObject({ outcome: 'waived', affirmed: true })
    const wrong = withCommitment(committedPayload(commitBatch(1), 0), { salt: toBase64url(new Uint8Array(16)) })
    expect(await judged(wrong, { requireCommitment: false })).toMatchObject({ outcome: 'failed', affirmed: false })
  })
})

const b64 = (length: number) => toBase64url(new Uint8Array(length).fill(9))
const absent = undefined

/** Fields of the proof, and values that are refused. */
const faults: readonly (readonly [string, readonly unknown[]])[] = [
  ['challenge', [absent, null, 7, '', b64(31), b64(32), b64(33), `${b64(32)}=`, '+'.repeat(43)]],
  ['devices', [absent, null, 7, b64(31), b64(32), b64(33)]],
  ['index', [absent, null, '1', -1, 0.5, 0, 2, 5, 6, 7, 2 ** 53]],
  ['size', [absent, null, '6', 0, -1, 1, 2, 5, 7, 1024, 1025, 6.5, 2 ** 53]],
  ['path', [absent, null, '', [], {}, [b64(32)], [b64(31), b64(32), b64(32)], [b64(32), b64(32), b64(32)], [7, 7, 7]]],
  ['policies', [absent, null, 'default', [], ['other'], ['default', 'default'], ['default', 'x'], [7]]],
  ['salt', [absent, null, 7, '', b64(15), b64(16), b64(17)]],
  ['ttl', [absent, '900', 899, 901, -1, 0.5, null]],
]

describe('a proof that was changed in one field', () => {
  const payload = committedPayload(commitBatch(6), 1)
  const composite = committedPayload(commitBatch(6, { devices: new Uint8Array(32).fill(7) }), 1, 'tdx+tpm')

  it.each(faults.flatMap(([name, values]) => values.map((value) => [name, value] as const)))(
    'is refused, by this check alone: %s = %j',
    async (name, value) => {
      for (const token of [payload, composite]) {
        const changed = withCommitment(token, { [name]: value })
        expect(await judged(changed)).toMatchObject({ outcome: 'failed', others: [], affirmed: false })
      }
    },
  )

  it.each([['another member', { more: 1 }]])('is refused with %s', async (_what, change) => {
    expect(await judged(withCommitment(payload, change))).toMatchObject({
      outcome: 'failed',
      detail: expect.stringContaining('other members'),
    })
  })

  it.each([null, 7, 'x', [], {}])('is refused where it is %j', async (commitment) => {
    const changed = { ...payload, attestd: { ...attestdOf(payload), commitment } }
    expect(await judged(changed)).toMatchObject({ outcome: 'failed', affirmed: false })
  })

  it('is refused whichever byte of its path is another, and with a path that is shorter, longer or in another order', async () => {
    const path = commitmentOf(payload)['path'] as string[]
    const flipped = path.map((sibling, at) =>
      path.with(at, toBase64url(Buffer.from(sibling, 'base64url').map((byte, i) => (i === at ? byte ^ 1 : byte)))),
    )
    const lengths = [path.slice(1), path.slice(0, -1), [...path, path[0]], [...path].reverse()]
    for (const other of [...flipped, ...lengths]) {
      expect(await judged(withCommitment(payload, { path: other }))).toMatchObject({ outcome: 'failed', others: [] })
    }
  })
})

/** Claims of the token by which a relying party goes. */
const claimFaults: readonly (readonly [string, Members])[] = [
  ['another audience', { aud: 'https://other.test' }],
  ['a further audience', { aud: ['https://rp1.test', 'https://other.test'], azp: 'client-1' }],
  ['no nonces', { eat_nonce: undefined }],
  ['one nonce less', { eat_nonce: 'nonce-of-1' }],
  ['its nonces in another order', { eat_nonce: ['nonce-0002', 'nonce-of-1'] }],
  ['a further nonce', { eat_nonce: ['nonce-of-1', 'nonce-0002', 'nonce-0003'] }],
  ['a nonce that is no text', { eat_nonce: ['nonce-of-1', 2] }],
  ['another key', { cnf: { jkt: toBase64url(new Uint8Array(32)) } }],
  ['no key', { cnf: undefined }],
  ['a key that is none', { cnf: { jwk: { kty: 'oct', k: 'AAAA' } } }],
  ['a thumbprint that is too short', { cnf: { jkt: 'AAAA' } }],
  ['two keys', { cnf: { jkt: 'HitlGYWpCmMAdtCZRtJQQoyeapr7RxbLnYH7t-MaOuw', jwk: {} } }],
  ['a longer life', { exp: tokenNow + 871 }],
  ['policies that were not evaluated', { 'evaluation-reports': [] }],
  ['no word of what was quoted', { tpm: {} }],
  ['something else that was quoted', { tpm: { qualifying_data: '00'.repeat(32) } }],
  ['a TD whose report data it keeps to itself', { tee: 'tdx', acr: 'urn:attestd:acr:tdx' }],
]

describe('a token whose request is not the one that was quoted', () => {
  it.each(claimFaults)('is refused: %s', async (_what, change) => {
    const payload = { ...committedPayload(commitBatch(6), 1), ...change }
    expect((await judged(payload, { clientId: 'client-1', allowDebug: true })).outcome).toBe('failed')
  })

  it('is refused where one of two quotes of a composite is of another batch', async () => {
    const devices = new Uint8Array(32).fill(7)
    const [own, other] = [commitBatch(3, { devices }), commitBatch(3, { devices, mark: 2 })].map((batch) =>
      committedPayload(batch, 0, 'tdx+tpm'),
    )
    expect((await judged({ ...own, tpm: other?.['tpm'] })).outcome).toBe('failed')
    expect((await judged({ ...own, tdx: other?.['tdx'] })).outcome).toBe('failed')
  })

  it('names the key itself or its thumbprint, and either is the one that was quoted', async () => {
    const jwk = { kty: 'EC', crv: 'P-256', x: b64(32), y: b64(32) }
    expect((await judged({ ...committedPayload(commitBatch(2), 0), cnf: { jwk } })).detail).toContain('another request')
  })
})

describe('attacks on batches', () => {
  const [first, second] = [commitBatch(8), commitBatch(8, { mark: 2 })]

  it('the proof of one caller does not fit the token of another', async () => {
    const [mine, yours] = [committedPayload(first, 2), committedPayload(first, 3)]
    expect(await judged(withCommitment(mine, commitmentOf(yours)))).toMatchObject({ outcome: 'failed', others: [] })
    const { salt, index, path } = commitmentOf(yours)
    for (const part of [{ salt }, { index }, { path }, { index, path }, { salt, index }]) {
      expect((await judged(withCommitment(mine, part))).outcome).toBe('failed')
    }
  })

  it('a proof of another batch does not fit, nor does its challenge', async () => {
    const [mine, other] = [committedPayload(first, 2), committedPayload(second, 2)]
    expect((await judged(withCommitment(mine, commitmentOf(other)))).outcome).toBe('failed')
    const { challenge } = commitmentOf(other)
    expect((await judged(withCommitment(mine, { challenge }))).outcome).toBe('failed')
  })

  it('an issuer of another name cannot pass on what was attested to this one (BRK-94)', async () => {
    const relayed = { ...committedPayload(first, 2), iss: 'https://other.test' }
    expect((await judged(relayed, { issuer: 'https://other.test' })).outcome).toBe('failed')
  })

  it('an inner node is no leaf, and a leaf is no inner node: the prefixes differ', async () => {
    const [left, right] = [0, 1].map((index) => hashLeaf(encodeTokenRequest(batchRequest(index), new Uint8Array(16))))
    if (left === undefined || right === undefined) throw new TypeError('no leaves')
    const node = hashNode(left, right)
    expect(hashLeaf(Buffer.concat([left, right]))).not.toEqual(node)
    expect(hashLeaf(Buffer.concat([Uint8Array.of(1), left, right]))).not.toEqual(node)
    // One level up, as if the pair were the leaf of a tree of half the size.
    const mine = committedPayload(first, 2)
    const path = commitmentOf(mine)['path'] as string[]
    expect((await judged(withCommitment(mine, { index: 1, size: 4, path: path.slice(1) }))).outcome).toBe('failed')
  })

  it('no proof but its own is taken of any token of any batch', async () => {
    const places = fc.record({
      size: fc.integer({ min: 1, max: 40 }),
      at: fc.nat(),
      other: fc.nat(),
      mark: fc.integer({ min: 1, max: 2 }),
    })
    await fc.assert(
      fc.asyncProperty(places, async ({ size, at, other, mark }) => {
        const [index, otherIndex] = [at % size, other % size]
        const mine = committedPayload(commitBatch(size), index)
        const theirs = commitmentOf(committedPayload(commitBatch(size, { mark }), otherIndex))
        const isOwn = index === otherIndex && mark === 1
        expect((await judged(withCommitment(mine, theirs))).outcome).toBe(isOwn ? 'passed' : 'failed')
      }),
      { numRuns: 60 },
    )
  })
})
