import { createHash, randomBytes } from 'node:crypto'
import { createLocalJWKSet, decodeJwt, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createSimulator, type SimulatedTdx } from '../../../mocks/tdx/simulator.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { rsaKey } from '../../../test/support/issuing.ts'
import { makePolicySigner } from '../../../test/support/policy-signers.ts'
import { throwAwayTls } from '../../../test/support/throw-away-tls.ts'
import { toHex } from '../../base/bytes.ts'
import { AttestdError } from '../../base/errors.ts'
import type { JsonObject } from '../../base/json.ts'
import { encodeUnsignedPolicy, policyHash, signPolicy } from '../../policies/index.ts'
import { MemoryPolicyStore } from '../../registry/policies/memory-policy-store.ts'
import { PolicyBook } from '../../registry/policies/policy-book.ts'
import { storeErrors } from '../../registry/store-errors.ts'
import { appraiseQuote, type QuoteInputs } from '../../verifier/index.ts'
import { attestationErrors } from '../attestation-api/errors.ts'
import { issuerErrors } from '../errors.ts'
import { openKeyRing } from '../open-key-ring.ts'
import { type AzureAttestationOptions, createAzureAttestation } from './attest-server.ts'
import { type TdAppraisal, TdAttestation } from './attest-td.ts'
import { AnswerKeys } from './azure-answers.ts'
import type { AzureApp } from './azure-server.ts'
import { shippedPolicyOf } from './azure-types.ts'
import { MaaJudge } from './maa-judge.ts'

const issuer = 'https://attest.example'
const utf8 = (text: string) => new Uint8Array(Buffer.from(text, 'utf8'))
const permitAll = 'version=1.0;authorizationrules{=>permit();};issuancerules{'
const tls = throwAwayTls()
const path = '/attest/TdxVm?api-version=2025-06-01'

let clock: FakeClock
let simulated: SimulatedTdx
let policies: PolicyBook
let keys: AnswerKeys
let base: AzureAttestationOptions
let app: AzureApp
const bugs: unknown[] = []
const judge = new MaaJudge()

/** As the service of a deployment does it; the anchors are those of the simulator, taken for real ones. */
function appraiserWith(inputs: Partial<QuoteInputs> = {}) {
  const anchors = [{ ...simulated.pki.anchor, simulator: false }]
  return {
    appraise: async (quote: Uint8Array, reportData: Uint8Array | 'any') =>
      appraiseQuote(quote, {
        ...{ collateral: simulated.collateral(), now: clock.now(), trustAnchors: anchors, reportData },
        ...inputs,
      }),
  }
}

beforeAll(async () => {
  clock = new FakeClock(Date.UTC(2026, 5, 1))
  simulated = createSimulator({ clock })
  policies = new PolicyBook({ store: new MemoryPolicyStore(), clock, random: randomBytes, signsTokens: () => false })
  keys = new AnswerKeys(
    await openKeyRing({
      purpose: 'azure-token',
      store: 'ephemeral',
      algorithms: ['RS256'],
      clock,
      initialKeys: [rsaKey()],
    }),
  )
  base = {
    ...{ issuer, tls: tls.server, keys, policies, clock, appraiser: appraiserWith() },
    judge: (question) => judge.judge(question),
    rate: { perS: 1e6, burst: 1e6 },
    random: (size) => new Uint8Array(randomBytes(size)),
    onBug: (error) => bugs.push(error),
  }
  app = createAzureAttestation(base)
})
afterAll(() => app.close())

const reportDataOver = (data: Uint8Array) =>
  new Uint8Array([...createHash('sha256').update(data).digest(), ...new Uint8Array(32)])
const data = utf8('{"key":"value"}')
const quoteOver = (reportData: Uint8Array, options = {}) => Buffer.from(simulated.quote({ reportData, ...options }))
const runtimeOf = (bytes: Uint8Array, dataType = 'JSON') => ({
  data: Buffer.from(bytes).toString('base64url'),
  dataType,
})
const goodBody = () => ({
  quote: quoteOver(reportDataOver(data)).toString('base64url'),
  runtimeData: runtimeOf(data),
  nonce: 'n-1',
})

async function post(body: unknown, url = path, at: AzureApp = app) {
  const payload = typeof body === 'string' ? body : JSON.stringify(body)
  const response = await at.inject({ method: 'POST', url, headers: { 'content-type': 'application/json' }, payload })
  const answer = response.json()
  return {
    status: response.statusCode,
    code: answer.error?.code ?? null,
    message: answer.error?.message ?? '',
    token: answer.token,
  }
}

async function claimsOf(body: unknown, at: AzureApp = app): Promise<JsonObject> {
  const { token, message } = await post(body, path, at)
  if (token === undefined) throw new Error(message)
  return decodeJwt(token) as JsonObject
}

async function withPolicy(text: string, use: () => Promise<void>, upload = utf8(text)): Promise<void> {
  expect(await policies.set('type:TdxVm', upload, 'ann')).toMatchObject({ loaded: true })
  try {
    await use()
  } finally {
    await policies.reset('type:TdxVm', 'eyJhbGciOiJub25lIn0..', 'ann')
  }
}

async function withServer(change: Partial<AzureAttestationOptions>, use: (at: AzureApp) => Promise<void>) {
  const at = createAzureAttestation({ ...base, ...change })
  try {
    await use(at)
  } finally {
    await at.close()
  }
}

describe('a TD whose report data are over its runtime data (POL-910, POL-911)', () => {
  it('gets a token with what its quote says', async () => {
    const { token } = await post(goodBody())
    const jwks = createLocalJWKSet((await app.inject('/certs')).json())
    const { payload, protectedHeader } = await jwtVerify(token, jwks, { issuer, currentDate: new Date(clock.now()) })
    expect(protectedHeader).toMatchObject({ alg: 'RS256', typ: 'JWT' })
    const now = clock.now() / 1000
    expect(payload).toMatchObject({
      ...{ iss: issuer, iat: now, nbf: now, 'x-ms-ver': '1.0', 'x-ms-attestation-type': 'tdxvm', intuse: 'generic' },
      ...{ nonce: 'n-1', 'x-ms-runtime': { key: 'value' }, dbgstat: 'disabled', attester_tcb_status: 'UpToDate' },
      tdx_report_data: toHex(reportDataOver(data)),
      tdx_td_attributes_debug: false,
      'x-ms-policy-hash': policyHash(shippedPolicyOf('TdxVm')),
      'x-ms-policy': { 'policy-name': 'attestd-default-tdx-v1' },
      'policy-name': 'attestd-default-tdx-v1',
    })
    for (const name of ['mrtd', 'rtmr0', 'rtmr3', 'mrseam', 'mrsignerseam', 'mrconfigid', 'mrowner', 'mrownerconfig']) {
      expect(payload[`tdx_${name}`]).toMatch(/^[0-9a-f]{96}$/)
    }
    for (const name of ['seam_attributes', 'td_attributes', 'xfam'])
      expect(payload[`tdx_${name}`]).toMatch(/^[0-9a-f]{16}$/)
    const svn = Buffer.from(String(payload['tdx_tee_tcb_svn']), 'hex')
    expect(payload['tdx_seamsvn']).toBe((svn[0] ?? 0) + 256 * (svn[1] ?? 0))
    expect(String(payload['eat_profile'])).toMatch(/^https:\/\/attest\.example\//)
    for (const absent of ['attestd', 'x-ms-compliance-status', 'x-ms-policy-signer', 'aud', 'sub']) {
      expect(payload).not.toHaveProperty(absent)
    }
  })

  it('has a token of at most 8 hours, that ends with its collateral and says when it was made', async () => {
    const { iat, exp } = await claimsOf(goodBody())
    expect(Number(exp) - Number(iat)).toBe(28_800)
    const soon = clock.now() + 3_600_000
    const collateral = simulated.collateral()
    const real = base.appraiser
    const appraise: typeof real.appraise = async (quote, reportData) => {
      const appraisal = await real.appraise(quote, reportData)
      if (appraisal.collateral === null) return appraisal
      return { ...appraisal, collateral: { ...appraisal.collateral, earliestExpirationDate: soon } }
    }
    expect(collateral).toBeDefined()
    await withServer({ appraiser: { appraise } }, async (at) => {
      expect((await claimsOf(goodBody(), at))['exp']).toBe(Math.floor(soon / 1000))
    })
    const jtis = [await claimsOf(goodBody()), await claimsOf(goodBody())].map(({ jti }) => jti)
    expect(new Set(jtis).size).toBe(2)
    for (const lifetimeS of [59, 28_801, 1.5, Number.NaN]) {
      expect(() => new TdAttestation({ ...base, lifetimeS })).toThrow(/lifetime/)
    }
    await withServer({ lifetimeS: 60 }, async (at) => {
      const { iat: issuedAt, exp: end } = await claimsOf(goodBody(), at)
      expect(Number(end) - Number(issuedAt)).toBe(60)
    })
  })

  /** What the appraisal says, changed. */
  const appraisedAs = (change: (appraisal: TdAppraisal) => Partial<TdAppraisal>) => ({
    appraiser: {
      appraise: async (quote: Uint8Array, reportData: Uint8Array | 'any') => {
        const appraisal = await base.appraiser.appraise(quote, reportData)
        return { ...appraisal, ...change(appraisal) }
      },
    },
  })
  const endingAt = (ms: number, expired = false) =>
    appraisedAs(({ collateral }) => ({
      collateral: collateral && { ...collateral, expired, earliestExpirationDate: ms },
    }))

  it('has a token that ends with the certificate of its machine, and not with collateral in its grace (TOK-44)', async () => {
    const soon = clock.now() + 3_600_000
    await withServer(
      appraisedAs(({ pck }) => ({ pck: pck && { ...pck, notAfter: soon } })),
      async (at) => {
        expect((await claimsOf(goodBody(), at))['exp']).toBe(soon / 1000)
      },
    )
    await withServer(endingAt(clock.now() - 1000, true), async (at) => {
      expect((await claimsOf(goodBody(), at))['exp']).toBe(clock.now() / 1000 + 28_800)
    })
  })

  it('has no token that would live less than 30 seconds (TOK-45), and none after the clock was set back', async () => {
    await withServer(endingAt(clock.now() + 30_000), async (at) => {
      expect((await post(goodBody(), path, at)).status).toBe(200)
    })
    await withServer(endingAt(clock.now() + 29_999), async (at) => {
      expect((await post(goodBody(), path, at)).token).toBe(undefined)
    })
    const setBack: AzureAttestationOptions['judge'] = (question) => {
      clock.jump(-61_000)
      return judge.judge(question)
    }
    await withServer({ judge: setBack }, async (at) => {
      expect((await post(goodBody(), path, at)).token).toBe(undefined)
    })
    clock.jump(61_000)
  })

  it('is told the first eight of the checks that failed, and none that was not reached (POL-914)', async () => {
    const findings = Array.from({ length: 10 }, (_, at) => ({ id: `tdx.check.${at}`, outcome: 'failed' as const }))
    const unreached = { id: 'tdx.never', outcome: 'unreached' } as const
    await withServer(
      appraisedAs(() => ({ affirmed: false, findings: [unreached, ...findings] })),
      async (at) => {
        const names = findings.slice(0, 8).map(({ id }) => id)
        expect((await post(goodBody(), path, at)).message).toContain(`is not accepted: ${names.join(', ')}`)
        expect((await post(goodBody(), path, at)).message).not.toMatch(/check\.8|never/)
      },
    )
  })

  it.each(['base64', 'base64url'] as const)('is understood in %s', async (form) => {
    const bytes = quoteOver(reportDataOver(data))
    const body = {
      quote: bytes.toString(form),
      runtimeData: { data: Buffer.from(data).toString(form), dataType: 'JSON' },
    }
    expect(await claimsOf(body)).toMatchObject({ 'x-ms-runtime': { key: 'value' } })
  })

  it('may have binary data, which are no object in the token', async () => {
    const binary = new Uint8Array([0, 255, 1])
    const body = {
      quote: quoteOver(reportDataOver(binary)).toString('base64'),
      runtimeData: runtimeOf(binary, 'Binary'),
    }
    const claims = await claimsOf(body)
    expect(claims).not.toHaveProperty('x-ms-runtime')
    expect(claims).not.toHaveProperty('nonce')
  })

  it('copies a nonce into the token, of which no policy learns: it proves nothing (POL-912)', async () => {
    for (const nonce of ['n-1', '', 'ünï ""', undefined]) {
      const claims = await claimsOf({ ...goodBody(), nonce })
      expect(claims['nonce']).toBe(nonce)
    }
    const rules = `c:[type=="attestation.freshness"]=>issue(type="fresh",value=c.value);
      ![type=="nonce"]=>issue(type="told",value=false);`
    const told = `version=1.2; authorizationrules { => permit(); }; issuancerules { ${rules} };`
    await withPolicy(told, async () => {
      for (const nonce of ['n-1', undefined]) {
        expect((await claimsOf({ ...goodBody(), nonce }))['x-ms-policy']).toEqual({ fresh: 'unbound', told: false })
      }
    })
    // Whoever brings a quote again may choose another nonce: only runtime data are bound to it.
    const replayed = await claimsOf({ ...goodBody(), nonce: 'another' })
    expect(replayed).toMatchObject({ nonce: 'another', 'x-ms-runtime': { key: 'value' } })
  })

  it('tells policies what any verifier of ours tells them of a quote alone (POL-430, POL-431)', async () => {
    const told = ['evidence.kinds', 'tdx.eventlog_present', 'attestation.freshness', 'attestation.type', 'report_data']
    const rules = told.map(
      (type) => `c:[type=="${type}",issuer=="AttestationService"]=>issue(type="saw.${type}",value=c.value);`,
    )
    await withPolicy(`${permitAll}${rules.join('')}};`, async () => {
      expect((await claimsOf(goodBody()))['x-ms-policy']).toEqual({
        ...{ 'saw.evidence.kinds': 'tdx', 'saw.tdx.eventlog_present': false, 'saw.attestation.freshness': 'unbound' },
        ...{ 'saw.attestation.type': 'tdx', 'saw.report_data': toHex(reportDataOver(data)) },
      })
    })
  })

  it('is known by the version of the interface that published guest tools send', async () => {
    expect((await post(goodBody(), '/attest/TdxVm?api-version=2023-04-01-preview')).status).toBe(200)
    for (const query of ['', '?api-version=2020-10-01', '?api-version=2025-06-01&api-version=2025-06-01']) {
      expect(await post(goodBody(), `/attest/TdxVm${query}`)).toMatchObject({ status: 400, code: 'InvalidParameter' })
    }
  })
})

describe('what is not bound (POL-911)', () => {
  const wrong = { status: 400, code: 'InvalidParameter', message: expect.stringContaining('tdx.reportData') }

  it.each<[string, (good: Uint8Array) => Uint8Array]>([
    ['other runtime data', () => reportDataOver(utf8('{"key":"other"}'))],
    ['a hash behind which there is something', (good) => good.map((byte, at) => (at === 63 ? 1 : byte))],
    ['the data themselves', () => new Uint8Array([...data, ...new Uint8Array(64 - data.length)])],
    ['nothing', () => new Uint8Array(64)],
  ])('a quote over %s is refused', async (_, over) => {
    const quote = quoteOver(over(reportDataOver(data))).toString('base64url')
    expect(await post({ quote, runtimeData: runtimeOf(data) })).toMatchObject(wrong)
    await withPolicy(`${permitAll}};`, async () => {
      expect(await post({ quote, runtimeData: runtimeOf(data) })).toMatchObject(wrong)
    })
  })

  it('a quote without runtime data is denied by the default policy, and is not bound for any other', async () => {
    const body = { quote: quoteOver(reportDataOver(data)).toString('base64url') }
    expect(await post(body)).toMatchObject({ status: 400, code: 'PolicyEvaluationError' })
    const copy = `${permitAll} c:[type=="tdx.report_data_bound"] => issue(type="bound", value=c.value); };`
    await withPolicy(copy, async () => {
      expect(await claimsOf(body)).toMatchObject({ bound: false })
      expect(await claimsOf(body)).not.toHaveProperty('x-ms-runtime')
      expect(await claimsOf(goodBody())).toMatchObject({ bound: true })
    })
  })

  it('init data are refused, drafts of policies as well (POL-913)', async () => {
    expect(await post({ ...goodBody(), initTimeData: runtimeOf(data) })).toMatchObject({
      status: 400,
      code: 'InvalidParameter',
    })
    for (const draft of ['', 'version= 1.0;', {}]) {
      expect(await post({ ...goodBody(), draftPolicyForAttestation: draft })).toMatchObject({
        ...{ status: 400, code: 'InvalidOperation' },
        message: expect.stringContaining('attestd policy explain --evidence'),
      })
    }
    expect((await post({ ...goodBody(), draftPolicyForAttestation: null, initTimeData: null })).status).toBe(200)
  })
})

describe('requests of another form', () => {
  it.each<[string, (good: ReturnType<typeof goodBody>) => unknown]>([
    ['no JSON', () => '{'],
    ['a list', () => []],
    ['a repeated member', ({ quote }) => `{"quote":"${quote}","quote":"${quote}"}`],
    ['no quote', ({ runtimeData }) => ({ runtimeData })],
    ['an empty quote', (good) => ({ ...good, quote: '' })],
    ['a quote of too many bytes', (good) => ({ ...good, quote: 'A'.repeat(21_848) })],
    ['no quote in base64', (good) => ({ ...good, quote: Buffer.from('quote').toString('base64url') })],
    ['mixed alphabets', (good) => ({ ...good, quote: `+_${good.quote}` })],
    ['padding in base64url', (good) => ({ ...good, runtimeData: { ...good.runtimeData, data: 'eyJ_Ijox_Q==' } })],
    ['white space in base64', (good) => ({ ...good, quote: ` ${good.quote}` })],
    ['runtime data as a text', (good) => ({ ...good, runtimeData: good.runtimeData.data })],
    ['no type of data', (good) => ({ ...good, runtimeData: { data: good.runtimeData.data } })],
    ['another type of data', (good) => ({ ...good, runtimeData: { ...good.runtimeData, dataType: 'json' } })],
    ['JSON that is none', (good) => ({ ...good, runtimeData: runtimeOf(utf8('{"a":1')) })],
    ['JSON that is a list', (good) => ({ ...good, runtimeData: runtimeOf(utf8('[]')) })],
    ['JSON with a repeated member', (good) => ({ ...good, runtimeData: runtimeOf(utf8('{"a":1,"a":2}')) })],
    ['too many runtime data', (good) => ({ ...good, runtimeData: runtimeOf(new Uint8Array(65_537), 'Binary') })],
    ['a nonce that is a number', (good) => ({ ...good, nonce: 1 })],
    ['a long nonce', (good) => ({ ...good, nonce: 'n'.repeat(1025) })],
  ])('%s: are refused', async (_, change) => {
    expect(await post(change(goodBody()))).toMatchObject({ status: 400, code: 'InvalidParameter' })
  })

  it.each(['{"a":9007199254740993}', '{"a":[-9007199254740992]}', '{"a":1e999}', '{"a":"\\ud800"}'])(
    'runtime data that a token could not repeat exactly are refused, though the quote binds them: %s (POL-911)',
    async (text) => {
      const quote = quoteOver(reportDataOver(utf8(text))).toString('base64url')
      const answer = await post({ quote, runtimeData: runtimeOf(utf8(text)) })
      expect(answer).toMatchObject({ status: 400, message: expect.stringContaining('runtimeData.data') })
    },
  )

  it('64 KiB of runtime data and 1 024 characters of nonce are taken; unknown members are ignored', async () => {
    const most = new Uint8Array(65_536)
    const quote = quoteOver(reportDataOver(most)).toString('base64url')
    const body = { quote, runtimeData: runtimeOf(most, 'Binary'), nonce: 'n'.repeat(1024), extra: [1] }
    expect((await post(body)).status).toBe(200)
  })

  it('a bad quote is a bad parameter, and the answer names the check (POL-914)', async () => {
    const quote = quoteOver(reportDataOver(data))
    quote[quote.length >> 1] = (quote[quote.length >> 1] ?? 0) ^ 1
    const answer = await post({ ...goodBody(), quote: quote.toString('base64url') })
    expect(answer).toMatchObject({ status: 400, code: 'InvalidParameter', message: expect.stringMatching(/tdx\./) })
  })

  it('a quote of an enclave is none of a TD', async () => {
    const quote = quoteOver(reportDataOver(data), { version: 3 }).toString('base64url')
    await withPolicy(`${permitAll}};`, async () => {
      expect(await post({ ...goodBody(), quote })).toMatchObject({ status: 400, code: 'InvalidParameter' })
    })
  })

  it.each(['SgxEnclave', 'OpenEnclave', 'Tpm', 'AzureGuest', 'SevSnpVm'])(
    '%s is not attested (POL-915)',
    async (type) => {
      for (const version of ['2025-06-01', '2020-10-01']) {
        const answer = await post({ quote: 'AA' }, `/attest/${type}?api-version=${version}`)
        expect(answer).toMatchObject({ status: 400, code: 'InvalidOperation' })
      }
      expect(await post({}, `/attest/${type}`)).toMatchObject({ status: 400, code: 'InvalidParameter' })
    },
  )

  it('nothing of the administration is here (POL-903)', async () => {
    for (const url of ['/policies/TdxVm', '/certificates']) {
      expect((await app.inject(`${url}?api-version=2020-10-01`)).statusCode).toBe(404)
    }
  })
})

describe('the policy (POL-914)', () => {
  it.each([
    ['version=1.0;authorizationrules{\n=>deny();};issuancerules{};', /A Deny claim was issued.*\(deny-rule, line 2\)/],
    ['version=1.0;authorizationrules{};issuancerules{};', /\(no-permit\)/],
    [`${permitAll}=>issue(type="iss", value="x");};`, /\(error POL-427, line 1\)/],
    [`${permitAll}=>issue(type="n", value=9007199254740993);};`, /not exact/],
  ])('%s denies', async (text, says) => {
    await withPolicy(text, async () => {
      const answer = await post(goodBody())
      expect(answer).toMatchObject({ status: 400, code: 'PolicyEvaluationError' })
      expect(answer.message).toMatch(says)
    })
  })

  it('puts its claims at the top and under x-ms-policy, and cannot speak for the verifier or for Azure', async () => {
    const issue = (type: string, value: string) => `=>issue(type="${type}", value=${value});`
    const rules = [
      ...[
        issue('zone', '"a"'),
        issue('zone', '"b"'),
        issue('n', '7'),
        issue('tee', '"x"'),
        issue('tdx_mrtd', '"forged"'),
      ],
      ...[issue('dbgstat', '"enabled"'), issue('attestd', '"x"'), issue('intuse', '"x"'), issue('tdx_seamsvn', '99')],
      ...[
        issue('x-ms-compliance-status', '"azure-compliant-cvm"'),
        issue('constructor', '1'),
        issue('jku', '"x"'),
        issue('x-ms-sgx-is-debuggable', 'false'),
      ],
    ]
    await withPolicy(`${permitAll}${rules.join('')}};`, async () => {
      const claims = await claimsOf(goodBody())
      expect(claims).toMatchObject({
        zone: ['a', 'b'],
        n: 7,
        tee: 'x',
        dbgstat: 'disabled',
        intuse: 'generic',
        constructor: 1,
      })
      expect(claims['tdx_mrtd']).toMatch(/^[0-9a-f]{96}$/)
      expect(claims['tdx_seamsvn']).not.toBe(99)
      expect(claims).not.toHaveProperty('attestd')
      expect(claims).not.toHaveProperty('x-ms-sgx-is-debuggable')
      expect(claims['x-ms-policy']).toMatchObject({ zone: ['a', 'b'], tdx_mrtd: 'forged', dbgstat: 'enabled' })
      expect(JSON.stringify(claims)).not.toContain('compliance')
    })
  })

  it('is named by its hash, and by the key that signed it', async () => {
    const signer = makePolicySigner()
    const text = `${permitAll}};`
    await withPolicy(
      text,
      async () => {
        const claims = await claimsOf(goodBody())
        expect(claims).toMatchObject({ 'x-ms-policy-hash': policyHash(utf8(text)), 'x-ms-policy': {} })
        expect(claims['x-ms-policy-signer']).toMatchObject({ kty: 'EC', alg: 'ES256', x5c: [expect.any(String)] })
      },
      utf8(signPolicy(utf8(text), signer)),
    )
    await withPolicy(
      text,
      async () => expect(await claimsOf(goodBody())).not.toHaveProperty('x-ms-policy-signer'),
      utf8(encodeUnsignedPolicy(utf8(text))),
    )
  })

  it('sees runtime data only as what the workload says', async () => {
    const rule = 'c:[type=="runtime.claims", issuer=="CustomClaim"] => issue(type="said", value=c.value);'
    const never = '[type=="runtime.claims", issuer=="AttestationService"] => issue(type="wrong", value=true);'
    await withPolicy(`${permitAll}${rule}${never}};`, async () => {
      const claims = await claimsOf(goodBody())
      expect(claims).toMatchObject({ said: '{"key":"value"}' })
      expect(claims).not.toHaveProperty('wrong')
    })
  })

  it('has the limits of the operator: what costs too much permits nothing (POL-608)', async () => {
    const strict = new MaaJudge({ steps: 1 })
    await withServer({ judge: (question) => strict.judge(question) }, async (at) => {
      const answer = await post(goodBody(), path, at)
      expect(answer).toMatchObject({
        status: 400,
        code: 'PolicyEvaluationError',
        message: expect.stringContaining('POL-608'),
      })
    })
  })

  it('that loads no more permits nothing', async () => {
    const stale = { active: async () => ({ policy: utf8('version=9.9;'), signer: null }) }
    await withServer({ policies: stale }, async (at) => {
      expect(await post(goodBody(), path, at)).toMatchObject({ status: 400, code: 'PolicyEvaluationError' })
    })
  })

  it('of many that follow each other each counts at once', async () => {
    for (let number = 0; number < 12; number++) {
      await withPolicy(`${permitAll}=>issue(type="n", value=${number});};`, async () => {
        expect(await claimsOf(goodBody())).toMatchObject({ n: number })
      })
    }
  })
})

describe('a simulated TD', () => {
  it('is denied by the default policy, and every other token says what it is (TOK-04)', async () => {
    const appraiser = appraiserWith({ trustAnchors: [simulated.pki.anchor], simulator: true })
    await withServer({ appraiser }, async (at) => {
      expect(await post(goodBody(), path, at)).toMatchObject({ status: 400, code: 'PolicyEvaluationError' })
      await withPolicy(`${permitAll}=>issue(type="attestd", value=false);};`, async () => {
        expect(await claimsOf(goodBody(), at)).toMatchObject({ attestd: { simulated: true } })
      })
    })
  })
})

describe('what goes wrong here', () => {
  it('is not told, and there is no token', async () => {
    const cases = [
      [storeErrors.error('registry_unavailable', 'secret'), 503, 'ServiceUnavailable'],
      [attestationErrors.error('AS.DEPENDENCY.BAD_RESPONSE', 'secret'), 503, 'ServiceUnavailable'],
      [issuerErrors.error('KEY_CONFIGURATION', 'secret'), 500, 'InternalError'],
      [new Error('secret'), 500, 'InternalError'],
    ] as const
    for (const [error, status, code] of cases) {
      const fails = () => Promise.reject(error)
      for (const change of [{ appraiser: { appraise: fails } }, { policies: { active: fails } }]) {
        await withServer(change, async (at) => {
          const answer = await post(goodBody(), path, at)
          expect(answer).toMatchObject({ status, code })
          expect(answer.message).not.toContain('secret')
          // Whoever attests can mend nothing here.
          if (error instanceof AttestdError) expect(answer.message).not.toContain(error.remedy)
        })
      }
    }
  })

  it('collateral that is missing affirms nothing', async () => {
    await withServer({ appraiser: appraiserWith({ collateral: null }) }, async (at) => {
      expect(await post(goodBody(), path, at)).toMatchObject({ status: 400, code: 'InvalidParameter' })
    })
  })

  it('as many requests as may be are served at once, and one more is told to come again', async () => {
    const gates: (() => void)[] = []
    const slow = {
      appraise: async (quote: Uint8Array, reportData: Uint8Array | 'any') => {
        await new Promise<void>((resolve) => gates.push(resolve))
        return base.appraiser.appraise(quote, reportData)
      },
    }
    await withServer({ appraiser: slow, atOnce: 2 }, async (at) => {
      const waiting = [post(goodBody(), path, at), post(goodBody(), path, at)]
      while (gates.length < 2) await new Promise((resolve) => setImmediate(resolve))
      expect(await post(goodBody(), path, at)).toMatchObject({ status: 503, code: 'ServiceUnavailable' })
      for (const open of gates.splice(0)) open()
      expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 200])
      const again = post(goodBody(), path, at)
      while (gates.length < 1) await new Promise((resolve) => setImmediate(resolve))
      gates[0]?.()
      expect((await again).status).toBe(200)
    })
  })
})

describe('an address that sends more than its share', () => {
  it('is told to wait, and the others are not (SVC-43)', async () => {
    await withServer({ rate: { perS: 1, burst: 2 } }, async (at) => {
      const from = async (remoteAddress: string) => {
        const { statusCode, headers } = await at.inject({ method: 'POST', url: path, remoteAddress })
        return [statusCode, headers['retry-after']]
      }
      const statuses = [await from('192.0.2.1'), await from('192.0.2.1'), await from('192.0.2.1')]
      expect(statuses).toEqual([
        [400, undefined],
        [400, undefined],
        [429, '1'],
      ])
      expect(await from('192.0.2.2')).toEqual([400, undefined])
      // The keys are read by relying parties, however many of them there are behind one address.
      const { statusCode } = await at.inject({ url: '/certs', remoteAddress: '192.0.2.1' })
      expect(statusCode).toBe(200)
    })
  })
})
