import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto'
import fc from 'fast-check'
import { SignJWT } from 'jose'
import * as client from 'openid-client'
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import {
  attestdPayload,
  createTestIssuer,
  type Members,
  signCompact,
  tokenNow,
} from '../../test/support/test-issuer.ts'
import { haveVectors, vectorJson } from '../../test/support/vectors.ts'
import { jwkThumbprint } from '../base/jwk.ts'
import { createProofKey } from '../client/proof-key.ts'
import { appraiseProof, type ProofInputs } from './appraise-proof.ts'
import { DistrustedError } from './errors.ts'
import { type PresentedProof, readDpopRequest } from './presented-proof.ts'
import { proofChallenge } from './proof-challenge.ts'
import { type ProofCheckId, proofChecks } from './proof-checks.ts'
import { createReplayCache, type ReplayEntry } from './replay-cache.ts'
import { normalTarget } from './request-target.ts'
import type { TokenExpectations, TokenTrust } from './token-trust.ts'
import { createTokenVerifier } from './token-verifier.ts'

const issuer = createTestIssuer('ES256')
const holder = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const publicJwk = holder.publicKey.export({ format: 'jwk' }) as Members
const jkt = jwkThumbprint(publicJwk)
const token = issuer.sign({ ...attestdPayload(), cnf: { jkt } })
const ath = createHash('sha256').update(token).digest('base64url')
const url = 'https://rp.test/secret'

const goodHeader = (): Members => ({ typ: 'dpop+jwt', alg: 'ES256', jwk: { ...publicJwk } })
const goodClaims = (): Members => ({ jti: 'proof-0001', htm: 'POST', htu: url, iat: tokenNow, ath })
const signed = (header: Members | string, claims: Members | string, key: KeyObject = holder.privateKey) =>
  signCompact(key, 'sha256', header, claims)
const goodProof = () => signed(goodHeader(), goodClaims())

const presented = (proof: string, change: Partial<PresentedProof> = {}): PresentedProof => ({
  scheme: 'DPoP',
  proofs: [proof],
  method: 'POST',
  url,
  ...change,
})

const trust = (changes: Partial<TokenTrust> = {}): TokenTrust => ({
  issuer: 'https://verifier.test',
  audience: 'https://rp.test',
  keys: { jwks: { keys: [issuer.jwk] } },
  tee: ['tdx', 'acstdxnvgpu'],
  measurements: null,
  clientId: 'client-1',
  clock: new FakeClock(tokenNow * 1000),
  requirePossession: true,
  ...changes,
})

async function outcomes(possession: PresentedProof, change: Partial<ProofInputs> = {}) {
  const appraisal = await appraiseProof({
    presented: possession,
    token,
    confirmation: { jkt },
    algorithms: new Set(['ES256', 'ES384', 'EdDSA', 'RS256', 'PS256'] as const),
    now: tokenNow,
    replayCache: createReplayCache(),
    ...change,
  })
  expect(appraisal.findings.map(({ id }) => id)).toEqual(Object.keys(proofChecks))
  const of = (wanted: string) => appraisal.findings.filter(({ outcome }) => outcome === wanted).map(({ id }) => id)
  return { ...appraisal, failed: of('failed'), passed: of('passed'), unreached: of('unreached') }
}

const absent = Symbol('absent')

function changed(members: Members, name: string, value: unknown): Members {
  const { [name]: _, ...others } = members
  return value === absent ? others : { ...others, [name]: value }
}

type Fault = readonly [member: string, values: readonly unknown[], failed: readonly ProofCheckId[]]

const other = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })
const privateJwk = holder.privateKey.export({ format: 'jwk' })

const headerFaults: readonly Fault[] = [
  ['typ', [absent, null, 7, 'JWT', 'jwt', 'dpop', 'DPOP+JWT', 'application/dpop+jwt', 'at+jwt'], ['proof.type']],
  ['alg', [absent, null, 7, 'none', 'NONE', 'HS256', 'es256', 'ES256K', 'ES512', 'RSA-OAEP'], ['proof.algorithm']],
  ['alg', ['ES384', 'RS256', 'EdDSA'], ['proof.key']],
  [
    'jwk',
    [absent, null, 7, 'x', [], {}, privateJwk, { ...publicJwk, d: '' }, { kty: 'oct', k: 'AAAA' }],
    ['proof.key'],
  ],
  ['jwk', [{ ...publicJwk, crv: 'P-384' }, { ...publicJwk, y: publicJwk['x'] }, short, { kty: 'EC' }], ['proof.key']],
  [
    'jwk',
    [
      { ...publicJwk, use: 'enc' },
      { ...publicJwk, key_ops: ['sign'] },
      { ...publicJwk, alg: 'ES384' },
    ],
    ['proof.key'],
  ],
  [
    'jwk',
    ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'].map((name) => ({ ...publicJwk, [name]: 'AAAA' })),
    ['proof.key'],
  ],
  ['jwk', [other.publicKey.export({ format: 'jwk' })], ['proof.signature']],
  ['crit', [[], ['exp'], null], ['proof.syntax']],
  ['b64', [true, false], ['proof.syntax']],
  ['zip', ['DEF'], ['proof.syntax']],
  ['kid', ['key-1', 7], []],
  ['jwk', [{ ...publicJwk, kid: 'k', use: 'sig', alg: 'ES256', key_ops: ['verify'] }], []],
]

const claimFaults: readonly Fault[] = [
  ['htm', [absent, null, 7, '', 'GET', 'post', 'POST '], ['proof.method']],
  [
    'htu',
    [absent, null, 7, '', '/secret', 'https://rp.test/secret/', 'https://rp.test/', 'https://other.test/secret'],
    ['proof.url'],
  ],
  [
    'htu',
    ['http://rp.test/secret', 'https://rp.test:8443/secret', 'https://a@rp.test/secret', 'https://rp.test/Secret'],
    ['proof.url'],
  ],
  [
    'htu',
    [
      `${url} `,
      `${url}\n`,
      'https:\\\\rp.test\\secret',
      'https://rp.test/sec%72et%',
      'ftp://rp.test/secret',
      `${url}#é`,
    ],
    ['proof.url'],
  ],
  ['htu', ['HTTPS://RP.TEST:443/a/../secret', 'https://rp.test/%73ecret', `${url}?a=1#b`], []],
  ['iat', [absent, null, '1800000000', tokenNow + 0.5, tokenNow - 61, tokenNow + 61, -1, 2 ** 53], ['proof.time']],
  ['iat', [tokenNow - 60, tokenNow + 60], []],
  ['jti', [absent, null, 7, '', 'j'.repeat(129)], ['proof.id']],
  ['jti', ['j', 'j'.repeat(128)], []],
  [
    'ath',
    [absent, null, 7, '', `${ath}=`, ath.toLowerCase(), createHash('sha256').update('x').digest('base64url')],
    ['proof.token'],
  ],
  ['nonce', ['of nobody', 7], []],
  ['exp', [0], []],
]

const rows = (faults: readonly Fault[]) =>
  faults.flatMap(([member, values, failed]) =>
    values.map((value) => ({ member, value, failed, shown: JSON.stringify(value) ?? 'absent' })),
  )

describe('one fault of a proof gives exactly these findings (TOK-142)', () => {
  it('none, none', async () => {
    const { failed, unreached, affirmed, findings } = await outcomes(presented(goodProof()))
    expect([failed, unreached, affirmed]).toEqual([[], [], true])
    expect(findings.filter(({ outcome }) => outcome === 'waived').map(({ id }) => id)).toEqual(['proof.nonce'])
  })

  it.each(rows(headerFaults))('header $member = $shown → $failed', async ({ member, value, failed }) => {
    const proof = signed(changed(goodHeader(), member, value), goodClaims())
    const found = await outcomes(presented(proof))
    expect([found.failed, found.affirmed]).toEqual([failed, failed.length === 0])
  })

  it.each(rows(claimFaults))('claim $member = $shown → $failed', async ({ member, value, failed }) => {
    const proof = signed(goodHeader(), changed(goodClaims(), member, value))
    const found = await outcomes(presented(proof))
    expect([found.failed, found.affirmed]).toEqual([failed, failed.length === 0])
  })

  it('a text of another type proves nothing, whoever signed it', async () => {
    const { failed, unreached } = await outcomes(presented(signed({ ...goodHeader(), typ: 'JWT' }, goodClaims())))
    expect(failed).toEqual(['proof.type'])
    expect(unreached).toEqual(Object.keys(proofChecks).slice(Object.keys(proofChecks).indexOf('proof.signature')))
  })

  const derSignature = () => {
    const [header, claims, signature = ''] = goodProof().split('.')
    return [
      header,
      claims,
      Buffer.concat([Buffer.from([0x30]), Buffer.from(signature, 'base64url')]).toString('base64url'),
    ].join('.')
  }
  it.each<[string, PresentedProof, readonly ProofCheckId[]]>([
    ['none', presented('', { proofs: [] }), ['proof.header']],
    ['two', presented('', { proofs: [goodProof(), goodProof()] }), ['proof.header']],
    ['two in one header', presented(`${goodProof()}, ${goodProof()}`), ['proof.syntax']],
    ['one with a bearer token (TOK-143)', presented(goodProof(), { scheme: 'Bearer' }), ['proof.header']],
    ['one with a scheme that begins like it', presented(goodProof(), { scheme: 'DPoPx' }), ['proof.header']],
    ['one with a scheme in other letters', presented(goodProof(), { scheme: 'dPoP' }), []],
    ['one with padding', presented(`${goodProof()}=`), ['proof.syntax']],
    ['one with a newline', presented(`${goodProof()}\n`), ['proof.syntax']],
    ['an empty one', presented(''), ['proof.syntax']],
    [
      'one that is too long',
      presented(signed(goodHeader(), { ...goodClaims(), x: 'a'.repeat(6200) })),
      ['proof.syntax'],
    ],
    ['one with a member twice', presented(signed(goodHeader(), '{"htm":"POST","htm":"GET"}')), ['proof.syntax']],
    ['one with a prototype', presented(signed(goodHeader(), '{"__proto__":{"htm":"POST"}}')), ['proof.syntax']],
    ['one that is an array', presented(signed(goodHeader(), '[]')), ['proof.syntax']],
    ['one by another key', presented(signed(goodHeader(), goodClaims(), other.privateKey)), ['proof.signature']],
    ['one with a DER signature', presented(derSignature()), ['proof.signature']],
    ['one for a request whose URL is none', presented(goodProof(), { url: '/secret' }), ['proof.url']],
  ])('%s', async (_, possession, failed) => {
    expect((await outcomes(possession)).failed).toEqual(failed)
  })

  it.each<[string, unknown, readonly ProofCheckId[]]>([
    ['no cnf (TOK-143)', undefined, ['proof.binding']],
    ['a cnf without key', {}, ['proof.binding']],
    ['a cnf of another kind', { 'x5t#S256': jkt }, ['proof.binding']],
    ['a cnf that is none', 'x', ['proof.binding']],
    ['another thumbprint', { jkt: jkt.toUpperCase() }, ['proof.binding']],
    ['an empty thumbprint', { jkt: '' }, ['proof.binding']],
    ['a thumbprint that is no text', { jkt: 7 }, ['proof.binding']],
    ['the key itself', { jwk: { ...publicJwk, kid: 'k' } }, []],
    ['another key', { jwk: other.publicKey.export({ format: 'jwk' }) }, ['proof.binding']],
    ['a key that is none', { jwk: { kty: 'EC' } }, ['proof.binding']],
    ['both', { jkt, jwk: publicJwk }, []],
    ['a thumbprint and another key', { jkt, jwk: other.publicKey.export({ format: 'jwk' }) }, ['proof.binding']],
  ])('a token with %s', async (_, confirmation, failed) => {
    expect((await outcomes(presented(goodProof()), { confirmation: confirmation as never })).failed).toEqual(failed)
  })

  it('a nonce that is demanded and is not that', async () => {
    const of = async (nonce: unknown, nonces: readonly string[]) =>
      (await outcomes(presented(signed(goodHeader(), changed(goodClaims(), 'nonce', nonce)), { nonces }))).failed
    expect(await of('n-2', ['n-2', 'n-1'])).toEqual([])
    expect(await of('n-1', ['n-2', 'n-1'])).toEqual([])
    for (const nonce of [absent, null, 7, '', 'n-3', 'N-1'])
      expect(await of(nonce, ['n-2', 'n-1'])).toEqual(['proof.nonce'])
    expect(await of('n-1', [])).toEqual(['proof.nonce'])
  })

  it('an algorithm that is not configured', async () => {
    expect((await outcomes(presented(goodProof()), { algorithms: new Set(['EdDSA'] as const) })).failed).toEqual([
      'proof.algorithm',
    ])
  })

  it('every check fails somewhere above, and passes somewhere', async () => {
    const faults = [...headerFaults, ...claimFaults].flatMap(([, , failed]) => failed)
    const elsewhere: ProofCheckId[] = ['proof.header', 'proof.nonce', 'proof.binding', 'proof.replay']
    expect(new Set([...faults, ...elsewhere])).toEqual(new Set(Object.keys(proofChecks)))
    const nonce = signed(goodHeader(), { ...goodClaims(), nonce: 'n' })
    expect((await outcomes(presented(nonce, { nonces: ['n'] }))).passed).toEqual(Object.keys(proofChecks))
  })

  it('any changed character of a proof is refused', async () => {
    const good = goodProof()
    const change = fc.tuple(fc.nat(good.length - 1), fc.constantFrom(...'AZaz09-_.= é'))
    await fc.assert(
      fc.asyncProperty(change, async ([at, character]) => {
        fc.pre(good[at] !== character)
        const { affirmed } = await outcomes(presented(good.slice(0, at) + character + good.slice(at + 1)))
        expect(affirmed).toBe(false)
      }),
      { numRuns: 400 },
    )
  })
})

describe('a proof that was used', () => {
  it('is refused the second time, by key and jti', async () => {
    const replayCache = createReplayCache()
    expect((await outcomes(presented(goodProof()), { replayCache })).failed).toEqual([])
    // The same jti with a new signature is the same proof.
    expect((await outcomes(presented(goodProof()), { replayCache })).failed).toEqual(['proof.replay'])
    const another = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const jwk = another.publicKey.export({ format: 'jwk' }) as Members
    const proof = signed({ ...goodHeader(), jwk }, goodClaims(), another.privateKey)
    expect(
      (await outcomes(presented(proof), { replayCache, confirmation: { jkt: jwkThumbprint(jwk) } })).failed,
    ).toEqual([])
  })

  it('is remembered until no clock accepts it, also when the clock is set back', async () => {
    const replayCache = createReplayCache({ capacity: 1 })
    const early = { ...goodClaims(), iat: tokenNow - 60 }
    expect((await outcomes(presented(signed(goodHeader(), early)), { replayCache })).failed).toEqual([])
    const later = signed(goodHeader(), { ...goodClaims(), jti: 'proof-0002', iat: tokenNow + 59 })
    expect((await outcomes(presented(later), { replayCache, now: tokenNow + 59 })).failed).toEqual(['proof.replay'])
    expect((await outcomes(presented(later), { replayCache, now: tokenNow + 60 })).failed).toEqual([])
    expect((await outcomes(presented(signed(goodHeader(), early)), { replayCache })).failed).toEqual(['proof.replay'])
  })

  it('fills the memory of its own key only', async () => {
    const replayCache = createReplayCache({ capacity: 4, perIssuer: 2 })
    const proofOf = (jti: string) => presented(signed(goodHeader(), { ...goodClaims(), jti }))
    for (const jti of ['1', '2']) expect((await outcomes(proofOf(jti), { replayCache })).failed).toEqual([])
    expect((await outcomes(proofOf('3'), { replayCache })).failed).toEqual(['proof.replay'])
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const jwk = key.publicKey.export({ format: 'jwk' }) as Members
    const others = presented(signed({ ...goodHeader(), jwk }, goodClaims(), key.privateKey))
    expect((await outcomes(others, { replayCache, confirmation: { jkt: jwkThumbprint(jwk) } })).failed).toEqual([])
  })

  it('is not entered for a proof, or a token, that is refused for something else', async () => {
    const entries: ReplayEntry[] = []
    const admit = (entry: ReplayEntry) => {
      entries.push(entry)
      return 'admitted' as const
    }
    const proofReplayCache = { admit }
    await outcomes(presented(goodProof(), { method: 'GET' }), { replayCache: proofReplayCache })
    const verifier = createTokenVerifier(trust({ proofReplayCache, audience: 'https://nobody.test' }))
    const refused = await verifier.appraise(token, { possession: presented(goodProof()) })
    expect(refused.findings.find(({ id }) => id === 'token.possession')?.outcome).toBe('unreached')
    expect(entries).toEqual([])
    await createTokenVerifier(trust({ proofReplayCache })).accept(token, { possession: presented(goodProof()) })
    expect(entries).toEqual([
      {
        issuer: `urn:ietf:params:oauth:jwk-thumbprint:sha-256:${jkt}`,
        jti: 'proof-0001',
        expiresAt: tokenNow + 120,
        now: tokenNow,
      },
    ])
  })

  it('by a store that fails is an error, not an acceptance', async () => {
    const proofReplayCache = { admit: () => Promise.reject(new Error('the store is away')) }
    const accepting = createTokenVerifier(trust({ proofReplayCache })).accept(token, {
      possession: presented(goodProof()),
    })
    await expect(accepting).rejects.toThrow('the store is away')
  })
})

describe('a token with its proof', () => {
  const accept = (expected: TokenExpectations, changes: Partial<TokenTrust> = {}, text = token) =>
    createTokenVerifier(trust(changes)).accept(text, expected)
  const unbound = issuer.sign(changed(attestdPayload(), 'cnf', absent))
  const failure = async (promise: Promise<unknown>) => {
    const error = await promise.catch((reason: unknown) => reason)
    if (!(error instanceof DistrustedError)) throw error
    return { first: error.facts['failed'], proof: error.proof }
  }

  it('is accepted, and the result says that possession was proved', async () => {
    const accepted = await accept({ possession: presented(goodProof()) })
    expect(accepted).toMatchObject({ possessionProved: true, confirmation: { jkt } })
    expect((await accept({}, { requirePossession: false })).possessionProved).toBe(false)
  })

  it('is refused with the finding of the proof, from which the challenge to the client is made', async () => {
    const { first, proof } = await failure(accept({ possession: presented(goodProof(), { method: 'GET' }) }))
    expect(first).toBe('token.possession')
    expect(proofChallenge(proof)).toBe(
      'DPoP error="invalid_dpop_proof", error_description="not true: the proof is for the method of the request", algs="ES256 ES384 EdDSA RS256 PS256"',
    )
    const nonce = await failure(accept({ possession: presented(goodProof(), { nonces: ['n'] }) }))
    expect(proofChallenge(nonce.proof, ['ES256'])).toMatch(/^DPoP error="use_dpop_nonce", .* algs="ES256"$/)
    const both = await failure(accept({ possession: presented(goodProof(), { nonces: ['n'], method: 'GET' }) }))
    expect(proofChallenge(both.proof)).toContain('invalid_dpop_proof')
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const jwk = key.publicKey.export({ format: 'jwk' }) as Members
    const foreign = presented(signed({ ...goodHeader(), jwk }, goodClaims(), key.privateKey), { nonces: ['n'] })
    const { proof: found } = await failure(accept({ possession: foreign }))
    expect(found?.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)).toEqual([
      'proof.nonce',
      'proof.binding',
    ])
    expect(proofChallenge(found)).toContain('invalid_dpop_proof')
    expect(proofChallenge()).toBe('DPoP algs="ES256 ES384 EdDSA RS256 PS256"')
  })

  it('that is bound to a key is no bearer token, wherever the request is known (TOK-143)', async () => {
    const bearer = presented('', { scheme: 'Bearer', proofs: [] })
    expect((await failure(accept({ possession: bearer }, { requirePossession: false }))).first).toBe('token.possession')
    expect((await failure(accept({}))).proof).toBeUndefined()
    expect((await accept({ possession: bearer }, { requirePossession: false }, unbound)).possessionProved).toBe(false)
  })

  it('that is bound to no key and comes with a proof under another scheme claims possession, and fails', async () => {
    const possession = presented(goodProof(), { scheme: 'Bearer' })
    const { first, proof } = await failure(accept({ possession }, { requirePossession: false }, unbound))
    expect([first, proof?.[0]]).toMatchObject(['token.possession', { id: 'proof.header', outcome: 'failed' }])
  })

  it('that is bound to no key is not made up for by a proof (TOK-143)', async () => {
    for (const requirePossession of [true, false]) {
      const proof = signed(goodHeader(), {
        ...goodClaims(),
        ath: createHash('sha256').update(unbound).digest('base64url'),
      })
      const { first, proof: findings } = await failure(
        accept({ possession: presented(proof) }, { requirePossession }, unbound),
      )
      expect(first).toBe('token.possession')
      expect(findings?.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)).toEqual(['proof.binding'])
    }
  })

  it.each([
    ['no object', 'x'],
    ['no method', { scheme: 'DPoP', proofs: [], url }],
    ['an empty URL', { scheme: 'DPoP', proofs: [], url: '', method: 'GET' }],
    ['a header that is none', { scheme: 'DPoP', proofs: [undefined], url, method: 'GET' }],
    ['a nonce that got lost', { scheme: 'DPoP', proofs: [], url, method: 'GET', nonces: undefined }],
    ['an empty nonce', { scheme: 'DPoP', proofs: [], url, method: 'GET', nonces: [''] }],
    ['a misspelled member', { scheme: 'DPoP', proofs: [], url, method: 'GET', nonce: 'n' }],
  ])('and %s in the expectation is a bug of the service', async (_, possession) => {
    await expect(accept({ possession: possession as never })).rejects.toThrow(TypeError)
  })
})

describe('a request of node:http', () => {
  const read = (rawHeaders: readonly string[], path = '/secret?a=1') =>
    readDpopRequest({ method: 'POST', url: path, rawHeaders }, 'https://rp.test')

  it('gives token and proof', async () => {
    const found = read(['Host', 'evil.test', 'authorization', `DPoP ${token}`, 'DPoP', goodProof()])
    expect(found?.possession.url).toBe('https://rp.test/secret?a=1')
    expect((await outcomes(found?.possession ?? presented(''))).failed).toEqual([])
    expect(found?.token).toBe(token)
  })

  it('keeps two proofs apart, and has none where there is none', () => {
    expect(read(['Authorization', 'DPoP a.b.c', 'DPoP', 'x', 'dpop', 'y'])?.possession.proofs).toEqual(['x', 'y'])
    expect(read(['Authorization', 'Bearer a.b.c'])?.possession).toMatchObject({ scheme: 'Bearer', proofs: [] })
  })

  it.each([
    ['no token', []],
    ['two tokens', ['Authorization', 'DPoP a.b.c', 'authorization', 'DPoP d.e.f']],
    ['a scheme alone', ['Authorization', 'DPoP']],
    ['more than a token', ['Authorization', 'DPoP a.b.c d']],
  ])('with %s has none', (_, headers) => {
    expect(read(headers)).toBeNull()
  })

  it.each([
    ['https://evil.test/secret?a=1', 'https://rp.test/secret?a=1'],
    ['http://evil.test', 'https://rp.test/'],
    ['HTTP://evil.test?a=1', 'https://rp.test/?a=1'],
    ['//evil.test/secret', 'https://rp.test//evil.test/secret'],
  ])('for %s is for no other host, and for the path that a router finds in it', (target, wanted) => {
    expect(read(['Authorization', 'DPoP a.b.c'], target)?.possession.url).toBe(wanted)
  })

  it.each(['*', '', 'rp.test:443', 'ftp://rp.test/secret', 'https:\\\\rp.test\\secret', 'https://rp.test\\secret'])(
    'for %j fits no proof, and none for the root in particular',
    async (target) => {
      const root = signed(goodHeader(), { ...goodClaims(), htu: 'https://rp.test/' })
      const found = read(['Authorization', `DPoP ${token}`, 'DPoP', root], target)
      expect((await outcomes(found?.possession ?? presented(''))).failed).toEqual(['proof.url'])
    },
  )
})

describe('two spellings of a URL', () => {
  it.each([
    ['https://rp.test', 'https://rp.test/'],
    ['http://rp.test:80/a', 'http://rp.test/a'],
    ['https://rp.test/a/./b/../c', 'https://rp.test/a/c'],
    ['https://rp.test/%7Ea%2fb', 'https://rp.test/~a%2Fb'],
    ['https://[2001:DB8:0::1]/', 'https://[2001:db8::1]/'],
    ['https://rp.test/a?b#c', 'https://rp.test/a'],
  ])('%s is %s (RFC 3986 section 6.2)', (one, other) => {
    expect(normalTarget(one)).toBe(other)
  })

  it.each([
    'https://rp.test/a%2fb',
    'https://rp.test/a//b',
    'https://rp.test/A',
    'https://rp.test/a/',
    'http://rp.test/a/b',
  ])('%s is not that of https://rp.test/a/b', (one) => {
    expect(normalTarget(one)).not.toBe('https://rp.test/a/b')
    expect(normalTarget(one)).toBeDefined()
  })

  it.each(['https://user@rp.test/', 'https://:word@rp.test/', 'https://user:word@rp.test/', 'https://@/'])(
    '%s names a user, or nobody, and is no target',
    (text) => {
      expect(normalTarget(text)).toBeUndefined()
    },
  )

  it('stays the same once normal', () => {
    fc.assert(
      fc.property(fc.webUrl({ withQueryParameters: true, withFragments: true }), (text) => {
        const normal = normalTarget(text)
        if (normal !== undefined) expect(normalTarget(normal)).toBe(normal)
      }),
    )
  })
})

describe('proofs of others', () => {
  it.each(['ES256', 'ES384', 'EdDSA', 'Ed25519', 'RS256', 'PS256'])('jose makes with %s are accepted', async (alg) => {
    const make = {
      ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
      ES384: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    }[alg]
    const rsa = () => generateKeyPairSync('rsa', { modulusLength: 2048 })
    const keys = make?.() ?? (alg.startsWith('Ed') ? generateKeyPairSync('ed25519') : rsa())
    const jwk = keys.publicKey.export({ format: 'jwk' }) as Members
    const proof = await new SignJWT(goodClaims())
      .setProtectedHeader({ typ: 'dpop+jwt', alg, jwk })
      .sign(keys.privateKey)
    const found = await outcomes(presented(proof), { confirmation: { jkt: jwkThumbprint(jwk) } })
    expect(found.failed).toEqual([])
  })

  it('attestd/client makes are accepted', async () => {
    const key = createProofKey()
    const now = Math.floor(Date.now() / 1000)
    const proof = key.prove({ method: 'POST', url: `${url}?a=1`, token, nonce: 'n' })
    const found = await outcomes(presented(proof, { nonces: ['n'] }), { confirmation: { jkt: key.jkt }, now })
    expect(found.failed).toEqual([])
  })

  it('openid-client makes are accepted, and it repeats a request with the nonce that is asked for', async () => {
    const configuration = new client.Configuration({ issuer: 'https://verifier.test' }, 'client-1')
    const keys = await client.randomDPoPKeyPair()
    const dpop = client.getDPoPHandle(configuration, keys)
    const bound = await dpop.calculateThumbprint()
    const now = Math.floor(Date.now() / 1000)
    const times = { iat: now, nbf: now, exp: now + 300, auth_time: now }
    const own = issuer.sign({ ...attestdPayload(), ...times, cnf: { jkt: bound } })
    const verifier = createTokenVerifier(trust({ clock: new FakeClock(now * 1000) }))
    const answers: number[] = []
    configuration[client.customFetch] = async (target, { method, headers }) => {
      const request = readDpopRequest(
        { method, url: new URL(target).pathname, rawHeaders: [...new Headers(headers)].flat() },
        'https://rp.test',
      )
      const answer = await verifier
        .accept(request?.token ?? '', {
          possession: { ...(request?.possession ?? presented('')), nonces: ['server-nonce'] },
        })
        .then(
          ({ possessionProved }) => new Response(String(possessionProved)),
          (error: DistrustedError) =>
            new Response('', {
              status: 401,
              headers: { 'www-authenticate': proofChallenge(error.proof), 'dpop-nonce': 'server-nonce' },
            }),
        )
      answers.push(answer.status)
      return answer
    }
    const call = () =>
      client.fetchProtectedResource(configuration, own, new URL(`${url}?a=1`), 'GET', undefined, undefined, {
        DPoP: dpop,
      })
    const answer = await call()
    expect([await answer.text(), answers]).toEqual(['true', [401, 200]])
  })

  it.skipIf(!haveVectors)('of the vectors have the verdicts of the vectors (TOK-142, TOK-143)', async () => {
    const { cases } = vectorJson('token/dpop-cases.json')
    expect(cases.length).toBeGreaterThan(18)
    for (const { name, verdict, request, proof } of cases) {
      const { cnf } = JSON.parse(Buffer.from(request.token.split('.')[1], 'base64url').toString())
      const nonces = request.expectedNonce === undefined ? {} : { nonces: [request.expectedNonce] }
      const possession = {
        scheme: request.scheme,
        proofs: proof === null ? [] : [proof],
        method: request.method,
        url: request.url,
        ...nonces,
      }
      const found = await outcomes(possession, { token: request.token, confirmation: cnf, now: request.now })
      expect([name, found.affirmed ? 'accept' : 'reject']).toEqual([name, verdict])
    }
  })
})
