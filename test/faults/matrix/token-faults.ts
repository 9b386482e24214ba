import { createSimulator } from '../../../mocks/tdx/simulator.ts'
import { parseQuote } from '../../../src/evidence/tdx/quote.ts'
import { acceptRemoteToken } from '../../../src/passport/remote/accept-remote-token.ts'
import { quotedMembers } from '../../../src/passport/remote/quoted-members.ts'
import { composeAlibabaClaims } from '../../../src/results/alibaba-claims.ts'
import { quoteClaims } from '../../../src/verifier/tdx/quote-claims.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { type Behaviour, tokenRequest, upstreamErrors } from '../../support/fake-token-source.ts'
import { base64url, createTestIssuer, type Members } from '../../support/test-issuer.ts'
import type { Probe, SimulatedFault } from './fault.ts'
import { FaultRoom } from './fault-room.ts'

const rp = tokenRequest()

/** What an issuer may send in place of a token that is good: by the broker's own checks, and by those of its source. */
const badTokens: Readonly<Record<string, Behaviour>> = {
  'a token that does not verify': { kind: 'forge' },
  'a verifier that speaks no sense': { kind: 'forge', error: upstreamErrors.error('UPSTREAM_GARBLED', 'garbled') },
  'another audience': { kind: 'issue', audience: ['https://evil.example'] },
  'a second audience': { kind: 'issue', audience: ['https://rp.example', 'https://evil.example'] },
  'expired at issue': { kind: 'issue', lifeS: -10 },
  'over in 9 s': { kind: 'issue', lifeS: 9 },
  'iat + 1 h': { kind: 'issue', datedS: 3_600 },
  'iat − 1 h': { kind: 'issue', datedS: -3_600, lifeS: 7_200 },
  'a life of 25 h': { kind: 'issue', lifeS: 90_000 },
}

async function atTheBroker(probe: Probe): Promise<void> {
  for (const [name, behaviour] of Object.entries(badTokens)) {
    const room = new FaultRoom(probe, { warm: [rp] }).keepFresh()
    await room.clock.advance(2_000)
    room.source.behaviour = behaviour
    room.broker.invalidate({ all: true, hard: false })
    const served = await room.live(600_000, 10_000)
    probe.expect(served === 60, `${name}: the old token was not kept`)
    probe.expect(room.source.calls.length <= 40, `${name}: ${room.source.calls.length} attempts in 10 min`)
    const stored = room.eventsOf('stored').length
    probe.expect(stored === 1, `${name}: it was stored`)
    room.source.behaviour = { kind: 'issue' }
    await room.clock.advance(61_000)
    await room.recover(1)
    await room.stop()
  }
}

const url = 'https://attest.example'
const clock = new FakeClock(Date.UTC(2026, 5, 1))
const now = clock.now() / 1000

/** The token of a remote service, and everything that may be wrong with it. */
function remoteTokens() {
  const [issuer, foreign] = [createTestIssuer('RS256'), createTestIssuer('RS256')]
  const reportData = Uint8Array.from({ length: 64 }, (_, at) => at + 1)
  const quote = createSimulator({ clock }).quote({ version: 5, bodyType: 3, reportData })
  const claims: Members = composeAlibabaClaims({
    ...{ issuer: url, issuedAt: now, expiresAt: now + 21_600, jti: '039cdfc9-6ec1-41d4-8da8-6a59584c2fa9', tee: 'tdx' },
    ...{ claims: { tdx: quoteClaims(parseQuote(quote)) }, simulated: false, policies: [{ id: 'default', hash: null }] },
  })
  const unsigned = (alg: string) => {
    const text = (value: Members) => base64url(JSON.stringify(value))
    return `${text({ alg, kid: issuer.kid, typ: 'JWT' })}.${text(claims)}.c2ln`
  }
  const changed = (change: Members) => issuer.sign({ ...claims, ...change })
  const bad: Readonly<Record<string, string>> = {
    'another key': foreign.sign(claims),
    none: unsigned('none'),
    HS256: unsigned('HS256'),
    'an embedded key': foreign.sign(claims, { alg: 'RS256', kid: issuer.kid, typ: 'JWT', jwk: foreign.jwk }),
    'another issuer': changed({ iss: 'https://evil.example' }),
    'another audience': changed({ aud: 'https://evil.example' }),
    'expired at issue': changed({ exp: now - 1 }),
    'iat + 1 h': changed({ iat: now + 3_600, nbf: now + 3_600 }),
    'iat − 1 h': changed({ iat: now - 3_600, nbf: now - 3_600 }),
    'duplicate members': issuer.sign(`{"iss":"x",${JSON.stringify(claims).slice(1)}`),
    'another echo': changed({ 'tcb-status': '{}' }),
    'too long': `${issuer.sign(claims)}${'A'.repeat(65_537)}`,
  }
  const sent = { reportData, members: quotedMembers(quote), at: clock.now() }
  return { good: issuer.sign(claims), bad, sent, jwk: issuer.jwk }
}

async function atTheRemoteSource(probe: Probe): Promise<void> {
  const { good, bad, sent, jwk } = remoteTokens()
  const trust = {
    ...{ issuer: url, audience: url, keys: { jwks: { keys: [jwk] } }, allowDebug: false, allowSimulated: false },
    ...{ maxLifetimeS: 86_400, clock },
  }
  const accepts = (token: string) =>
    acceptRemoteToken(token, trust, { sent, policyIds: [] }).then(
      () => true,
      () => false,
    )
  probe.expect(await accepts(good), 'a good token was refused')
  for (const [name, token] of Object.entries(bad)) probe.expect(!(await accepts(token)), `${name} was accepted`)
}

export const tokenFaults: readonly SimulatedFault[] = [
  {
    id: 'F08',
    fault: 'bad tokens',
    done: 'another key, `none`, HS256, embedded `jwk`, wrong `iss`, `aud` or echo, expired at issue, `iat` ± 1 h, too long, duplicate members: refused; the old token is served, nothing bad is stored',
    recoveryS: 1,
    run: async (probe) => {
      await atTheRemoteSource(probe)
      await atTheBroker(probe)
    },
  },
]
