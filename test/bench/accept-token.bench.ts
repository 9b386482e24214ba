import { importJWK, jwtVerify } from 'jose'
import { bench, describe } from 'vitest'
import { createTokenVerifier } from '../../src/relying-party/index.ts'
import { attestdPayload, createTestIssuer, tokenNow } from '../support/test-issuer.ts'

/**
 * What the checks of a relying party cost over the bare verification of `jose`, with cached keys. The summary of the run
 * prints the ratio for each algorithm.
 */
const clock = { now: () => tokenNow * 1000, monotonic: () => 0, sleep: async () => undefined }

for (const alg of ['RS256', 'ES256', 'EdDSA'] as const) {
  const issuer = createTestIssuer(alg)
  const token = issuer.sign(attestdPayload())
  const verifier = createTokenVerifier({
    issuer: 'https://verifier.test',
    audience: 'https://rp.test',
    keys: { jwks: { keys: [issuer.jwk] } },
    tee: ['acstdxnvgpu'],
    measurements: { mr_td: ['aa'.repeat(48)] },
    clientId: 'client-1',
    clock,
  })
  const key = importJWK(issuer.jwk)
  const options = {
    issuer: 'https://verifier.test',
    audience: 'https://rp.test',
    currentDate: new Date(tokenNow * 1000),
  }

  describe(`accept a token of ${token.length} characters, ${alg}`, () => {
    bench('jose jwtVerify', async () => {
      await jwtVerify(token, await key, options)
    })
    bench('accept', async () => {
      await verifier.accept(token, { eatNonce: 'nonce-of-the-guest' })
    })
  })
}
