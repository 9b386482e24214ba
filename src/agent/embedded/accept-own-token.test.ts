import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { commitPayload } from '../../../test/support/committed-token.ts'
import { embeddedIssuer, embeddedRequest } from '../../../test/support/embedded-machine.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { createTestIssuer, type Members, tokenNow, tpmPayload } from '../../../test/support/test-issuer.ts'
import { toBase64url } from '../../base/bytes.ts'
import { AttestdError } from '../../base/errors.ts'
import type { TokenRequest } from '../../results/token-request.ts'
import { acceptOwnToken, type OwnTokens, recogniseOwnToken } from './accept-own-token.ts'

const signer = createTestIssuer('RS256')
const clock = new FakeClock(tokenNow * 1000)
const jkt = toBase64url(createHash('sha256').update('key').digest())

/** A token as the bundled issuer makes it for `embeddedRequest()`. */
function ownPayload(change: Members = {}): Members {
  const { eat_nonce, nonce, azp, cnf, amr, auth_time, at_hash, c_hash, ...rest } = tpmPayload()
  const times = { iat: tokenNow, nbf: tokenNow, exp: tokenNow + 900 }
  const reports = { 'evaluation-reports': [{ 'policy-id': 'builtin', 'policy-hash': 'f0'.repeat(32) }] }
  return commitPayload({ ...rest, ...times, ...reports, iss: embeddedIssuer, aud: 'https://rp.example', ...change })
}

const ownTokens = (simulator: boolean): OwnTokens => ({
  ...{ issuer: embeddedIssuer, jwks: () => ({ keys: [signer.jwk] }), simulator, clock },
  ...{ tee: 'tpm', tcbStatuses: null, allowDebug: false },
  reported: () => [{ id: 'builtin', hash: 'f0'.repeat(32) }],
})

async function outcome(payload: Members, change: Partial<TokenRequest> = {}, simulator = false): Promise<string> {
  const own = ownTokens(simulator)
  try {
    await acceptOwnToken(signer.sign(payload), embeddedRequest(change), own)
    return 'accepted'
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    return String(error.facts['check'] ?? error.facts['failed'] ?? error.message)
  }
}

const nonces = ['nonce-0001', 'nonce-0002']
const attestd = (change: Members) => ({ attestd: { ...(tpmPayload()['attestd'] as Members), ...change } })

describe('a token of our own is accepted', () => {
  it.each<[string, Members, Partial<TokenRequest>, boolean?]>([
    ['as asked for', {}, {}],
    ['with the nonce', { eat_nonce: 'nonce-0001' }, { nonces: ['nonce-0001'] }],
    ['with the nonces in their order', { eat_nonce: nonces }, { nonces }],
    ['with the key', { cnf: { jkt } }, { cnf: { jkt, jwk: {} } }],
    ['with the life that was asked for', { exp: tokenNow + 120 }, { ttlS: 120 }],
    ['with a shorter life', { exp: tokenNow + 60 }, { ttlS: 120 }],
    ['of a simulator, as one', attestd({ simulated: true }), {}, true],
  ])('%s', async (_what, members, request, simulator) => {
    expect(await outcome(ownPayload(members), request, simulator)).toBe('accepted')
  })

  it('and described by what was verified', async () => {
    const own = ownTokens(false)
    expect(await acceptOwnToken(signer.sign(ownPayload()), embeddedRequest(), own)).toEqual({
      issuer: embeddedIssuer,
      audience: ['https://rp.example'],
      issuedAt: tokenNow,
      expiresAt: tokenNow + 900,
      jti: '6f1c2f0e-2c8e-4c5a-9a0e-0d1f6f3a7b10',
      kid: 'key-1',
    })
  })
})

describe('a token of our own is refused', () => {
  it.each<[string, Members, Partial<TokenRequest>, string, boolean?]>([
    [
      'with an audience less',
      { aud: ['https://rp.example'] },
      { audience: ['https://rp.example', 'https://more.example'] },
      'BRK-105',
    ],
    ['with a nonce that nobody asked for', { eat_nonce: 'nonce-0001' }, {}, 'BRK-107'],
    ['with one nonce less', { eat_nonce: 'nonce-0001' }, { nonces }, 'BRK-107'],
    ['with its nonces in another order', { eat_nonce: [...nonces].reverse() }, { nonces }, 'BRK-107'],
    ['with a key that nobody asked for', { cnf: { jkt } }, {}, 'BRK-107'],
    ['without the key', {}, { cnf: { jkt, jwk: {} } }, 'BRK-107'],
    ['with another key', { cnf: { jkt } }, { cnf: { jkt: jkt.toUpperCase(), jwk: {} } }, 'BRK-107'],
    ['that lives longer than was asked for', { exp: tokenNow + 121 }, { ttlS: 120 }, 'TOK-44'],
    ['of a simulator that does not say so', {}, {}, 'TOK-04', true],
  ])('%s', async (_what, members, request, expected, simulator) => {
    expect(await outcome(ownPayload(members), request, simulator)).toBe(expected)
  })

  it.each<[string, Members, Partial<TokenRequest>, string]>([
    ['of another issuer', { iss: 'https://other.example' }, {}, 'token.issuer'],
    ['for another audience', { aud: 'https://other.example' }, {}, 'token.audience'],
    ['for an audience more', { aud: ['https://rp.example', 'https://more.example'] }, {}, 'token.azp'],
    ['without the nonce', {}, { nonces: ['nonce-0001'] }, 'token.nonce'],
    ['of a simulator', attestd({ simulated: true }), {}, 'token.simulated'],
    ['of a TD', { tee: 'tdx' }, {}, 'token.tee'],
    ['that has expired', { iat: tokenNow - 900, nbf: tokenNow - 900, exp: tokenNow - 60 }, {}, 'token.times'],
    ['that was issued two minutes ago', { iat: tokenNow - 121, nbf: tokenNow - 121 }, {}, 'token.age'],
    ['of another profile', { eat_profile: 'urn:other' }, {}, 'token.profile'],
  ])('as by any relying party: %s', async (_what, members, request, expected) => {
    expect(await outcome(ownPayload(members), request)).toContain(expected)
  })

  it('that another key signed', async () => {
    const own = ownTokens(false)
    const forged = createTestIssuer('RS256').sign(ownPayload())
    await expect(acceptOwnToken(forged, embeddedRequest(), own)).rejects.toThrow(/token\.signature/)
  })

  it('that does not prove that its request was quoted, or proves it of another one (BRK-86)', async () => {
    const { attestd: _proof, ...unproven } = ownPayload()
    expect(await outcome({ ...unproven, ...attestd({}) })).toContain('token.inclusion')
    const { tpm: other } = ownPayload({ eat_nonce: 'nonce-0001' })
    expect(await outcome({ ...ownPayload(), tpm: other })).toContain('token.inclusion')
  })

  it('that has no jti', async () => {
    const { jti: _, ...rest } = ownPayload()
    expect(await outcome(rest)).toBe('BRK-102')
  })
})

describe('a token of an earlier run (BRK-117)', () => {
  const recognise = (change: Members, signed = signer) =>
    recogniseOwnToken(signed.sign(ownPayload(change)), embeddedRequest(), ownTokens(false))

  it('may be old as long as it is valid', async () => {
    const issuedAt = tokenNow - 80_000
    const times = { iat: issuedAt, nbf: issuedAt, exp: tokenNow + 100 }
    expect(await recognise(times)).toMatchObject({ issuedAt, expiresAt: tokenNow + 100 })
  })

  it('may be without proof that its request was quoted: an older version issued none', async () => {
    const { attestd: proven } = ownPayload()
    const { commitment: _proof, ...unproven } = proven as Members
    const bare = signer.sign({ ...ownPayload(), attestd: unproven })
    const recognised = await recogniseOwnToken(bare, embeddedRequest(), ownTokens(false))
    expect(recognised).toMatchObject({ issuedAt: tokenNow })
  })

  it.each<[string, Members]>([
    ['token.times', { iat: tokenNow - 900, nbf: tokenNow - 900, exp: tokenNow - 60 }],
    ['token.audience', { aud: 'https://other.example' }],
    ['token.issuer', { iss: 'https://other.example' }],
  ])('is refused by the same checks: %s', async (check, change) => {
    await expect(recognise(change)).rejects.toThrow(check)
  })

  it('that a key of today did not sign is refused', async () => {
    await expect(recognise({}, createTestIssuer('RS256'))).rejects.toThrow('token.signature')
  })
})
