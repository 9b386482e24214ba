import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createSimulator } from '../../../mocks/tdx/simulator.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { base64url, createTestIssuer, type Members } from '../../../test/support/test-issuer.ts'
import { AttestdError } from '../../base/errors.ts'
import { canonicalJson, type JsonObject } from '../../base/json.ts'
import { parseQuote } from '../../evidence/tdx/quote.ts'
import { composeAlibabaClaims } from '../../results/alibaba-claims.ts'
import { quoteClaims } from '../../verifier/tdx/quote-claims.ts'
import { classifyFailure } from '../failure.ts'
import { acceptRemoteToken, type RemoteTokenTrust } from './accept-remote-token.ts'
import { membersProblem, quotedMembers } from './quoted-members.ts'

const url = 'https://attest.example'
const clock = new FakeClock(Date.UTC(2026, 5, 1))
const now = clock.now() / 1000
const simulator = createSimulator({ clock })
const issuer = createTestIssuer('RS256')
const reportData = Uint8Array.from({ length: 64 }, (_, at) => at + 1)
const quote = simulator.quote({ version: 5, bodyType: 3, reportData })
const sent = { reportData, members: quotedMembers(quote), at: clock.now() }
const trust: RemoteTokenTrust = {
  issuer: url,
  audience: url,
  keys: { jwks: { keys: [issuer.jwk] } },
  allowDebug: false,
  allowSimulated: false,
  maxLifetimeS: 86_400,
  clock,
}

const honest = (): Members =>
  composeAlibabaClaims({
    issuer: url,
    issuedAt: now,
    expiresAt: now + 21_600,
    jti: '039cdfc9-6ec1-41d4-8da8-6a59584c2fa9',
    tee: 'tdx',
    claims: { tdx: quoteClaims(parseQuote(quote)) },
    simulated: false,
    policies: [{ id: 'default', hash: null }],
  })

/** `accepted`, or class and rule. */
async function verdict(token: string, change: Partial<RemoteTokenTrust> = {}, policyIds: readonly string[] = []) {
  try {
    await acceptRemoteToken(token, { ...trust, ...change }, { sent, policyIds })
    return 'accepted'
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    const { class: failureClass, error: said } = classifyFailure(error, 'accept', 0)
    return `${failureClass} ${said.facts['check'] ?? said.facts['cause_code'] ?? said.facts['skew_s']}`
  }
}

const changed = (change: Members) => issuer.sign({ ...honest(), ...change })

function without(name: string): string {
  const { [name]: _, ...rest } = honest()
  return issuer.sign(rest)
}

function inStatus(change: (members: JsonObject) => void): string {
  const members: JsonObject = JSON.parse(String(honest()['tcb-status']))
  change(members)
  return changed({ 'tcb-status': canonicalJson(members) })
}

function unsignedBy(alg: string, key?: string): string {
  const input = `${base64url(JSON.stringify({ alg, kid: issuer.kid, typ: 'JWT' }))}.${base64url(JSON.stringify(honest()))}`
  return `${input}.${key === undefined ? 'AA' : createHmac('sha256', key).update(input).digest('base64url')}`
}

/** A header key is no source of trust, whoever signed (TOK-74). */
const embedding = (signer: ReturnType<typeof createTestIssuer>) =>
  signer.sign(honest(), { alg: 'RS256', kid: issuer.kid, typ: 'JWT', jwk: signer.jwk })

const pem = () => issuer.publicKey.export({ format: 'pem', type: 'spki' }).toString()

describe('a token of the service', () => {
  it('is accepted when every check passes', async () => {
    expect(await verdict(issuer.sign(honest()))).toBe('accepted')
  })

  const header = { alg: 'RS256', kid: issuer.kid, typ: 'JWT' }
  const text = () => JSON.stringify(honest())

  it.each<[string, () => string, string]>([
    ['no JWS (BRK-100)', () => 'a.b', 'bad-token TOK-70'],
    ['a newline (BRK-100)', () => `${issuer.sign(honest())}\n`, 'bad-token TOK-70'],
    ['a duplicate member (BRK-100)', () => issuer.sign(`{"iss":"x",${text().slice(1)}`), 'bad-token TOK-71'],
    [
      '65 537 characters (BRK-100)',
      () => `${issuer.sign(honest())}${'A'.repeat(65_537)}`.slice(0, 65_537),
      'bad-token TOK-70',
    ],
    ['no signature (BRK-101)', () => unsignedBy('none'), 'bad-token TOK-80'],
    ['a MAC under the public key (BRK-101)', () => unsignedBy('HS256', pem()), 'bad-token TOK-80'],
    ['another algorithm (BRK-101)', () => createTestIssuer('ES256').sign(honest()), 'bad-token TOK-80'],
    ['crit (BRK-101)', () => issuer.sign(honest(), { ...header, crit: ['x'], x: 1 }), 'bad-token TOK-73'],
    ['an embedded key that signed it (BRK-102)', () => embedding(createTestIssuer('RS256')), 'bad-token TOK-83'],
    ['an unknown kid (BRK-102)', () => issuer.sign(honest(), { ...header, kid: 'other' }), 'bad-token TOK-81'],
    ['no kid (BRK-102)', () => issuer.sign(honest(), { alg: 'RS256', typ: 'JWT' }), 'bad-token BRK-102'],
    ['another key (BRK-104)', () => createTestIssuer('RS256').sign(honest()), 'bad-token TOK-83'],
    ['another issuer (BRK-105)', () => changed({ iss: `${url}/` }), 'bad-token TOK-90'],
    ['another audience (BRK-105)', () => changed({ aud: 'https://rp.example' }), 'bad-token TOK-91'],
    ['a second audience (BRK-105)', () => changed({ aud: [url, 'https://rp.example'] }), 'bad-token TOK-92'],
    ['no audience (BRK-105)', () => without('aud'), 'bad-token TOK-91'],
    ['no end (BRK-106)', () => without('exp'), 'bad-token TOK-93'],
    ['a fractional end (BRK-106)', () => changed({ exp: now + 600.5 }), 'bad-token TOK-93'],
    ['an end 10 s away (BRK-106)', () => changed({ exp: now + 10 }), 'bad-token BRK-106'],
    ['more than a day (BRK-106)', () => changed({ exp: now + 86_401 }), 'bad-token BRK-106'],
    ['31 s of age (BRK-106)', () => changed({ iat: now - 31, nbf: now - 31 }), 'bad-token BRK-106'],
    ['an hour of age (BRK-106)', () => changed({ iat: now - 3600, nbf: now - 3600 }), 'bad-token TOK-94'],
    [
      'an end that has passed, young as it is (TOK-93)',
      () => changed({ iat: now - 80, nbf: now - 80, exp: now - 40 }),
      'bad-token TOK-93',
    ],
    ['a date 31 s ahead (BRK-65)', () => changed({ iat: now + 31, nbf: now + 31 }), 'clock 31'],
    ['a date an hour ahead (BRK-65)', () => changed({ iat: now + 3600, nbf: now + 3600 }), 'clock 3600'],
    ['a begin 31 s ahead (BRK-106)', () => changed({ nbf: now + 31 }), 'bad-token TOK-93'],
    [
      'a date ahead and another issuer',
      () => changed({ iat: now + 3600, iss: 'https://x.example' }),
      'bad-token TOK-90',
    ],
    ['a date ahead and another profile', () => changed({ iat: now + 3600, eat_profile: 'x' }), 'bad-token TOK-93'],
    ['its audience twice (BRK-105)', () => changed({ aud: [url, url] }), 'bad-token TOK-92'],
    ['no jti', () => without('jti'), 'bad-token BRK-102'],
    ['another profile (BRK-108)', () => changed({ eat_profile: 'urn:attestd:eat:1' }), 'bad-token TOK-100'],
    ['no profile (BRK-108)', () => without('eat_profile'), 'bad-token TOK-100'],
    ['another kind (BRK-108)', () => changed({ tee: 'tpm' }), 'bad-token TOK-101'],
    [
      'a status that is an object',
      () => changed({ 'tcb-status': JSON.parse(String(honest()['tcb-status'])) }),
      'bad-token TOK-102',
    ],
    ['no status (BRK-107)', () => without('tcb-status'), 'bad-token TOK-102'],
    ['an empty status (BRK-107)', () => changed({ 'tcb-status': '{}' }), 'bad-token TOK-103'],
    ['a simulated TD (BRK-108)', () => changed({ attestd: { simulated: true } }), 'bad-token TOK-110'],
    [
      'debug mode in the flag alone (BRK-108)',
      () => inStatus((members) => Object.assign(members, { 'tdx.td_attributes.debug': true })),
      'bad-token TOK-106',
    ],
    [
      'runtime data that do not hash to the report data',
      () => changed({ customized_claims: { init_data: null, runtime_data: { a: 1 } } }),
      'bad-token TOK-104',
    ],
  ])('with %s is refused', async (_, make, expected) => expect(await verdict(make())).toBe(expected))

  it.each([
    ['an end 11 s away', { exp: now + 11 }],
    ['a day', { exp: now + 86_400 }],
    ['30 s of age', { iat: now - 30, nbf: now - 30 }],
    ['a date 30 s ahead', { iat: now + 30, nbf: now + 30 }],
    ['an unknown claim', { 'x-acs-ver': '1' }],
    ['a list of its one audience', { aud: [url] }],
  ])('with %s is accepted', async (_, change) => expect(await verdict(changed(change))).toBe('accepted'))

  it('is accepted in debug mode and simulated where that is configured, and about that quote alone', async () => {
    expect(await verdict(changed({ attestd: { simulated: true } }), { allowSimulated: true })).toBe('accepted')
    const debug = inStatus((members) => {
      members['tdx.quote.body.td_attributes'] = '0100001000000000'
      members['tdx.td_attributes.debug'] = true
    })
    expect(await verdict(debug, { allowDebug: true })).toBe('bad-token BRK-107')
  })

  it('is judged by the configured keys, whatever its header embeds', async () => {
    expect(await verdict(embedding(issuer))).toBe('accepted')
  })

  it('needs the policies that were asked for', async () => {
    expect(await verdict(issuer.sign(honest()), {}, ['default'])).toBe('accepted')
    expect(await verdict(issuer.sign(honest()), {}, ['default', 'strict'])).toBe('bad-token TOK-109')
  })

  it('is refused with any character changed, and never by a bug', async () => {
    const token = issuer.sign(honest())
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: token.length - 1 }),
        fc.constantFrom('A', 'z', '-', '.', '='),
        async (at, letter) => {
          fc.pre(token[at] !== letter)
          expect(await verdict(token.slice(0, at) + letter + token.slice(at + 1))).toMatch(/^bad-token /)
        },
      ),
      { numRuns: 200 },
    )
  })
})

describe('the quote in the token is the quote that was sent (BRK-107)', () => {
  const forms = [
    { version: 4, bodyType: 2 },
    { version: 5, bodyType: 2 },
    { version: 5, bodyType: 3 },
    { version: 5, bodyType: 4 },
  ] as const

  describe.each(forms)('version $version, body $bodyType', (form) => {
    const quoted = quotedMembers(simulator.quote({ ...form, reportData }))
    const claim = (change: (members: Record<string, unknown>) => void) => {
      const members = { ...quoted }
      change(members)
      return JSON.stringify(members)
    }

    it.each(Object.keys(quoted))('%s changed, or of another type, is found', (name) => {
      const value = quoted[name]
      const other = typeof value === 'boolean' ? !value : value?.replace(/.$/, (last) => (last === '0' ? '1' : '0'))
      for (const wrong of [other, String(value).toUpperCase() === value ? `${value} ` : String(value).toUpperCase()]) {
        if (wrong === value) continue
        const problem = membersProblem(
          claim((members) => Object.assign(members, { [name]: wrong })),
          quoted,
        )
        expect(problem).toBe(`${name} is not that of the quote that was sent`)
      }
    })

    it.each(Object.keys(quoted))('%s left out is found, unless it is a single flag of the attributes', (name) => {
      const problem = membersProblem(
        claim((members) => delete members[name]),
        quoted,
      )
      if (name.startsWith('tdx.td_attributes.')) expect(problem).toBeUndefined()
      else expect(problem).toContain(name)
    })

    it('what the quote does not say is found; what is not about the quote is ignored', () => {
      const add = (name: string) =>
        membersProblem(
          claim((members) => Object.assign(members, { [name]: '00' })),
          quoted,
        )
      expect(add('tdx.quote.body.mr_extra')).toContain('says more of the quote')
      expect(add('tdx.uefi')).toBeUndefined()
    })

    it('all of it is accepted', () => expect(membersProblem(JSON.stringify(quoted), quoted)).toBeUndefined())
  })

  it('a claim that is no text is found', () => {
    for (const claim of [undefined, null, {}, 7]) expect(membersProblem(claim, sent.members)).toContain('no text')
  })
})
