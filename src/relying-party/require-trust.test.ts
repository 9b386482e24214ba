import { expect, it } from 'vitest'
import { createTestIssuer } from '../../test/support/test-issuer.ts'
import { requireTrust } from './require-trust.ts'

it('remembers proofs of many keys, and of one key a quarter of all: nobody fills the memory alone (TOK-142)', async () => {
  const { proofReplayCache } = requireTrust({
    issuer: 'https://verifier.test',
    audience: 'https://rp.test',
    keys: { jwks: { keys: [createTestIssuer('ES256').jwk] } },
    tee: ['tdx'],
    measurements: null,
    clientId: 'client-1',
  })
  const entry = { issuer: 'key', expiresAt: 120, now: 0 }
  const verdicts = new Map<string, number>()
  for (let at = 0; at <= 25_000; at++) {
    const verdict = await proofReplayCache.admit({ ...entry, jti: String(at) })
    verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1)
  }
  expect([...verdicts]).toEqual([
    ['admitted', 25_000],
    ['full', 1],
  ])
  expect(await proofReplayCache.admit({ ...entry, issuer: 'other', jti: '0' })).toBe('admitted')
})
