import { createHash, createPrivateKey, createPublicKey } from 'node:crypto'
import { compactVerify, decodeJwt, decodeProtectedHeader } from 'jose'
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { countingRandom, rsaKey } from '../../test/support/issuing.ts'
import { haveVectors, vector, vectorJson } from '../../test/support/vectors.ts'
import { AttestdError } from '../base/errors.ts'
import type { JsonObject } from '../base/json.ts'
import { parseTcbStatus } from '../relying-party/tcb-status.ts'
import { composeAlibabaClaims } from '../results/alibaba-claims.ts'
import type { Appraisal } from '../results/appraisal.ts'
import { type AlibabaIssueRequest, createAlibabaIssuer } from './alibaba-issuer.ts'
import { signToken } from './sign-token.ts'
import { importSigningKey } from './signing-key.ts'

const issuer = 'https://verifier.attestd.test'
const clock = new FakeClock()
const nowS = clock.now() / 1000
const tdx = { quote: { body: { mr_config_id: '00', report_data: '11' } }, td_attributes: { debug: false } }
const affirmed: Appraisal = {
  affirmed: true,
  findings: [{ id: 'tdx.quote.signature', outcome: 'passed' }],
  claims: { tdx, tcb: { status: 'UpToDate' } },
}

function issue(change: Partial<AlibabaIssueRequest> = {}, published = true, lifetimeS?: number) {
  const keys = { signingKey: () => rsaKey(), isPublished: () => published }
  const request = { tee: 'tdx', appraisal: affirmed, appraisedAtS: nowS, simulated: false, policies: [] } as const
  const options = { issuer, keys, clock, random: countingRandom() }
  const made = createAlibabaIssuer(lifetimeS === undefined ? options : { ...options, lifetimeS })
  return made.issueToken({ ...request, ...change })
}

const failure = (work: () => Promise<unknown>) =>
  (async () => work())().then(
    () => 'issued',
    (error: unknown) => (error instanceof AttestdError ? error.code : String(error)),
  )

describe('tokens of profile alibaba', () => {
  it('have the members of the table and no other (TOK-32)', async () => {
    const policies = [{ id: 'default', hash: null }]
    const { token, jti, kid, expiresAt, boundBy } = await issue({ policies })
    expect(decodeJwt(token)).toEqual({
      aud: issuer,
      customized_claims: { init_data: null, runtime_data: null },
      eat_profile: 'https://www.alibabacloud.com/help/en/ecs/user-guide/eat-profile',
      'evaluation-reports': [{ 'policy-hash': null, 'policy-id': 'default' }],
      exp: nowS + 21_600,
      iat: nowS,
      iss: issuer,
      jti,
      nbf: nowS,
      'tcb-status':
        '{"init_data":"00","report_data":"11","tdx.quote.body.mr_config_id":"00","tdx.quote.body.report_data":"11","tdx.td_attributes.debug":false}',
      tee: 'tdx',
    })
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'RS256', kid, typ: 'JWT' })
    expect([expiresAt, boundBy]).toEqual([nowS + 21_600, 'audience'])
    await compactVerify(token, createPublicKey({ key: { ...rsaKey().publicJwk }, format: 'jwk' }))
  })

  it('say that they were simulated, and only then (TOK-04)', async () => {
    expect(decodeJwt((await issue({ simulated: true })).token)['attestd']).toEqual({ simulated: true })
    expect(decodeJwt((await issue()).token)).not.toHaveProperty('attestd')
  })

  it('end with the evidence and the collateral (TOK-44)', async () => {
    const bounded = await issue({ bounds: [{ name: 'collateral', at: nowS + 100 }] })
    expect([bounded.expiresAt, bounded.boundBy]).toEqual([nowS + 100, 'collateral'])
    expect(await failure(() => issue({ bounds: [{ name: 'collateral', at: nowS + 29 }] }))).toBe('TOKEN_LIFE_TOO_SHORT')
    expect(await failure(() => issue({ bounds: [{ name: 'collateral', at: nowS + 30 }] }))).toBe('issued')
  })

  it.each([
    ['an appraisal that did not affirm', { appraisal: { ...affirmed, affirmed: false } }, 'APPRAISAL_NOT_AFFIRMED'],
    ['an appraisal without a TD', { appraisal: { ...affirmed, claims: {} } }, 'CLAIM_MISSING'],
    ['an appraisal of tomorrow', { appraisedAtS: nowS + 61 }, 'APPRAISAL_FROM_FUTURE'],
  ])('are not issued for %s', async (_, change, code) => {
    expect(await failure(() => issue(change))).toBe(code)
  })

  it('are not issued by a key that was revoked, nor with a life out of bounds', async () => {
    expect(await failure(() => issue({}, false))).toBe('SIGNING_KEY_NOT_READY')
    for (const [lifetimeS, code] of [
      [59, 'AUDIENCE_POLICY_INVALID'],
      [60, 'issued'],
      [86_400, 'issued'],
      [86_401, 'AUDIENCE_POLICY_INVALID'],
    ] as const) {
      expect(await failure(async () => issue({}, true, lifetimeS))).toBe(code)
    }
  })

  it('are not issued by an appraisal that contradicts itself: a bug', async () => {
    await expect(issue({ appraisal: { ...affirmed, findings: [] } })).rejects.toThrow(TypeError)
  })
})

describe.skipIf(!haveVectors)('the documented token', () => {
  // biome-ignore lint/suspicious/noExplicitAny: recorded claims, used as they are
  function composeFrom(payload: any): JsonObject {
    const reports = payload['evaluation-reports'] as { 'policy-id': string; 'policy-hash': string | null }[]
    return composeAlibabaClaims({
      issuer: payload.iss,
      issuedAt: payload.iat,
      expiresAt: payload.exp,
      jti: payload.jti,
      tee: payload.tee,
      claims: { tdx: parseTcbStatus(payload['tcb-status'])['tdx'] },
      simulated: false,
      policies: reports.map((report) => ({ id: report['policy-id'], hash: report['policy-hash'] })),
    })
  }

  it('is made again from its claims: two segments of it, and with the test key the third (TOK-34)', async () => {
    const sample = Buffer.from(vector('token/alibaba-sample.jwt')).toString()
    const { header, payload, canonical } = vectorJson('token/alibaba-sample-token.json')
    const minted = vectorJson('token/mint-cases.json').cases.find(
      ({ profile }: { profile: string }) => profile === 'alibaba',
    )
    const jwk = vectorJson('token/jose-keys.json').keys[minted.key]
    const privateKey = createPrivateKey({ key: jwk, format: 'jwk' })
    const token = await signToken(composeFrom(payload), importSigningKey(privateKey, 'RS256', header.kid))
    const [first, second] = token.split('.')
    expect([first, second]).toEqual(sample.split('.').slice(0, 2))
    expect(
      createHash('sha256')
        .update(second ?? '')
        .digest('hex'),
    ).toBe(canonical.payloadSegmentSha256)
    expect(token).toBe(minted.token)
  })
})
