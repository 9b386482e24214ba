import { describe, expect, it } from 'vitest'
import { commitBatch, committedPayload } from '../../test/support/committed-token.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import {
  accessToken,
  alibabaPayload,
  attestdPayload,
  code,
  createTestIssuer,
  initData,
  type Members,
  reportData,
  tokenNow,
} from '../../test/support/test-issuer.ts'
import { type TokenCheckId, tokenChecks } from './checks.ts'
import { createReplayCache } from './replay-cache.ts'
import type { TokenExpectations, TokenTrust } from './token-trust.ts'
import { createTokenVerifier } from './token-verifier.ts'

const issuer = createTestIssuer('ES256')
const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))

const strict = (): TokenTrust => ({
  issuer: 'https://verifier.test',
  audience: 'https://rp.test',
  keys: { jwks: { keys: [issuer.jwk] } },
  tee: ['tdx', 'acstdxnvgpu'],
  measurements: { mr_td: ['aa'.repeat(48)], 'gpu.hwmodel': ['GH100'] },
  requireTcbStatus: ['UpToDate'],
  requirePolicies: [{ id: 'default', hash: '9a'.repeat(32) }],
  initData: bytes(initData).slice(0, 32),
  clientId: 'client-1',
  replayCache: createReplayCache(),
  clock: new FakeClock(tokenNow * 1000),
})
const everything: TokenExpectations = {
  nonce: 'openid-nonce',
  eatNonce: 'nonce-of-the-guest',
  reportData: bytes(reportData).slice(0, 48),
  subject: 'attestd:v1:workload:xZxJmTu0v86cpPTagjJ_r4Ca2Nw9y0nKQHKfMBZluKA',
  accessToken,
  code,
  acr: 'urn:attestd:acr:tdx+nvgpu',
  maxAgeS: 60,
}
const alibaba = (): TokenTrust => ({
  issuer: 'https://verifier.test',
  audience: 'https://verifier.test',
  keys: { jwks: { keys: [issuer.jwk] } },
  profile: 'alibaba',
  algorithms: ['ES256'],
  tee: ['tdx'],
  measurements: { mr_td: ['aa'.repeat(48)] },
  requireTcbStatus: null,
  clock: new FakeClock(tokenNow * 1000),
})

const absent = Symbol('absent')

/** The payload with the member at `path` (joined by `/`) replaced or taken away. */
function changed(payload: Members, path: string, value: unknown): Members {
  const steps = path.split('/')
  const last = steps.pop() ?? ''
  const parent = steps.reduce((place, step) => place[step] as Members, payload)
  if (value === absent) delete parent[last]
  else parent[last] = value
  return payload
}

async function outcomes(token: string, trust = strict(), expected = everything) {
  const { findings, affirmed } = await createTokenVerifier(trust).appraise(token, expected)
  expect(findings.map(({ id }) => id)).toEqual(Object.keys(tokenChecks))
  const failed = findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)
  expect(affirmed).toBe(findings.every(({ outcome }) => outcome === 'passed' || outcome === 'waived'))
  expect(affirmed).toBe(failed.length === 0)
  return { findings, failed }
}

/** A member, the values that it is changed to, and exactly the checks that fail for each of them. */
type Fault = readonly [path: string, values: readonly unknown[], failed: readonly TokenCheckId[]]

const evidence: readonly TokenCheckId[] = [
  'token.reportData',
  'token.runtimeData',
  'token.initData',
  'token.measurements',
]
const zeros = (length: number) => '0'.repeat(length)

const attestdFaults: readonly Fault[] = [
  ['iss', [absent, null, 7, 'https://verifier.test/', 'https://other.test'], ['token.issuer']],
  ['sub', [absent, null, 7, '', 'é', 'a'.repeat(256), 'attestd:v1:workload:another'], ['token.subject']],
  [
    'aud',
    [absent, null, 7, {}, 'https://rp.tes', [], ['https://rp.test', 7], [['https://rp.test']]],
    ['token.audience'],
  ],
  ['azp', [absent, null, 7, 'client-2'], ['token.azp']],
  ['exp', [absent, null, '1800000870', 1800000870.5, -1, 2 ** 53, tokenNow - 60, tokenNow - 30], ['token.times']],
  ['iat', [absent, null, '1799999970', tokenNow + 61, 1799999970.5], ['token.times']],
  ['iat', [tokenNow - 961], ['token.age']],
  ['nbf', [null, '1799999970', tokenNow + 61, 0.5], ['token.times']],
  ['nbf', [absent], []],
  ['jti', [absent, null, 7, ''], ['token.replay']],
  ['jti', ['another'], []],
  ['nonce', [absent, null, 7, '', 'openid-nonc', ['openid-nonce']], ['token.nonce']],
  ['eat_nonce', [absent, null, 7, 'another', [], [null, {}], { 0: 'nonce-of-the-guest' }], ['token.nonce']],
  ['eat_nonce', ['nonce-of-the-guest'], []],
  ['auth_time', [absent, null, '1799999960', tokenNow - 121, tokenNow + 61], ['token.context']],
  ['acr', [absent, null, 7, 'urn:attestd:acr:tdx'], ['token.context', 'token.binding']],
  ['acr', ['urn:attestd:acr:tdx+tpm+nvgpu'], ['token.context']],
  ['amr', [absent, null, 7], []],
  ['at_hash', [absent, null, 7, 'AAAAAAAAAAAAAAAAAAAAAA'], ['token.hashes']],
  ['c_hash', [absent, null, 7, 'AAAAAAAAAAAAAAAAAAAAAA'], ['token.hashes']],
  ['eat_profile', [absent, null, 7, 'urn:attestd:eat:2'], ['token.profile']],
  ['tee', [absent, null, 7, ['tdx'], 'TDX'], ['token.tee']],
  ['tee', ['tpm'], ['token.tee', 'token.binding']],
  ['tcb', [absent, null, 7, 'UpToDate', []], ['token.tcb']],
  ['tcb/status', [absent, null, 7, 'OutOfDate', ['UpToDate']], ['token.tcb']],
  ['tcb/advisories', [absent, null, 7], []],
  ['tdx', [absent, null, 7, 'tdx', []], evidence],
  ['tdx/quote/body/report_data', [absent, null, 7, zeros(128), reportData.toUpperCase()], evidence.slice(0, 2)],
  ['report_data', [null, 7, zeros(128)], evidence.slice(0, 2)],
  ['report_data', [reportData], []],
  ['tdx/quote/body/mr_config_id', [absent, null, 7, zeros(96)], ['token.initData']],
  ['init_data', [null, 7, zeros(96)], ['token.initData']],
  ['init_data', [initData], []],
  ['tdx/quote/body/td_attributes', [null, 7, '01', '0100001000000000', zeros(15)], ['token.debug']],
  ['tdx/quote/body/td_attributes', [absent, 'fe00001000000000'], []],
  ['tdx/td_attributes/debug', [null, 'false', 0, true], ['token.debug']],
  ['tdx/td_attributes/debug', [absent], []],
  ['dbgstat', [null, 7, 'enabled', 'Enabled', false], ['token.debug']],
  ['dbgstat', [absent, 'disabled-since-boot'], []],
  ['tdx/quote/body/mr_td', [absent, null, 7, zeros(96), ['aa'.repeat(48), zeros(96)]], ['token.measurements']],
  ['gpu', [absent, null, 7, [], { hwmodel: 'GH100' }, [{ hwmodel: 'GH100' }, {}]], ['token.measurements']],
  ['gpu/1/hwmodel', [absent, null, 'GB200'], ['token.measurements']],
  ['customized_claims', [null, 7, 'x', []], ['token.runtimeData']],
  ['customized_claims', [absent], []],
  ['customized_claims/runtime_data', [7, 'x', [], true, {}, { nonce: 'x' }], ['token.runtimeData']],
  ['customized_claims/runtime_data', [absent, null], []],
  ['evaluation-reports', [absent, null, 7, [], [null], { 0: {} }], ['token.policies']],
  ['evaluation-reports/0/policy-id', [absent, null, 7, 'Default'], ['token.policies']],
  ['evaluation-reports/0/policy-hash', [absent, null, 7, zeros(64)], ['token.policies']],
  ['evaluation-reports/1', [{ 'policy-id': 'default', 'policy-hash': zeros(64) }], ['token.policies']],
  ['intuse', [absent, null, 7], []],
  ['cnf', [absent, null, 7], []],
  ['attestd', [absent, null, 7, []], ['token.simulated', 'token.binding']],
  ['attestd/simulated', [absent, null, 'false', 0, true], ['token.simulated']],
  ['attestd/runtimeDataHash', [null, 7, 'sha1', 'sha256'], ['token.runtimeData']],
  ['attestd/runtimeDataHash', [absent], []],
  ['attestd/freshness', [absent, null, 7], []],
  ['attestd/binding', [absent, null, 7, {}, [], [null], [{ outcome: 'passed' }]], ['token.binding']],
  ['attestd/binding/0/outcome', [absent, null, 'failed', 'waived', 'unreached'], ['token.binding']],
  ['attestd/binding/1', [{ edge: 'tdx+tpm', outcome: 'failed' }], ['token.binding']],
]

const flat = (edit: Members, without?: string) => {
  const members: Members = { ...JSON.parse(String(alibabaPayload()['tcb-status'])), ...edit }
  if (without !== undefined) delete members[without]
  return JSON.stringify(members)
}
const alibabaFaults: readonly Fault[] = [
  [
    'tcb-status',
    [absent, null, 7, {}, '', '[]', flat({ a: 1 }), flat({ a: null }), flat({ a: {} })],
    ['token.tcbStatus'],
  ],
  [
    'tcb-status',
    [flat({ 'tdx.quote': '00' }), flat({ 'tdx.quote.body.mr_td.x': '00' }), flat({ '': '' })],
    ['token.tcbStatus'],
  ],
  ['tcb-status', ['{"a":"1","a":"1"}', flat({ 'tdx.constructor.x': '00' }), '\ufeff{}'], ['token.tcbStatus']],
  ['tcb-status', [flat({}, 'report_data'), flat({ report_data: zeros(128) })], ['token.reportData']],
  ['tcb-status', [flat({}, 'tdx.quote.body.report_data')], ['token.reportData']],
  ['tcb-status', [flat({}, 'init_data'), flat({ init_data: zeros(96) })], ['token.initData']],
  ['tcb-status', [flat({ 'tdx.quote.body.td_attributes': '0100001000000000' })], ['token.debug']],
  [
    'tcb-status',
    [flat({ 'tdx.quote.body.mr_td': zeros(96) }), flat({}, 'tdx.quote.body.mr_td')],
    ['token.measurements'],
  ],
  ['sub', [absent, 'a subject'], []],
  ['sub', [null, '', 7], ['token.subject']],
  ['attestd', [{ simulated: true }, null, {}], ['token.simulated']],
  ['attestd', [{ simulated: false }], []],
]

type HeaderFault = readonly [name: string, values: readonly unknown[], failed: readonly TokenCheckId[]]
const headerFaults: readonly HeaderFault[] = [
  ['alg', [absent, null, 7, 'none', 'None', 'es256', 'HS256', 'RS512', '', ['ES256']], ['token.algorithm']],
  ['alg', ['RS256', 'ES384', 'EdDSA'], ['token.key']],
  ['kid', [null, 7, '', 'key-2', ['key-1']], ['token.key']],
  ['kid', [absent], []],
  ['typ', [null, 7, 'at+jwt', 'dpop+jwt', 'logout+jwt', 'application/jwt', 'JWT '], ['token.type']],
  ['typ', [absent, 'jwt', 'Jwt'], []],
  ['crit', [null, [], ['exp'], 'exp'], ['token.crit']],
  ['b64', [true, false, null], ['token.crit']],
  ['zip', ['DEF', null], ['token.crit']],
  ['jwk', [issuer.jwk, null], ['token.header']],
  ['jku', ['https://attacker.test/jwks.json', null], ['token.header']],
  ['x5u', ['https://attacker.test/chain.pem'], ['token.header']],
  ['x5c', [['MIIB'], null], ['token.header']],
  ['x5t', ['AAAA'], ['token.header']],
  ['x5t#S256', ['AAAA'], ['token.header']],
  ['cty', ['JWT'], []],
]

const rows = (faults: readonly Fault[]) =>
  faults.flatMap(([path, values, failed]) => values.map((value) => ({ path, value, failed, shown: show(value) })))
const show = (value: unknown) => (value === absent ? 'absent' : (JSON.stringify(value) ?? 'undefined').slice(0, 60))

const signChanged = (payload: Members, path: string, value: unknown) => issuer.sign(changed(payload, path, value))
const signWithHeader = (name: string, value: unknown) => {
  const header = changed({ alg: 'ES256', kid: 'key-1', typ: 'JWT' }, name, value)
  return issuer.sign(attestdPayload(), header)
}

describe('a good token', () => {
  it('of profile attestd passes every check but those that are not configured or of the other profile', async () => {
    const { findings } = await outcomes(issuer.sign(attestdPayload()))
    expect(findings.filter(({ outcome }) => outcome !== 'passed')).toEqual([
      { id: 'token.tcbStatus', outcome: 'waived', detail: expect.stringContaining('attestd') },
      { id: 'token.possession', outcome: 'waived', detail: 'requirePossession is not set' },
      { id: 'token.inclusion', outcome: 'waived', detail: expect.stringContaining('none is demanded') },
    ])
  })

  it('of profile alibaba passes with each waiver named', async () => {
    const { findings } = await outcomes(issuer.sign(alibabaPayload()), alibaba(), {})
    expect(findings.filter(({ outcome }) => outcome === 'waived').map(({ id }) => id)).toEqual([
      'token.nonce',
      'token.subject',
      'token.hashes',
      'token.replay',
      'token.context',
      'token.reportData',
      'token.initData',
      'token.tcb',
      'token.policies',
      'token.possession',
      'token.inclusion',
    ])
  })
})

describe('one fault gives exactly these findings', () => {
  it.each(rows(attestdFaults))('attestd: $path = $shown → $failed', async ({ path, value, failed }) => {
    expect((await outcomes(signChanged(attestdPayload(), path, value))).failed).toEqual(failed)
  })

  it.each(rows(alibabaFaults))('alibaba: $path = $shown → $failed', async ({ path, value, failed }) => {
    expect((await outcomes(signChanged(alibabaPayload(), path, value), alibaba(), {})).failed).toEqual(failed)
  })

  it.each(rows(headerFaults))('header: $path = $shown → $failed', async ({ path, value, failed }) => {
    expect((await outcomes(signWithHeader(path, value))).failed).toEqual(failed)
  })

  it.each(Object.keys(attestdPayload()))('a duplicate of %s in the payload → token.json', async (name) => {
    const payload = JSON.stringify(attestdPayload())
    const value = JSON.stringify(attestdPayload()[name])
    const duplicated = `{${JSON.stringify(name)}:${value},${payload.slice(1)}`
    expect((await outcomes(issuer.sign(duplicated))).failed).toEqual(['token.json'])
  })

  it.each(['alg', 'kid', 'typ'])('a duplicate of %s in the header → token.json', async (name) => {
    const header = `{"${name}":"x","alg":"ES256","kid":"key-1","typ":"JWT"}`
    expect((await outcomes(issuer.sign(attestdPayload(), header))).failed).toEqual(['token.json'])
  })
})

/** Checks that none of these tokens can pass or fail, and why. */
const exceptions: Readonly<Partial<Record<TokenCheckId, string>>> = {
  'token.possession': 'passes only with a proof of possession: see proof-faults.test.ts',
}

describe('the table as a whole', () => {
  it('fails every check at least once and passes every check at least once', async () => {
    const seen = { failed: new Set<string>(), passed: new Set<string>() }
    const tokens = [
      ...rows(attestdFaults).map(({ path, value }) => [signChanged(attestdPayload(), path, value), strict()] as const),
      ...rows(alibabaFaults).map(({ path, value }) => [signChanged(alibabaPayload(), path, value), alibaba()] as const),
      ...rows(headerFaults).map(({ path, value }) => [signWithHeader(path, value), strict()] as const),
      [`${issuer.sign(attestdPayload())}=`, strict()] as const,
      [issuer.sign('{"a":1,"a":1}'), strict()] as const,
      [issuer.sign(attestdPayload()).replace(/.{12}$/, 'A'.repeat(12)), strict()] as const,
      [issuer.sign(attestdPayload()), { ...strict(), requirePossession: true }] as const,
      [issuer.sign(attestdPayload()), { ...strict(), requireCommitment: true }] as const,
      [issuer.sign(committedPayload(commitBatch(3), 0)), strict()] as const,
    ]
    for (const [token, trust] of tokens) {
      const { findings } = await createTokenVerifier(trust).appraise(
        token,
        trust.profile === 'alibaba' ? {} : everything,
      )
      for (const { id, outcome } of findings) if (outcome === 'failed' || outcome === 'passed') seen[outcome].add(id)
    }
    const ids = Object.keys(tokenChecks)
    expect(ids.filter((id) => !seen.failed.has(id))).toEqual([])
    expect(ids.filter((id) => !seen.passed.has(id))).toEqual(Object.keys(exceptions))
  })

  it('has a rule of its own and a remedy for every check', () => {
    const rules = Object.values(tokenChecks).map(({ rule }) => rule)
    expect(new Set(rules).size).toBe(rules.length)
    expect(Object.values(tokenChecks).every(({ remedy, title }) => remedy.length > 20 && title.length > 20)).toBe(true)
  })
})
