import { createHmac, generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import {
  alibabaPayload,
  attestdPayload,
  base64url,
  createTestIssuer,
  initData,
  type Members,
  reportData,
  signCompact,
  tokenNow,
  tpmPayload,
} from '../../test/support/test-issuer.ts'
import { haveVectors, vector } from '../../test/support/vectors.ts'
import { AttestdError, MalformedError } from '../base/errors.ts'
import type { TokenCheckId } from './checks.ts'
import { DistrustedError } from './errors.ts'
import { valueAt } from './evidence-view.ts'
import type { TokenExpectations, TokenTrust } from './token-trust.ts'
import { createTokenVerifier } from './token-verifier.ts'

const issuer = createTestIssuer('ES256')
const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))

function trust(changes: Partial<TokenTrust> = {}, ms = tokenNow * 1000): TokenTrust {
  return {
    issuer: 'https://verifier.test',
    audience: 'https://rp.test',
    keys: { jwks: { keys: [issuer.jwk] } },
    tee: ['tdx', 'acstdxnvgpu'],
    measurements: null,
    clientId: 'client-1',
    clock: new FakeClock(ms),
    ...changes,
  }
}

async function findings(token: string, configured = trust(), expected: TokenExpectations = {}) {
  const { findings } = await createTokenVerifier(configured).appraise(token, expected)
  const of = (wanted: string) => findings.filter(({ outcome }) => outcome === wanted).map(({ id }) => id)
  const detail = (id: TokenCheckId) => findings.find((finding) => finding.id === id)?.detail
  return { failed: of('failed'), waived: of('waived'), unreached: of('unreached'), detail }
}

async function refusal(token: string, configured = trust(), expected: TokenExpectations = {}) {
  const error = await createTokenVerifier(configured)
    .accept(token, expected)
    .then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
  if (!(error instanceof AttestdError)) throw new Error('was accepted, or failed otherwise', { cause: error })
  return error
}

const edited = (payload: Members, changes: Members) => issuer.sign({ ...payload, ...changes })

describe('the result', () => {
  it('holds one shape for both profiles, and the claims of passed checks only', async () => {
    const expected = { eatNonce: 'nonce-of-the-guest', reportData: bytes(reportData) }
    const accepted = await createTokenVerifier(trust()).accept(issuer.sign(attestdPayload()), expected)
    expect(accepted).toMatchObject({
      issuer: 'https://verifier.test',
      subject: 'attestd:v1:workload:xZxJmTu0v86cpPTagjJ_r4Ca2Nw9y0nKQHKfMBZluKA',
      audience: ['https://rp.test', 'https://other.test'],
      tee: 'acstdxnvgpu',
      tdx: { quote: { body: { mr_td: 'aa'.repeat(48) } } },
      gpu: [{ hwmodel: 'GH100' }, { hwmodel: 'GH100' }],
      tcb: { status: 'UpToDate' },
      freshness: 'challenge',
      simulated: false,
      confirmation: { jkt: 'HitlGYWpCmMAdtCZRtJQQoyeapr7RxbLnYH7t-MaOuw' },
      issuedAt: tokenNow - 30,
      expiresAt: tokenNow + 870,
      jti: '6f1c2f0e-2c8e-4c5a-9a0e-0d1f6f3a7b10',
      kid: 'key-1',
    })
    const { claims } = accepted
    expect(Object.keys(claims)).toEqual(expect.arrayContaining(['eat_nonce', 'tdx', 'customized_claims', 'attestd']))
    for (const unasked of ['nonce', 'acr', 'auth_time', 'at_hash', 'evaluation-reports', 'intuse']) {
      expect(claims).not.toHaveProperty(unasked)
    }

    const alibaba = trust({
      profile: 'alibaba',
      algorithms: ['ES256'],
      audience: 'https://verifier.test',
      requireTcbStatus: null,
    })
    const other = await createTokenVerifier(alibaba).accept(issuer.sign(alibabaPayload()))
    expect(other.tdx).toEqual(accepted.tdx && { ...accepted.tdx, quote: { body: expect.anything() } })
    expect(other).toMatchObject({
      tee: 'tdx',
      freshness: 'unbound',
      tdx: { quote: { body: { mr_td: 'aa'.repeat(48) } } },
    })
    expect([other.subject, other.tcb, other.claims['tcb-status']]).toEqual([undefined, undefined, undefined])
  })

  it.each([
    [{}, 'challenge', 'unbound'],
    [{ eatNonce: 'nonce-of-the-guest' }, 'challenge', 'challenge'],
    [{ eatNonce: 'nonce-of-the-guest' }, 'nonce', 'nonce'],
    [{ eatNonce: 'nonce-of-the-guest' }, 'unbound', 'unbound'],
    [{ eatNonce: 'nonce-of-the-guest' }, 'other', 'unbound'],
    [{ reportData: bytes(reportData) }, 'unbound', 'nonce'],
    [{ reportData: bytes(reportData) }, 'challenge', 'challenge'],
    [{ nonce: 'openid-nonce' }, 'challenge', 'unbound'],
  ])('expecting %o of a token that says %s is %s', async (expected, said, freshness) => {
    const attestd = { ...(attestdPayload()['attestd'] as Members), freshness: said }
    const accepted = await createTokenVerifier(trust()).accept(edited(attestdPayload(), { attestd }), expected)
    expect(accepted.freshness).toBe(freshness)
  })

  it('leaves out an event log that nobody replayed', async () => {
    const tdx = { ...(attestdPayload()['tdx'] as Members), uefi_event_logs: [{ index: 1 }] }
    const accepted = await createTokenVerifier(trust()).accept(edited(attestdPayload(), { tdx }))
    expect(accepted.tdx).toHaveProperty('quote')
    expect(accepted.tdx).not.toHaveProperty('uefi_event_logs')
  })

  it('says when the evidence was simulated, and needs a switch for it', async () => {
    const attestd = { ...(attestdPayload()['attestd'] as Members), simulated: true }
    const token = edited(attestdPayload(), { attestd, acr: 'urn:attestd:acr:simulated' })
    expect((await findings(token)).failed).toEqual(['token.simulated', 'token.binding'])
    const accepted = await createTokenVerifier(trust({ allowSimulated: true })).accept(token)
    expect(accepted.simulated).toBe(true)
  })

  it('waives debug mode only for allowDebug, and then only a well-formed one', async () => {
    const token = edited(attestdPayload(), { dbgstat: 'enabled' })
    expect((await findings(token)).failed).toEqual(['token.debug'])
    expect((await findings(token, trust({ allowDebug: true }))).waived).toContain('token.debug')
    const strange = edited(attestdPayload(), { dbgstat: 1 })
    expect((await findings(strange, trust({ allowDebug: true }))).failed).toEqual(['token.debug'])
    const silent = edited(attestdPayload(), { dbgstat: undefined, tdx: {} })
    expect((await findings(silent)).failed).toEqual(expect.arrayContaining(['token.debug']))
  })
})

describe('refusals', () => {
  it('are DistrustedError with every finding, the first failure first, and nothing secret', async () => {
    const error = await refusal(edited(attestdPayload(), { aud: 'https://else.test', tee: 'sgx' }), trust(), {
      eatNonce: 'mine',
    })
    expect(error).toBeInstanceOf(DistrustedError)
    expect(error).toMatchObject({
      kind: 'distrusted',
      code: 'DISTRUSTED',
      status: 403,
      exitCode: 1,
      message: 'token.audience: the token is for "https://else.test", not for "https://rp.test"',
      facts: { check: 'token.audience', rule: 'TOK-91', failed: 'token.audience,token.nonce,token.tee' },
    })
    expect((error as DistrustedError).findings).toHaveLength(32)
    expect(JSON.stringify([error.message, error.facts, (error as DistrustedError).findings])).not.toMatch(
      /mine|nonce-of|6f1c2f0e|xZxJmTu0/,
    )
  })

  it.each([
    ['', 'token.syntax'],
    ['a.b', 'token.syntax'],
    [`${issuer.sign(attestdPayload())}\n`, 'token.syntax'],
    [issuer.sign('[]'), 'token.json'],
    [issuer.sign(Uint8Array.of(0x7b, 0xff, 0x7d)), 'token.json'],
    [issuer.sign(`${'{"a":'.repeat(33)}1${'}'.repeat(33)}`), 'token.json'],
  ])('are MalformedError for what is no token: %#', async (token, check) => {
    const error = await refusal(token)
    expect(error).toBeInstanceOf(MalformedError)
    expect(error).toMatchObject({ status: 400, exitCode: 65, facts: { check } })
    expect((await findings(token)).failed).toEqual([check])
    expect((await findings(token)).unreached).toHaveLength(check === 'token.syntax' ? 31 : 30)
  })

  it.each([undefined, null, 7, {}, [issuer.sign(attestdPayload())]])('are MalformedError for %o', async (token) => {
    expect(await refusal(token as never)).toBeInstanceOf(MalformedError)
  })

  it('judge no claim of a token whose signature does not verify', async () => {
    const { failed, unreached } = await findings(issuer.sign(attestdPayload()).replace(/.{6}$/, 'AAAAAA'))
    expect(failed).toEqual(['token.signature'])
    expect(unreached[0]).toBe('token.issuer')
    expect(unreached).toHaveLength(24)
  })

  it('print hostile header values harmlessly', async () => {
    const typ = `\u001b[31m\u202e${'x'.repeat(9000)}`
    const error = await refusal(issuer.sign(attestdPayload(), { alg: 'ES256', kid: 'key-1', typ }))
    expect(error.message).toMatch(/^[\x20-\x7e…]{1,300}$/)
  })

  it('without a proof never pass possession (TOK-111)', async () => {
    const { detail, failed } = await findings(issuer.sign(attestdPayload()), trust({ requirePossession: true }))
    expect(failed).toEqual(['token.possession'])
    expect(detail('token.possession')).toContain('no proof')
    const unbound = edited(attestdPayload(), { cnf: undefined })
    expect((await findings(unbound, trust({ requirePossession: true }))).detail('token.possession')).toContain('no key')
  })
})

describe('forgeries', () => {
  const attacker = createTestIssuer('ES256')
  const rsa = createTestIssuer('RS256')
  const everyKey = { jwks: { keys: [issuer.jwk, rsa.jwk] } }
  const payload = base64url(JSON.stringify(attestdPayload()))
  const header = (members: Members) => base64url(JSON.stringify(members))

  it('alg none, with and without a signature', async () => {
    const none = `${header({ alg: 'none', typ: 'JWT' })}.${payload}`
    expect(await refusal(`${none}.`)).toBeInstanceOf(MalformedError)
    expect((await findings(`${none}.AAAA`)).failed).toEqual(['token.algorithm'])
  })

  it('HS256 keyed with the public key in each of its forms', async () => {
    for (const secret of [
      rsa.publicKey.export({ format: 'pem', type: 'spki' }),
      rsa.publicKey.export({ format: 'der', type: 'spki' }),
      JSON.stringify(rsa.jwk),
    ]) {
      const input = `${header({ alg: 'HS256', kid: rsa.kid, typ: 'JWT' })}.${payload}`
      const token = `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
      expect((await findings(token, trust({ keys: everyKey }))).failed).toEqual(['token.algorithm'])
    }
  })

  it('a key in the header, with our kid or none', async () => {
    for (const kid of ['key-1', undefined]) {
      const token = attacker.sign(attestdPayload(), { alg: 'ES256', kid, jwk: attacker.jwk })
      expect((await findings(token)).failed).toEqual(['token.header'])
      const alibaba = trust({ profile: 'alibaba', algorithms: ['ES256'] })
      expect((await findings(token, alibaba)).failed).toEqual(['token.signature'])
    }
  })

  it('another key under our kid, an unknown kid, another algorithm of the same key', async () => {
    expect((await findings(attacker.sign(attestdPayload()))).failed).toEqual(['token.signature'])
    expect((await findings(createTestIssuer('ES256', 'key-9').sign(attestdPayload()))).failed).toEqual(['token.key'])
    const ps256 = rsa.sign(attestdPayload(), { alg: 'PS256', kid: rsa.kid })
    expect((await findings(ps256, trust({ keys: { jwks: { keys: [rsa.jwk] } } }))).failed).toEqual(['token.key'])
  })

  it('degenerate and DER signatures', async () => {
    const good = issuer.sign(attestdPayload())
    const head = good.slice(0, good.lastIndexOf('.') + 1)
    const order = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex')
    const one = Buffer.alloc(32)
    one[31] = 1
    for (const parts of [
      [Buffer.alloc(32), Buffer.alloc(32)],
      [order, one],
      [one, order],
      [order, order],
      [one, Buffer.alloc(32)],
    ]) {
      expect((await findings(head + base64url(Buffer.concat(parts)))).failed).toEqual(['token.signature'])
    }
    const short = await findings(head + base64url(Buffer.alloc(70, 0x30)))
    expect([short.failed, short.detail('token.signature')]).toEqual([
      ['token.signature'],
      'the signature has 70 bytes, not 64',
    ])
  })

  it('a token of a short RSA key, even if the operator configured it', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
    const short = { ...publicKey.export({ format: 'jwk' }), kid: 'short', alg: 'RS256' }
    const token = signCompact(privateKey, 'sha256', { alg: 'RS256', kid: 'short' }, attestdPayload())
    const { failed, detail } = await findings(token, trust({ keys: { jwks: { keys: [issuer.jwk, short] } } }))
    expect(failed).toEqual(['token.key'])
    expect(detail('token.key')).toContain('short: an RSA key of 1024 bits')
  })
})

describe('every algorithm', () => {
  it.each(['RS256', 'ES256', 'ES384', 'EdDSA'] as const)('%s', async (alg) => {
    const other = createTestIssuer(alg)
    const keys = { jwks: { keys: [other.jwk] } }
    expect((await findings(other.sign(attestdPayload()), trust({ keys }))).failed).toEqual([])
    const tampered = other.sign({ ...attestdPayload(), sub: 'x' }).split('.')
    const [head, , signature] = other.sign(attestdPayload()).split('.')
    expect((await findings([head, tampered[1], signature].join('.'), trust({ keys }))).failed).toEqual([
      'token.signature',
    ])
  })

  it('Ed25519 and EdDSA are one, in configuration, header and key', async () => {
    const other = createTestIssuer('EdDSA')
    for (const configured of ['EdDSA', 'Ed25519'] as const) {
      for (const alg of ['EdDSA', 'Ed25519']) {
        for (const published of ['EdDSA', 'Ed25519']) {
          const keys = { jwks: { keys: [{ ...other.jwk, alg: published }] } }
          const token = other.sign(attestdPayload(), { alg, kid: other.kid })
          expect((await findings(token, trust({ keys, algorithms: [configured] }))).failed).toEqual([])
        }
      }
    }
  })
})

describe('times, at the limit and one millisecond or second beside it', () => {
  const at = (seconds: number, changes: Partial<TokenTrust> = {}) =>
    findings(issuer.sign(attestdPayload()), trust({ maxTokenAgeS: 3600, ...changes }, seconds * 1000))
  const exp = tokenNow + 870
  const iat = tokenNow - 30

  it.each([
    ['before exp + skew', exp + 60 - 0.001, {}, []],
    ['at exp + skew', exp + 60, {}, ['token.times']],
    ['before exp without skew', exp - 0.001, { clockSkewS: 0 }, []],
    ['at exp without skew', exp, { clockSkewS: 0 }, ['token.times']],
    ['at iat - skew', iat - 60, {}, []],
    ['before iat - skew', iat - 60.001, {}, ['token.times']],
    ['at the greatest age + skew', iat + 960, { maxTokenAgeS: 900, clockSkewS: 60 }, ['token.times']],
    ['at a smaller greatest age + skew', iat + 460, { maxTokenAgeS: 400 }, []],
    ['after a smaller greatest age + skew', iat + 460.001, { maxTokenAgeS: 400 }, ['token.age']],
  ] as const)('%s', async (_name, seconds, changes, failed) => {
    expect((await at(seconds, changes)).failed).toEqual(failed)
  })

  it('takes auth_time at max_age + skew and not later', async () => {
    const context = async (maxAgeS: number) =>
      findings(issuer.sign(attestdPayload()), trust({ clockSkewS: 10 }), { maxAgeS })
    expect((await context(30)).failed).toEqual([])
    expect((await context(29)).failed).toEqual(['token.context'])
  })

  it('takes a token of exactly the greatest length', async () => {
    const token = issuer.sign(attestdPayload())
    expect((await findings(token, trust({ maxTokenLength: token.length }))).failed).toEqual([])
    expect((await findings(token, trust({ maxTokenLength: token.length - 1 }))).failed).toEqual(['token.syntax'])
  })
})

describe('tokens without a TD', () => {
  const tpm = (changes: Partial<TokenTrust> = {}) => trust({ tee: ['tpm'], ...changes })
  const token = () => issuer.sign(tpmPayload())

  it('are accepted where the operator accepts the kind, with the waiver named', async () => {
    const { failed, waived, detail } = await findings(token(), tpm(), { eatNonce: 'nonce-of-the-guest' })
    expect(failed).toEqual([])
    expect(waived).toEqual(expect.arrayContaining(['token.reportData', 'token.initData', 'token.debug', 'token.tcb']))
    expect([detail('token.debug'), detail('token.tcb')]).toEqual(
      Array(2).fill('a kind without a TD, which `tee` accepts'),
    )
    const accepted = await createTokenVerifier(tpm()).accept(token(), { eatNonce: 'nonce-of-the-guest' })
    expect(accepted).toMatchObject({
      tee: 'tpm',
      freshness: 'challenge',
      tpm: { secure_boot: true },
      claims: { ima: { verified: true } },
    })
    expect(accepted.tdx).toBeUndefined()
  })

  it('are refused where the kind is not accepted, and then by every rule', async () => {
    expect((await findings(token(), trust())).failed).toEqual(['token.tee', 'token.debug', 'token.tcb'])
  })

  it.each([
    ['report data', {}, { reportData: bytes(reportData) }, 'token.reportData'],
    ['init data', { initData: bytes(initData) }, {}, 'token.initData'],
    ['measurements of a TD', { measurements: { mr_td: ['aa'.repeat(48)] } }, {}, 'token.measurements'],
    ['a TCB status', { requireTcbStatus: ['UpToDate'] }, {}, 'token.tcb'],
  ] as const)('fail where the operator expects %s', async (_name, changes, expected, id) => {
    expect((await findings(token(), tpm(changes), expected)).failed).toEqual([id])
    expect((await findings(token(), tpm({ ...changes, tee: ['tpm', 'tdx'] }), expected)).failed).toEqual([id])
  })

  it('do not borrow the tree of another kind', async () => {
    const both = edited(tpmPayload(), { tdx: attestdPayload()['tdx'], init_data: initData, report_data: reportData })
    const demanding = tpm({ measurements: { mr_td: ['aa'.repeat(48)] }, initData: bytes(initData) })
    const { failed } = await findings(both, demanding, { reportData: bytes(reportData) })
    expect(failed).toEqual(['token.reportData', 'token.initData', 'token.measurements'])
    expect((await createTokenVerifier(tpm()).accept(both)).tdx).toBeUndefined()
  })

  it('are measured by their PCRs', async () => {
    const pcr = (value: string) => tpm({ measurements: { 'tpm.pcr.0': [value], 'tpm.secure_boot': [true] } })
    expect((await findings(token(), pcr('c0'.repeat(32)))).failed).toEqual([])
    const { failed, detail } = await findings(token(), pcr('00'.repeat(32)))
    expect([failed, detail('token.measurements')]).toEqual([
      ['token.measurements'],
      `tpm.pcr.0 is "${'c0'.repeat(32)}"`,
    ])
    expect((await findings(token(), tpm({ measurements: { 'tpm.pcr.1': ['00'] } }))).failed).toEqual([
      'token.measurements',
    ])
  })

  it('of GPUs alone need a word about debug mode', async () => {
    const { tdx, tcb, ...rest } = attestdPayload()
    const gpu = {
      ...rest,
      tee: 'nvgpu',
      acr: 'urn:attestd:acr:nvgpu',
      customized_claims: {},
      attestd: { simulated: false },
    }
    const accepting = trust({ tee: ['nvgpu'] })
    expect((await findings(edited(gpu, {}), accepting)).failed).toEqual([])
    expect((await findings(edited(gpu, { dbgstat: undefined }), accepting)).failed).toEqual(['token.debug'])
  })

  it('in a TD count only where an edge binds them', async () => {
    const measured = trust({ measurements: { 'tpm.pcr.0': ['c0'.repeat(32)] } })
    const withTpm = { ...attestdPayload(), tpm: tpmPayload()['tpm'] }
    expect((await findings(edited(withTpm, {}), measured)).failed).toEqual(['token.measurements'])
    const binding = ['tdx+nvgpu', 'tdx+tpm'].map((edge) => ({ edge, outcome: 'passed' }))
    const attestd = { ...(attestdPayload()['attestd'] as Members), binding }
    const bound = edited(withTpm, { acr: 'urn:attestd:acr:tdx+tpm+nvgpu', attestd })
    expect((await findings(bound, measured)).failed).toEqual([])
  })
})

describe('the TCB status', () => {
  const outOfDate = () => edited(attestdPayload(), { tcb: { status: 'OutOfDate', advisories: ['INTEL-SA-00837'] } })

  it('is UpToDate by default; advisories are reported', async () => {
    const { failed, detail } = await findings(outOfDate())
    expect(failed).toEqual(['token.tcb'])
    expect(detail('token.tcb')).toBe('the TCB status is "OutOfDate", advisories "INTEL-SA-00837"')
    expect((await findings(outOfDate(), trust({ requireTcbStatus: ['UpToDate', 'OutOfDate'] }))).failed).toEqual([])
    expect((await findings(outOfDate(), trust({ requireTcbStatus: null }))).waived).toContain('token.tcb')
  })

  it('is never there in profile alibaba, even if a member of that name is', async () => {
    const alibaba = trust({ profile: 'alibaba', algorithms: ['ES256'], audience: 'https://verifier.test' })
    const { failed, detail } = await findings(edited(alibabaPayload(), { tcb: { status: 'UpToDate' } }), alibaba)
    expect(failed).toEqual(['token.tcb'])
    expect(detail('token.tcb')).toContain('use profile attestd or verify the quote')
  })
})

describe('configuration', () => {
  it.each([
    ['issuer', { issuer: 'http://verifier.test' }],
    ['issuer', { issuer: 'https://verifier.test?x=1' }],
    ['issuer', { issuer: 'https://user@verifier.test' }],
    ['issuer', { issuer: 'https://verifier.test#' }],
    ['issuer', { issuer: undefined }],
    ['audience', { audience: '' }],
    ['keys', { keys: {} }],
    ['keys', { keys: { source: {} } }],
    ['keys.jwks', { keys: { jwks: { keys: [] } } }],
    ['keys.jwks', { keys: { jwks: { keys: [{ kty: 'oct', k: 'AAAA', kid: 'secret' }] } } }],
    ['profile', { profile: 'trustee' }],
    ['algorithms.0', { algorithms: ['none'] }],
    ['algorithms.0', { algorithms: ['HS256'] }],
    ['algorithms', { algorithms: [] }],
    ['tee', { tee: [] }],
    ['tee.0', { tee: ['sgx'] }],
    ['measurements', { measurements: undefined }],
    ['measurements', { measurements: { mrtd: ['00'] } }],
    ['measurements', { measurements: { mr_td: [] } }],
    ['measurements', { measurements: { mr_td: ['AA'] } }],
    ['measurements', { measurements: { 'cnf.jkt': ['aa'] } }],
    ['requireTcbStatus', { requireTcbStatus: [] }],
    ['requireTcbStatus', { requireTcbStatus: undefined }],
    ['initData', { initData: new Uint8Array(49) }],
    ['initData', { initData: new Uint8Array(0) }],
    ['clockSkewS', { clockSkewS: 301 }],
    ['clockSkewS', { clockSkewS: -1 }],
    ['maxTokenAgeS', { maxTokenAgeS: 0 }],
    ['maxTokenAgeS', { maxTokenAgeS: Number.POSITIVE_INFINITY }],
    ['maxTokenLength', { maxTokenLength: 262_145 }],
    ['replayCache', { replayCache: new Map() }],
    ['options', { requireMeasurements: true }],
  ])('refuses a wrong %s', (option, changes) => {
    const make = () => createTokenVerifier({ ...trust(), ...changes } as TokenTrust)
    expect(make).toThrow(AttestdError)
    expect(make).toThrow(
      expect.objectContaining({ code: 'TOKEN_TRUST_INVALID', kind: 'configuration', facts: { option } }),
    )
  })

  it('takes the limits themselves, and http on this host', () => {
    createTokenVerifier(trust({ clockSkewS: 300, maxTokenLength: 262_144, initData: new Uint8Array(48) }))
    for (const host of ['127.0.0.1:8080', 'localhost', '[::1]:1'])
      createTokenVerifier(trust({ issuer: `http://${host}` }))
  })

  it.each([
    [{ eatNonce: undefined }],
    [{ nonce: '' }],
    [{ nonce: null }],
    [{ reportdata: bytes(reportData) }],
    [{ reportData: new Uint8Array(64) }],
    [{ reportData: new Uint8Array(0) }],
    [{ reportData: bytes(`${reportData}00`) }],
    [{ reportData }],
    [{ maxAgeS: Number.NaN }],
    [{ maxAgeS: -1 }],
    [{ __proto__: null, constructor: 'x' }],
  ])('refuses expectations that would switch a check off: %#', async (expected) => {
    const verifier = createTokenVerifier(trust())
    await expect(verifier.accept(issuer.sign(attestdPayload()), expected as never)).rejects.toThrow(TypeError)
  })
})

describe.skipIf(!haveVectors)('the documented token of the hosted service, signed again with a key of ours', () => {
  const rsa = createTestIssuer('RS256', '4653550c-5551-5e6f-92b5-22f530229751')
  const [header, payload] = Buffer.from(haveVectors ? vector('token/alibaba-sample.jwt') : [])
    .toString('latin1')
    .split('.')
  const text = (segment = '') => Buffer.from(segment, 'base64url').toString()

  it('is accepted at its time by profile alibaba', async () => {
    const hosted = 'https://attest.cn-beijing.aliyuncs.com'
    const { iat, exp } = JSON.parse(text(payload) || '{}')
    const verifier = createTokenVerifier({
      issuer: hosted,
      audience: hosted,
      profile: 'alibaba',
      keys: { jwks: { keys: [rsa.jwk] } },
      tee: ['tdx'],
      measurements: null,
      requireTcbStatus: null,
      clock: new FakeClock((iat + 10) * 1000),
    })
    const accepted = await verifier.accept(rsa.sign(text(payload), text(header)))
    expect(accepted).toMatchObject({ issuer: hosted, tee: 'tdx', expiresAt: exp, freshness: 'unbound' })
    expect(Object.keys(valueAt(accepted.claims, 'tdx', 'quote', 'body') ?? {})).toHaveLength(17)
  })
})
