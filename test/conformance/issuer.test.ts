import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createRemoteJWKSet, errors, jwtVerify } from 'jose'
import * as client from 'openid-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAudiencePolicies } from '../../src/issuer/audience-policies.ts'
import { createIssuerServer } from '../../src/issuer/issuer-server.ts'
import { requireIssuerUrl } from '../../src/issuer/issuer-url.ts'
import type { KeyRing } from '../../src/issuer/key-ring.ts'
import { openKeyRing } from '../../src/issuer/open-key-ring.ts'
import { type SigningAlgorithm, signingAlgorithms } from '../../src/issuer/signing-key.ts'
import { createTokenIssuer, type IssueRequest } from '../../src/issuer/token-issuer.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { rsaKey, tpmRequest } from '../support/issuing.ts'

const clientId = 'rp-client'
const clock = new FakeClock(Date.now())
const fallback = {
  subject: { mode: 'ek' },
  algorithm: 'RS256',
  lifetimeS: 900,
  consumer: null,
  maxCharacters: 8192,
} as const

let keys: KeyRing
let server: Server
let issuer: string
/** What the token endpoint hands over next. */
let idToken = ''

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** A token endpoint that hands over `idToken`, at the origin of the issuer's documents. */
function withTokenEndpoint(documents: Handler): Handler {
  return (request, response) => {
    if (request.url !== '/token') return documents(request, response)
    request.resume()
    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    response.end(JSON.stringify({ access_token: 'opaque', token_type: 'Bearer', id_token: idToken }))
  }
}

beforeAll(async () => {
  const algorithms = signingAlgorithms
  keys = await openKeyRing({ purpose: 'id-token', store: 'ephemeral', algorithms, clock, initialKeys: [rsaKey()] })
  server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  issuer = requireIssuerUrl(`http://127.0.0.1:${port}`, { allowLoopbackHttp: true })
  const app = createIssuerServer({ issuer, keys, endpoints: { token_endpoint: '/token' } })
  await app.ready()
  server.on('request', withTokenEndpoint(app.routing))
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

async function issue(algorithm: SigningAlgorithm, change: Partial<IssueRequest> = {}, from = issuer): Promise<string> {
  const audiences = createAudiencePolicies({ issuer: from, fallback: { ...fallback, algorithm } })
  const random = (size: number) => new Uint8Array(randomBytes(size))
  const made = createTokenIssuer({ issuer: from, keys, audiences, clock, random })
  return (await made.issueToken(tpmRequest(clock.now(), { audience: [clientId], ...change }))).token
}

function damage(token: string): string {
  const [header, payload, signature = ''] = token.split('.')
  const bytes = Buffer.from(signature, 'base64url')
  bytes[10] = (bytes[10] ?? 0) ^ 1
  return [header, payload, bytes.toString('base64url')].join('.')
}

describe('jose with a remote key set', () => {
  const verify = (token: string, options = {}) =>
    jwtVerify(token, createRemoteJWKSet(new URL(`${issuer}/jwks.json`)), { issuer, audience: clientId, ...options })

  it.each(signingAlgorithms)('accepts a token signed with %s', async (algorithm) => {
    const { payload, protectedHeader } = await verify(await issue(algorithm), {
      algorithms: [algorithm],
      typ: 'JWT',
      maxTokenAge: 900,
      requiredClaims: ['sub', 'jti', 'nbf', 'exp'],
    })
    expect(protectedHeader).toEqual({ alg: algorithm, kid: keys.signingKey(algorithm).kid, typ: 'JWT' })
    expect(payload.sub).toMatch(/^attestd:v1:ek:/)
  })

  it('refuses a damaged signature, another audience and another issuer', async () => {
    await expect(verify(damage(await issue('ES256')))).rejects.toThrow(errors.JWSSignatureVerificationFailed)
    await expect(verify(await issue('ES256', { audience: ['other'] }))).rejects.toThrow(errors.JWTClaimValidationFailed)
    await expect(verify(await issue('ES256', {}, 'https://other.example'))).rejects.toThrow(
      errors.JWTClaimValidationFailed,
    )
  })

  it('knows a revoked key no more, and finds its successor', async () => {
    const before = await issue('ES384')
    await keys.revoke(keys.signingKey('ES384').kid, { signAtOnce: true })
    await expect(verify(before)).rejects.toThrow(errors.JWKSNoMatchingKey)
    expect((await verify(await issue('ES384'))).payload.aud).toBe(clientId)
  })
})

describe('openid-client with signature checks', () => {
  const verifier = client.randomPKCECodeVerifier()
  const discover = (algorithm: SigningAlgorithm) =>
    client.discovery(new URL(issuer), clientId, { id_token_signed_response_alg: algorithm }, client.None(), {
      execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks],
    })

  async function redeem(algorithm: SigningAlgorithm, expectedNonce?: string) {
    const callback = new URL('https://rp.example/callback?code=abc')
    const checks = { pkceCodeVerifier: verifier, idTokenExpected: true, ...(expectedNonce ? { expectedNonce } : {}) }
    const tokens = await client.authorizationCodeGrant(await discover(algorithm), callback, checks)
    return tokens.claims()
  }

  it('finds the issuer by discovery', async () => {
    const metadata = (await discover('RS256')).serverMetadata()
    expect(metadata).toMatchObject({ issuer, jwks_uri: `${issuer}/jwks.json`, token_endpoint: `${issuer}/token` })
    expect([...(metadata.id_token_signing_alg_values_supported ?? [])].sort()).toEqual([...signingAlgorithms].sort())
  })

  it.each(signingAlgorithms)('accepts an ID token signed with %s', async (algorithm) => {
    idToken = await issue(algorithm, { openid: { nonce: 'n-0S6_WzA2Mj', clientId, authTime: true } })
    expect(await redeem(algorithm, 'n-0S6_WzA2Mj')).toMatchObject({
      iss: issuer,
      aud: clientId,
      nonce: 'n-0S6_WzA2Mj',
      acr: 'urn:attestd:acr:tpm',
      tpm: { pcr: { '4': 'cd' } },
    })
  })

  it('accepts several audiences because of azp (TOK-16)', async () => {
    idToken = await issue('RS256', { audience: ['https://rp.example', clientId], openid: { clientId } })
    expect(await redeem('RS256')).toMatchObject({ azp: clientId })
  })

  it.each<[string, () => Promise<string>, string]>([
    ['a damaged signature', async () => damage(await issue('RS256')), 'signature'],
    ['another algorithm than the client registered', () => issue('ES256'), 'alg'],
    [
      'several audiences without azp',
      () => issue('RS256', { audience: ['https://rp.example', clientId] }),
      'additional untrusted audiences',
    ],
    ['another audience', () => issue('RS256', { audience: ['other'] }), 'aud'],
    ['another issuer', () => issue('RS256', {}, 'https://other.example'), 'iss'],
    ['a nonce that was not sent', () => issue('RS256', { openid: { nonce: 'other', clientId } }), 'nonce'],
  ])('refuses %s', async (_, make, word) => {
    idToken = await make()
    const refusal = await redeem('RS256').catch((error: Error) => String((error.cause as Error | undefined)?.message))
    expect(refusal).toContain(word)
  })
})
