import { createPrivateKey, createPublicKey } from 'node:crypto'
import { compactVerify, decodeJwt, decodeProtectedHeader } from 'jose'
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { countingRandom, rsaKey, simpleIssuer, tpmRequest } from '../../test/support/issuing.ts'
import { haveVectors, vectorJson } from '../../test/support/vectors.ts'
import { AttestdError } from '../base/errors.ts'
import type { SubjectRule } from '../results/subject.ts'
import { type AudiencePolicy, createAudiencePolicies } from './audience-policies.ts'
import { importSigningKey, type SigningAlgorithm, type SigningKey } from './signing-key.ts'
import { createTokenIssuer, type IssueRequest, type SigningKeys } from './token-issuer.ts'

const issuer = 'https://verifier.attestd.test'
const policy: AudiencePolicy = {
  subject: { mode: 'ek' },
  algorithm: 'RS256',
  lifetimeS: 900,
  consumer: null,
  maxCharacters: 8192,
}

function holding(key: SigningKey, published = () => true): SigningKeys {
  return { signingKey: () => key, isPublished: published }
}

function issuerWith(
  key: SigningKey,
  clock: FakeClock,
  change: Partial<AudiencePolicy> = {},
  random = countingRandom(),
) {
  const fallback = { ...policy, algorithm: key.alg, ...change }
  const audiences = createAudiencePolicies({ issuer, fallback })
  return createTokenIssuer({ issuer, keys: holding(key), audiences, clock, random })
}

async function outcome(request: Partial<IssueRequest>, change: Partial<AudiencePolicy> = {}): Promise<string> {
  const clock = new FakeClock()
  try {
    await issuerWith(rsaKey(), clock, change).issueToken(tpmRequest(clock.now(), request))
    return 'issued'
  } catch (error) {
    return error instanceof AttestdError ? error.code : String(error)
  }
}

interface MintCase {
  readonly name: string
  readonly profile: string
  readonly key: string
  readonly header: { readonly alg: SigningAlgorithm; readonly kid: string }
  // biome-ignore lint/suspicious/noExplicitAny: recorded claims, used as they are
  readonly claims: any
  readonly deterministic: boolean
  readonly token: string
}

/** The request that the recorded claims must have come from. */
function requestOf({ claims }: MintCase): IssueRequest {
  return {
    ...tpmRequest(0),
    audience: [claims.aud],
    nonces: [claims.eat_nonce],
    cnf: claims.cnf,
    tee: claims.tee,
    appraisal: {
      affirmed: true,
      findings: [{ id: 'tpm.quote.signature', outcome: 'passed' }],
      claims: { tdx: claims.tdx, tcb: claims.tcb },
    },
    appraisedAtS: claims.attestd.appraisedAt,
    policies: [{ id: 'default', hash: claims['evaluation-reports'][0]['policy-hash'] }],
    runtimeData: { document: claims.customized_claims.runtime_data, hash: 'sha384' },
  }
}

async function mint(example: MintCase): Promise<string> {
  const { claims, header, key: name } = example
  const jwk = vectorJson('token/jose-keys.json').keys[name]
  const key = importSigningKey(createPrivateKey({ key: jwk, format: 'jwk' }), header.alg)
  const jti = Uint8Array.from(Buffer.from(claims.jti.replaceAll('-', ''), 'hex'))
  const clock = new FakeClock(claims.iat * 1000 + 999)
  const change = { subject: { mode: 'workload' } as SubjectRule, maxCharacters: 8192 }
  return (await issuerWith(key, clock, change, () => jti).issueToken(requestOf(example))).token
}

describe.skipIf(!haveVectors)('tokens of the vectors, byte for byte', () => {
  const cases: MintCase[] = haveVectors ? vectorJson('token/mint-cases.json').cases : []

  it.each(cases.filter(({ profile }) => profile === 'attestd'))('$name with $key', async (example) => {
    const token = await mint(example)
    expect(token.split('.').slice(0, 2)).toEqual(example.token.split('.').slice(0, 2))
    const jwk = vectorJson('token/jose-keys.json').keys[example.key]
    await compactVerify(token, createPublicKey({ key: jwk, format: 'jwk' }))
    if (example.deterministic) expect(token).toBe(example.token)
  })
})

describe('a token', () => {
  it('has the header members alg, kid, typ in this order and no other (TOK-05, TOK-06)', async () => {
    const clock = new FakeClock()
    const { token } = await issuerWith(rsaKey(), clock).issueToken(tpmRequest(clock.now()))
    const header = Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()
    expect(header).toBe(`{"alg":"RS256","kid":"${rsaKey().kid}","typ":"JWT"}`)
  })

  it('is described to the caller as it is', async () => {
    const clock = new FakeClock()
    const issued = await issuerWith(rsaKey(), clock).issueToken(tpmRequest(clock.now(), { ttlS: 60 }))
    const claims = decodeJwt(issued.token)
    expect(issued).toMatchObject({
      kid: decodeProtectedHeader(issued.token).kid,
      jti: claims.jti,
      subject: claims.sub,
      issuedAt: claims.iat,
      expiresAt: claims.exp,
      boundBy: 'request',
    })
    expect(claims).toMatchObject({
      iss: issuer,
      aud: 'https://rp.example',
      nbf: claims.iat,
      exp: (claims.iat ?? 0) + 60,
    })
  })

  it('never repeats its jti, not even for a repeated request (TOK-13)', async () => {
    const clock = new FakeClock()
    const made = issuerWith(rsaKey(), clock)
    const jtis = await Promise.all([1, 2, 3].map(async () => (await made.issueToken(tpmRequest(clock.now()))).jti))
    expect(new Set(jtis).size).toBe(3)
    for (const jti of jtis) expect(jti).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })

  it('names the rules of waived checks and says that something is simulated (TOK-03, TOK-04)', async () => {
    const clock = new FakeClock()
    const request = tpmRequest(clock.now(), { simulated: true })
    const { token } = await issuerWith(rsaKey(), clock).issueToken({
      ...request,
      appraisal: { ...request.appraisal, findings: [{ id: 'tpm.quote.signature', outcome: 'waived' }] },
    })
    expect(decodeJwt(token)).toMatchObject({
      acr: 'urn:attestd:acr:simulated',
      attestd: { simulated: true, waived: ['TPM-12'] },
    })
  })

  it('fits into its budget or is not issued (TOK-152)', async () => {
    const clock = new FakeClock()
    const { token } = await issuerWith(rsaKey(), clock).issueToken(tpmRequest(clock.now()))
    expect(await outcome({}, { maxCharacters: token.length })).toBe('issued')
    expect(await outcome({}, { maxCharacters: token.length - 1 })).toBe('TOKEN_TOO_LARGE')
  })

  it('keeps the limits of its consumer (TOK-150)', async () => {
    const clock = new FakeClock()
    const listed = [{ audience: 'api://x', policy: { ...policy, lifetimeS: 1200, consumer: 'entra' } as const }]
    const audiences = createAudiencePolicies({ issuer, fallback: policy, listed })
    const made = createTokenIssuer({ issuer, keys: holding(rsaKey()), audiences, clock, random: countingRandom() })
    const ask = (audience: string[], ttlS: number | null = null) =>
      made.issueToken(tpmRequest(clock.now(), { audience, ttlS }))
    expect((await ask(['api://x'])).expiresAt).toBe(Math.floor(clock.now() / 1000) + 1200)
    await expect(ask(['api://x', 'b'])).rejects.toMatchObject({ code: 'CONSUMER_LIMIT', facts: { limit: 'audiences' } })
    await expect(ask(['api://x'], 900)).rejects.toMatchObject({ code: 'CONSUMER_LIMIT', facts: { limit: 'lifetime' } })
  })

  it('is not handed out under a key that was revoked while it signed (TOK-52)', async () => {
    const clock = new FakeClock()
    const gone = simpleIssuer(
      issuer,
      holding(rsaKey(), () => false),
      clock,
    )
    await expect(gone.issueToken(tpmRequest(clock.now()))).rejects.toMatchObject({ code: 'SIGNING_KEY_NOT_READY' })
  })
})

describe('no token', () => {
  const { appraisal } = tpmRequest(0)
  const finding = (outcome: 'failed' | 'unreached' | 'passed') => [{ id: 'tpm.quote.signature', outcome }]

  it.each<[string, Partial<IssueRequest>, string]>([
    [
      'for a refused appraisal',
      { appraisal: { affirmed: false, findings: finding('failed'), claims: {} } },
      'APPRAISAL_NOT_AFFIRMED',
    ],
    [
      'for an unfinished one',
      { appraisal: { affirmed: false, findings: finding('unreached'), claims: {} } },
      'APPRAISAL_NOT_AFFIRMED',
    ],
    [
      'for one that contradicts itself',
      { appraisal: { ...appraisal, findings: finding('failed') } },
      'TypeError: an affirmed appraisal without the findings for it',
    ],
    [
      'for one without findings',
      { appraisal: { ...appraisal, findings: [] } },
      'TypeError: an affirmed appraisal without the findings for it',
    ],
    ['without audience', { audience: [] }, 'AUDIENCE_INVALID'],
    ['for seven nonces', { nonces: Array(7).fill('nonce-01') }, 'NONCE_INVALID'],
    ['for a nonce of 7 characters', { nonces: ['1234567'] }, 'NONCE_INVALID'],
    ['for a nonce of 89 characters', { nonces: ['n'.repeat(89)] }, 'NONCE_INVALID'],
    ['for a nonce with a space', { nonces: ['nonce 01'] }, 'NONCE_INVALID'],
    ['but one for six nonces of 8 and 88', { nonces: [...Array(5).fill('12345678'), 'n'.repeat(88)] }, 'issued'],
    ['that would live 29 s', { ttlS: 29 }, 'TOKEN_LIFE_TOO_SHORT'],
    ['after the collateral ended', { bounds: [{ name: 'collateral', at: 0 }] }, 'TOKEN_LIFE_TOO_SHORT'],
    ['without the claims of its kind', { appraisal: { ...appraisal, claims: {} }, tee: 'nvgpu' }, 'SUBJECT_UNPROVEN'],
    ['with a reserved policy claim', { policyClaims: { iss: 'x' } }, 'CLAIM_RESERVED'],
  ])('%s', async (_, request, expected) => {
    expect(await outcome(request)).toBe(expected)
  })

  it.each<[string, Partial<IssueRequest>, Partial<AudiencePolicy>, string]>([
    ['subject ek without an EK', { ekSpkiSha256: null }, {}, 'SUBJECT_UNPROVEN'],
    ['subject ek with another EK than the claims', { ekSpkiSha256: 'cd'.repeat(32) }, {}, 'SUBJECT_UNPROVEN'],
    [
      'subject ek with an AK that nobody vouches for',
      { appraisal: { ...appraisal, claims: { tpm: { ak_trust: 'none', ek_spki_sha256: 'ab'.repeat(32) } } } },
      {},
      'SUBJECT_UNPROVEN',
    ],
    [
      'subject ek with claims that lack it',
      { appraisal: { ...appraisal, claims: { tpm: {} } } },
      {},
      'SUBJECT_UNPROVEN',
    ],
    ['subject key without a bound key', {}, { subject: { mode: 'key' } }, 'SUBJECT_UNPROVEN'],
    [
      'subject workload without the claim',
      {},
      { subject: { mode: 'workload', claimPaths: ['tpm.pcr.5'] } },
      'SUBJECT_UNPROVEN',
    ],
    ['subject workload with the claim', {}, { subject: { mode: 'workload', claimPaths: ['tpm.pcr.4'] } }, 'issued'],
    [
      'subject key with a bound key',
      { cnf: { jkt: 'HitlGYWpCmMAdtCZRtJQQoyeapr7RxbLnYH7t-MaOuw' } },
      { subject: { mode: 'key' } },
      'issued',
    ],
  ])('or one: %s (TOK-37 to TOK-40)', async (_, request, change, expected) => {
    expect(await outcome(request, change)).toBe(expected)
  })
})
