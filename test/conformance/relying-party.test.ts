import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAudiencePolicies } from '../../src/issuer/audience-policies.ts'
import { createIssuerServer } from '../../src/issuer/issuer-server.ts'
import { requireIssuerUrl } from '../../src/issuer/issuer-url.ts'
import type { KeyRing } from '../../src/issuer/key-ring.ts'
import { openKeyRing } from '../../src/issuer/open-key-ring.ts'
import { type SigningAlgorithm, signingAlgorithms } from '../../src/issuer/signing-key.ts'
import { createTokenIssuer } from '../../src/issuer/token-issuer.ts'
import { createTokenVerifier } from '../../src/relying-party/index.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { rsaKey, tpmRequest } from '../support/issuing.ts'

const audience = 'https://rp.example'
const eatNonce = 'a-nonce-of-this-exchange'
const clock = new FakeClock()
const subject = { subject: { mode: 'ek' }, lifetimeS: 900, consumer: null, maxCharacters: 8192 } as const

let keys: KeyRing
let server: Server
let issuer: string

beforeAll(async () => {
  const options = { purpose: 'id-token', store: 'ephemeral', algorithms: signingAlgorithms, clock } as const
  keys = await openKeyRing({ ...options, initialKeys: [rsaKey()] })
  server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  issuer = requireIssuerUrl(origin, { allowLoopbackHttp: true })
  const app = createIssuerServer({ issuer, keys, endpoints: {} })
  await app.ready()
  server.on('request', app.routing)
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

async function issue(algorithm: SigningAlgorithm): Promise<string> {
  const audiences = createAudiencePolicies({ issuer, fallback: { ...subject, algorithm } })
  const random = (size: number) => new Uint8Array(randomBytes(size))
  const made = createTokenIssuer({ issuer, keys, audiences, clock, random })
  const request = tpmRequest(clock.now(), { audience: [audience], nonces: [eatNonce], freshness: 'challenge' })
  return (await made.issueToken(request)).token
}

const verifier = (tee: readonly ('tpm' | 'tdx')[] = ['tpm']) =>
  createTokenVerifier({
    issuer,
    audience,
    keys: { discovery: { allowLoopbackHttp: true } },
    tee,
    measurements: tee.includes('tpm') ? { 'tpm.pcr.4': ['cd'], 'tpm.ak_trusted': [true] } : null,
    clock,
  })

describe('a relying party with discovery, and tokens of this issuer', () => {
  it.each(signingAlgorithms)('accepts %s', async (algorithm) => {
    const accepted = await verifier().accept(await issue(algorithm), { eatNonce })
    expect(accepted).toMatchObject({
      issuer,
      audience: [audience],
      tee: 'tpm',
      freshness: 'challenge',
      simulated: false,
    })
    expect(accepted.subject).toMatch(/^attestd:v1:ek:/)
    expect(accepted.kid).toBe(keys.signingKey(algorithm).kid)
  })

  it('refuses a kind that it does not accept, and a nonce that it did not send', async () => {
    const token = await issue('ES256')
    await expect(verifier(['tdx']).accept(token)).rejects.toMatchObject({ facts: { check: 'token.tee' } })
    await expect(verifier().accept(token, { eatNonce: 'another-nonce' })).rejects.toMatchObject({
      facts: { check: 'token.nonce' },
    })
  })

  it('finds a new key at its first token, and from then on refuses the revoked one', async () => {
    const relying = verifier()
    await relying.accept(await issue('ES384'))
    const revoked = await issue('ES384')
    await keys.revoke(keys.signingKey('ES384').kid, { signAtOnce: true })
    await relying.accept(await issue('ES384'))
    await expect(relying.accept(revoked)).rejects.toMatchObject({ facts: { check: 'token.key' } })
  })
})
