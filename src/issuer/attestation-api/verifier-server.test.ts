import { createHash, createPublicKey } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import type { FastifyInstance } from 'fastify'
import { compactVerify, decodeJwt } from 'jose'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { rsaKey } from '../../../test/support/issuing.ts'
import { evidenceText, makeVerifierRig, type VerifierRig, verifierIssuer } from '../../../test/support/verifier-rig.ts'
import { toBase64url } from '../../base/bytes.ts'
import { AttestdError } from '../../base/errors.ts'
import type { JsonObject } from '../../base/json.ts'
import { hashStructuredData } from '../../evidence/runtime-data.ts'
import { attestationErrors } from './errors.ts'
import { createVerifierServer, type VerifierServerOptions } from './verifier-server.ts'

const reportData = Uint8Array.from({ length: 64 }, (_, at) => at)
const paths = ['/v1/attestation', '/attestation', '/api/attestation-service/attestation']
const open: FastifyInstance[] = []
let rig: VerifierRig

beforeAll(async () => {
  rig = await makeVerifierRig()
})
afterEach(async () => {
  for (const app of open.splice(0)) await app.close()
  rig.events.splice(0)
  rig.bugs.splice(0)
})

function server(change: Partial<VerifierServerOptions> = {}): FastifyInstance {
  const app = createVerifierServer(rig.options(change))
  open.push(app)
  return app
}

function requestFor(quote = rig.simulator.quote({ reportData }), more: JsonObject = {}): JsonObject {
  return { tee: 'tdx', evidence: evidenceText(quote), runtime_data: { raw: toBase64url(reportData) }, ...more }
}

const post = (app: FastifyInstance, body: unknown, headers: Record<string, string> = {}, url = '/v1/attestation') =>
  app.inject({
    method: 'POST',
    url,
    headers: { 'content-type': 'application/json', ...headers },
    payload: typeof body === 'string' || body instanceof Buffer ? body : JSON.stringify(body),
  })

describe('a token of the service', () => {
  it.each(paths)('is the whole body of the answer of %s (SVC-11, SVC-12)', async (path) => {
    const answer = await post(server(), requestFor(), {}, path)
    expect([answer.statusCode, answer.headers['content-type'], answer.headers['cache-control']]).toEqual([
      200,
      'application/jwt',
      'no-store',
    ])
    const { payload } = await compactVerify(
      answer.body,
      createPublicKey({ key: { ...rsaKey().publicJwk }, format: 'jwk' }),
    )
    expect(JSON.parse(Buffer.from(payload).toString())).toMatchObject({
      iss: verifierIssuer,
      aud: verifierIssuer,
      tee: 'tdx',
      attestd: { simulated: true },
      customized_claims: { init_data: null, runtime_data: null },
      'evaluation-reports': [{ 'policy-id': 'default', 'policy-hash': '0'.repeat(64) }],
    })
  })

  it('carries structured runtime data that the quote binds (TOK-25, SVC-26)', async () => {
    const structured = { b: 1, a: 'test' }
    const quote = rig.simulator.quote({ reportData: hashStructuredData(structured) })
    const { body } = await post(server(), requestFor(quote, { runtime_data: { structured } }))
    expect(decodeJwt(body)['customized_claims']).toEqual({ init_data: null, runtime_data: structured })
  })
})

describe('what policies are told of the words of the sender (POL-435)', () => {
  const asked = async (quote: Uint8Array, more: JsonObject) => {
    const seen: unknown[] = []
    const verifier: VerifierServerOptions['verifier'] = {
      verify: async (request, signal) => {
        seen.push(request.statements)
        return rig.verifier.verify(request, signal)
      },
    }
    expect((await post(server({ verifier }), requestFor(quote, more))).statusCode).toBe(200)
    return seen
  }

  it('is raw runtime data without the zeros behind them', async () => {
    const short = reportData.subarray(0, 20)
    const quote = rig.simulator.quote({ reportData: short })
    expect(await asked(quote, { runtime_data: { raw: toBase64url(short) } })).toEqual([
      { runtimeData: new Uint8Array(short), runtimeDataClaims: null, initDataClaims: null },
    ])
  })

  it('is the canonical form of structured ones, and the object, and init data', async () => {
    const [structured, text] = [{ b: 1, a: 'test' }, 'version = "0.1.0"\nalgorithm = "sha384"\n[data]\nk = "v"\n']
    const mrConfigId = new Uint8Array(createHash('sha384').update(text).digest())
    const quote = rig.simulator.quote({ reportData: hashStructuredData(structured), mrConfigId })
    const more = { runtime_data: { structured }, init_data: { init_data_toml: text } }
    expect(await asked(quote, more)).toEqual([
      {
        runtimeData: new Uint8Array(Buffer.from('{"a":"test","b":1}')),
        runtimeDataClaims: structured,
        initDataClaims: { version: '0.1.0', algorithm: 'sha384', data: { k: 'v' } },
      },
    ])
  })
})

describe('what a token says beside', () => {
  it('the init data with which the TD was started (SVC-28, TOK-25)', async () => {
    const text = 'version = "0.1.0"\nalgorithm = "sha384"\n[data]\nk = "v"\n'
    const mrConfigId = new Uint8Array(createHash('sha384').update(text).digest())
    const quote = rig.simulator.quote({ reportData, mrConfigId })
    const { body } = await post(server(), requestFor(quote, { init_data: { init_data_toml: text } }))
    expect(decodeJwt(body)['customized_claims']).toEqual({
      init_data: { version: '0.1.0', algorithm: 'sha384', data: { k: 'v' } },
      runtime_data: null,
    })
  })

  it.each([
    ['of a simulated machine', true, {}, { simulated: true }],
    ['of one that says so itself', false, { hints: { simulated: true } }, { simulated: true }],
    ['of a machine', false, {}, undefined],
  ])('whether it is one %s (TOK-04)', async (_, simulated, more, expected) => {
    const verifier: VerifierServerOptions['verifier'] = {
      verify: async (request, signal) => ({ ...(await rig.verifier.verify(request, signal)), simulated }),
    }
    const evidence = evidenceText(rig.simulator.quote({ reportData }), more)
    const { body } = await post(server({ verifier }), requestFor(undefined, { evidence }))
    expect(decodeJwt(body)['attestd']).toEqual(expected)
  })

  it('when it ends: with the first bound that the verifier names (TOK-44)', async () => {
    const at = rig.clock.now() / 1000 + 100
    const verifier: VerifierServerOptions['verifier'] = {
      verify: async (request, signal) => ({
        ...(await rig.verifier.verify(request, signal)),
        bounds: [{ name: 'collateral', at }],
      }),
    }
    expect(decodeJwt((await post(server({ verifier }), requestFor())).body).exp).toBe(at)
    const { exp = 0, iat = 0 } = decodeJwt((await post(server({ lifetimeS: 900 }), requestFor())).body)
    expect(exp - iat).toBe(900)
  })
})

/** The server refuses; gives the problem, whose status must be that of the answer (ERR-01). */
async function refusal(app: FastifyInstance, body: unknown, headers: Record<string, string> = {}) {
  const answer = await post(app, body, headers)
  const problem = answer.json()
  expect([answer.headers['content-type'], answer.headers['cache-control'], problem.status]).toEqual([
    'application/problem+json',
    'no-store',
    answer.statusCode,
  ])
  return { ...problem, headers: answer.headers }
}

/** A verifier that rejects. */
const failing = (error: unknown) => ({ verifier: { verify: () => Promise.reject(error) } })

describe('a problem (ERR-01)', () => {
  it('has every member, and an instance of its own', async () => {
    const app = server()
    const [first, second] = [await refusal(app, { tee: 'tpm' }), await refusal(app, { tee: 'tpm' })]
    expect(first).toMatchObject({
      type: 'urn:attestd:problem:as.request.unsupported_tee',
      title: 'evidence of this kind is not appraised here',
      status: 400,
      code: 'AS.REQUEST.UNSUPPORTED_TEE',
      detail: 'this service appraises tdx; "tpm" is not appraised here',
      retryable: false,
      remedy: expect.stringContaining('"tee":"tdx"'),
      field: 'tee',
    })
    expect(first.instance).toMatch(/^urn:uuid:[0-9a-f-]{36}$/)
    expect(second.instance).not.toBe(first.instance)
  })

  it('of an appraisal that is not affirmed has its findings, and no policy was asked (ERR-02, ERR-03)', async () => {
    const quote = rig.simulator.quote({ reportData, tdAttributes: new Uint8Array(8).with(0, 1) })
    const problem = await refusal(server(), requestFor(quote))
    expect([problem.status, problem.code, problem.field]).toEqual([
      422,
      'AS.EVIDENCE.VERIFICATION_FAILED',
      'evidence.quote',
    ])
    expect(problem.findings[0]).toMatchObject({
      id: 'tdx.policy.debug',
      outcome: 'failed',
      rule: expect.any(String),
    })
  })

  it('of a policy says which, why and where, and nothing that the policy saw (POL-443)', async () => {
    const facts = { policy_id: 'p', reason: 'deny-rule', lines: '3, 5', secret: 'a claim' }
    const denied = new AttestdError(
      'AS.POLICY.DENIED',
      { kind: 'refused', status: 403, title: 'denied', remedy: '`attestd status` shows it' },
      'policy p: a rule denies (lines 3, 5)',
      { facts },
    )
    const problem = await refusal(server(failing(denied)), requestFor())
    expect(problem).toMatchObject({ status: 403, code: 'AS.POLICY.DENIED', retryable: false })
    expect(problem).toMatchObject({ policy_id: 'p', reason: 'deny-rule', lines: '3, 5' })
    expect(JSON.stringify(problem)).not.toMatch(/a claim|attestd status/)
    expect(problem.remedy).toMatch(/^bring the machine into the state/)
  })

  it('of a policy that fails sends nobody to a machine that is in order (POL-424)', async () => {
    const denied = new AttestdError(
      'AS.POLICY.DENIED',
      { kind: 'refused', status: 403, title: 'denied', remedy: '' },
      'policy p: cannot be evaluated',
      { facts: { policy_id: 'p', reason: 'error', lines: '4', rule: 'POL-410' } },
    )
    const problem = await refusal(server(failing(denied)), requestFor())
    expect(problem.remedy).toMatch(/^tell whoever runs this service: the named policy fails/)
  })

  it('of a policy that is not known names the member (SVC-08)', async () => {
    const unknown = attestationErrors.error('AS.REQUEST.INVALID_ARGUMENT', 'no such policy', {
      facts: { field: 'policy_ids[1]' },
    })
    const problem = await refusal(server(failing(unknown)), requestFor())
    expect([problem.status, problem.field]).toEqual([400, 'policy_ids[1]'])
  })

  it.each([
    ['AS.DEPENDENCY.UNAVAILABLE', 503, true, '5'],
    ['AS.DEPENDENCY.BAD_RESPONSE', 502, true, undefined],
    ['AS.SERVICE.OVERLOADED', 503, true, '5'],
  ] as const)('%s: %i', async (code, status, retryable, wait) => {
    const problem = await refusal(server(failing(attestationErrors.error(code, 'why'))), requestFor())
    expect([problem.status, problem.code, problem.retryable, problem.headers['retry-after']]).toEqual([
      ...[status, code, retryable],
      wait,
    ])
    expect(rig.bugs).toEqual([])
  })

  it('says how long to wait where the verifier does', async () => {
    const error = attestationErrors.error('AS.DEPENDENCY.UNAVAILABLE', 'why', { facts: { retry_after_s: 42 } })
    const { headers } = await refusal(server(failing(error)), requestFor())
    expect(headers['retry-after']).toBe('42')
  })

  it.each([
    ['a TypeError', new TypeError('the secret /etc/x')],
    [
      'an error of another vocabulary',
      new AttestdError('KEY_X', { kind: 'configuration', title: 't', remedy: 'r' }, 'the secret'),
    ],
  ])('says nothing of a bug, of which the log hears under the same instance: %s (ERR-02)', async (_, error) => {
    const problem = await refusal(server(failing(error)), requestFor())
    expect(problem).toMatchObject({ status: 500, code: 'AS.INTERNAL.ERROR', retryable: false })
    expect(JSON.stringify(problem)).not.toContain('secret')
    expect(rig.bugs).toEqual([{ error, instance: problem.instance }])
  })

  it('is retryable where no token can be signed at present, and the log has the cause', async () => {
    const keys = {
      ...{ jwks: () => rig.keys.jwks(), algorithms: () => rig.keys.algorithms(), isPublished: () => false },
      signingKey: () => rsaKey(),
    }
    const problem = await refusal(server({ keys }), requestFor())
    expect([problem.status, problem.code, problem.retryable]).toEqual([503, 'AS.DEPENDENCY.UNAVAILABLE', true])
    expect(rig.events.at(-1)).toMatchObject({ code: problem.code, causeCode: 'SIGNING_KEY_NOT_READY' })
    expect(rig.bugs).toEqual([])
  })

  it('of a listener for everybody has status, code and instance only (ERR-02)', async () => {
    const answer = await post(server({ bareProblems: true }), { tee: 'tpm' })
    const instance = expect.stringMatching(/^urn:uuid:/)
    expect(answer.json()).toEqual({ status: 400, code: 'AS.REQUEST.UNSUPPORTED_TEE', instance })
  })
})

describe('the order of work (SVC-44)', () => {
  it.each([
    ['an id that is none', ['a', '../x'], 'policy_ids[1]'],
    ['too many ids', Array.from({ length: 11 }, (_, at) => `p${at}`), 'policy_ids'],
  ])('%s beside a quote of no worth: a refusal of the ids, for which nothing is verified', async (_, ids, field) => {
    const before = rig.asked()
    const problem = await refusal(server(), { ...requestFor(new Uint8Array(1100)), policy_ids: ids })
    expect([problem.status, problem.code, problem.field, rig.asked() - before]).toEqual([
      ...[400, 'AS.REQUEST.INVALID_ARGUMENT', field],
      0,
    ])
  })

  it.each([
    [
      'other report data',
      () => rig.simulator.quote({ reportData: reportData.with(63, 0) }),
      'AS.EVIDENCE.BINDING_MISMATCH',
    ],
    [
      'a quote that does not parse',
      () => rig.simulator.quote({ reportData }).subarray(0, 1100),
      'AS.EVIDENCE.INVALID_QUOTE',
    ],
    ['a quote of an enclave', () => rig.simulator.quote({ reportData, version: 3 }), 'AS.EVIDENCE.INVALID_QUOTE'],
  ])('%s: the verifier is not asked', async (_, quote, code) => {
    const before = rig.asked()
    const problem = await refusal(server(), requestFor(quote()))
    expect([problem.status, problem.code, problem.field, rig.asked() - before]).toEqual([
      422,
      code,
      'evidence.quote',
      0,
    ])
    expect(problem.findings.length).toBeGreaterThan(0)
  })
})

describe('the head of a request', () => {
  it.each([
    ['application/json'],
    ['application/json; charset=utf-8'],
    ['application/x-www-form-urlencoded'],
    ['text/plain'],
    ['application/problem+json'],
  ])('takes JSON as %s (SVC-05)', async (type) => {
    const { statusCode } = await post(server(), requestFor(), { 'content-type': type })
    expect(statusCode).toBe(200)
  })

  it('takes JSON without a word of what it is (SVC-05)', async () => {
    const payload = JSON.stringify(requestFor())
    const { statusCode } = await server().inject({ method: 'POST', url: '/attestation', payload })
    expect(statusCode).toBe(200)
  })

  it.each(['application/xml', 'multipart/form-data', 'application/jsonx', 'text/html'])(
    'does not take %s (SVC-05)',
    async (type) => {
      const problem = await refusal(server(), requestFor(), { 'content-type': type })
      expect([problem.status, problem.code]).toEqual([415, 'AS.REQUEST.UNSUPPORTED_MEDIA_TYPE'])
    },
  )

  it('is refused with an origin that is not listed (SVC-05)', async () => {
    const app = server({ allowedOrigins: ['https://console.example'] })
    const problem = await refusal(app, requestFor(), { origin: 'https://other.example' })
    expect([problem.status, problem.code]).toEqual([400, 'AS.REQUEST.INVALID_ARGUMENT'])
    const answer = await post(app, requestFor(), { origin: 'https://console.example' })
    expect([answer.statusCode, answer.headers['access-control-allow-origin'], answer.headers['vary']]).toEqual([
      ...[200, 'https://console.example'],
      'origin',
    ])
    const { statusCode } = await post(server(), requestFor(), { origin: 'https://console.example' })
    expect(statusCode).toBe(400)
  })

  describe('of a browser that asks first, for a page (SVC-05)', () => {
    const page = 'https://console.example'
    const usual = {
      origin: page,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type',
    }
    const ask = (headers: Record<string, string>, allowedOrigins = [page], url = '/v1/attestation') =>
      server({ allowedOrigins }).inject({ method: 'OPTIONS', url, headers })
    const corsOf = ({ headers }: Awaited<ReturnType<typeof ask>>) =>
      Object.fromEntries(Object.entries(headers).filter(([name]) => /^(access-control|vary)/.test(name)))

    it.each(['/v1/attestation', '/attestation', '/api/attestation-service/attestation', '/challenge', '/v1/challenge'])(
      'is told what a page of a listed origin may send to %s, and nothing of credentials',
      async (url) => {
        const before = rig.asked()
        const answer = await ask(usual, [page], url)
        expect([answer.statusCode, answer.body, rig.asked() - before]).toEqual([204, '', 0])
        expect(corsOf(answer)).toEqual({
          'access-control-allow-origin': page,
          'access-control-allow-methods': 'POST',
          'access-control-allow-headers': 'content-type',
          'access-control-expose-headers': 'retry-after',
          'access-control-max-age': '600',
          vary: 'origin, access-control-request-method, access-control-request-headers',
        })
      },
    )

    it.each<[string, Record<string, string>, readonly string[]]>([
      ['an origin that is not listed', { ...usual, origin: 'https://other.example' }, [page]],
      ['no origin (null)', { ...usual, origin: 'null' }, [page]],
      ['another port of a listed host', { ...usual, origin: `${page}:8443` }, [page]],
      ['the name of a listed origin in other letters', { ...usual, origin: 'https://CONSOLE.example' }, [page]],
    ])('is refused for %s, and no page can read why', async (_, headers, allowed) => {
      const answer = await ask(headers, [...allowed])
      expect([answer.statusCode, answer.json().code, corsOf(answer)]).toEqual([400, 'AS.REQUEST.INVALID_ARGUMENT', {}])
    })

    it.each<[string, Record<string, string>]>([
      ['another method', { ...usual, 'access-control-request-method': 'DELETE' }],
      ['credentials', { ...usual, 'access-control-request-headers': 'content-type, authorization' }],
    ])('is refused %s', async (_, headers) => {
      const answer = await ask(headers)
      expect([answer.statusCode, answer.headers['access-control-allow-methods']]).toEqual([400, undefined])
    })

    it.each<[string, Record<string, string>, readonly string[], string]>([
      ['where no origin is listed', usual, [], '/v1/attestation'],
      ['without an origin', { 'access-control-request-method': 'POST' }, [page], '/v1/attestation'],
      ['that asks for no method', { origin: page }, [page], '/challenge'],
      ['at a path that takes no body', usual, [page], '/status'],
    ])('is a method like any other %s: 405', async (_, headers, allowed, url) => {
      const answer = await ask(headers, [...allowed], url)
      expect([answer.statusCode, answer.json().code, corsOf(answer)]).toEqual([
        405,
        'AS.REQUEST.METHOD_NOT_ALLOWED',
        {},
      ])
    })

    it('and then sends it: also a refusal can be read by the page, and how long it has to wait', async () => {
      const app = server({ allowedOrigins: [page], rate: { perS: 1, burst: 1 } })
      const readable = { 'access-control-allow-origin': page, 'access-control-expose-headers': 'retry-after' }
      const answer = await post(app, requestFor(), { origin: page })
      expect([answer.statusCode, answer.headers]).toEqual([200, expect.objectContaining(readable)])
      const refused = await post(app, requestFor(), { origin: page })
      expect([refused.statusCode, refused.headers]).toEqual([429, expect.objectContaining(readable)])
    })
  })

  it.each([['br'], ['gzip, gzip'], ['deflate']])('takes no body that is encoded as %s (SVC-40)', async (encoding) => {
    const problem = await refusal(server(), requestFor(), { 'content-encoding': encoding })
    expect([problem.status, problem.code]).toEqual([415, 'AS.REQUEST.UNSUPPORTED_MEDIA_TYPE'])
  })

  it('may say that the body is packed, and what comes out of it is counted (SVC-40)', async () => {
    const headers = { 'content-encoding': 'gzip' }
    const { statusCode } = await post(server(), gzipSync(JSON.stringify(requestFor())), headers)
    expect(statusCode).toBe(200)
    const bomb = await refusal(server(), gzipSync(Buffer.alloc(4 * 1024 * 1024 + 1, ' ')), headers)
    expect([bomb.status, bomb.code]).toEqual([413, 'AS.REQUEST.TOO_LARGE'])
    const noGzip = await refusal(server(), requestFor(), headers)
    expect([noGzip.status, noGzip.code]).toEqual([400, 'AS.REQUEST.INVALID_JSON'])
  })
})

describe('a body (SVC-10, SVC-40)', () => {
  it('of 4 MiB is read, and one byte more is not', async () => {
    const most = 4 * 1024 * 1024
    const text = JSON.stringify(requestFor())
    expect((await post(server(), text.padEnd(most))).statusCode).toBe(200)
    const problem = await refusal(server(), text.padEnd(most + 1))
    expect([problem.status, problem.code]).toEqual([413, 'AS.REQUEST.TOO_LARGE'])
    expect(problem.detail).toContain(String(most))
  })

  it('that is no JSON is refused with its place', async () => {
    const problem = await refusal(server(), '{"tee": "tdx", // a comment\n}')
    expect([problem.status, problem.code]).toEqual([400, 'AS.REQUEST.INVALID_JSON'])
    expect(problem.detail).toMatch(/line 1, column 16/)
  })

  it('that is not there is refused', async () => {
    const problem = await refusal(server(), '')
    expect([problem.status, problem.code]).toEqual([400, 'AS.REQUEST.INVALID_JSON'])
  })
})

describe('binding is required (SVC-27)', () => {
  it('unless the service is configured otherwise', async () => {
    const { runtime_data: _, ...unbound } = requestFor()
    const problem = await refusal(server(), unbound)
    expect([problem.status, problem.code, problem.field]).toEqual([400, 'AS.REQUEST.INVALID_ARGUMENT', 'runtime_data'])
    expect(problem.remedy).toContain('/challenge')
    const answer = await post(server({ allowUnbound: true }), unbound)
    expect(answer.statusCode).toBe(200)
    expect(decodeJwt(answer.body)).not.toHaveProperty('eat_nonce')
  })

  it.each([
    ['unbound', {}, { allowUnbound: true }],
    ['nonce', { runtime_data: { raw: toBase64url(reportData) } }, {}],
  ])('and the verifier hears how fresh it is: %s', async (freshness, more, options) => {
    const heard: unknown[] = []
    const verifier = {
      verify: (request: { freshness: unknown }) => {
        heard.push(request.freshness)
        return Promise.reject(attestationErrors.error('AS.SERVICE.OVERLOADED', 'enough'))
      },
    }
    const quote = rig.simulator.quote({ reportData })
    await post(server({ verifier, ...options }), { tee: 'tdx', evidence: evidenceText(quote), ...more })
    expect(heard).toEqual([freshness])
  })
})

describe('paths and methods', () => {
  it.each([
    ['GET', '/v1/attestation', 405, 'POST'],
    ['HEAD', '/attestation', 405, 'POST'],
    ['OPTIONS', '/challenge', 405, 'POST'],
    ['DELETE', '/jwks.json', 405, 'GET, HEAD'],
    ['POST', '/healthz', 405, 'GET, HEAD'],
    ['GET', '/policy', 404, undefined],
    ['POST', '/v1/attestation/', 404, undefined],
    ['POST', '/V1/attestation', 404, undefined],
    ['GET', '/%', 400, undefined],
  ] as const)('%s %s: %i', async (method, url, status, allow) => {
    const answer = await server().inject({ method, url })
    expect([answer.statusCode, answer.headers['allow']]).toEqual([status, allow])
    if (method !== 'HEAD') expect(answer.json().status).toBe(status)
  })

  it('the documents of the issuer, its health and its state are served (SVC-03, AS-08)', async () => {
    const app = server()
    for (const url of ['/.well-known/openid-configuration', '/jwks.json', '/jwks', '/healthz', '/status']) {
      const [get, head] = [await app.inject(url), await app.inject({ method: 'HEAD', url })]
      expect([url, get.statusCode, head.statusCode, head.body]).toEqual([url, 200, 200, ''])
    }
    expect((await app.inject('/healthz')).body).toBe('ok')
    expect((await app.inject('/status')).json()).toEqual({
      profiles: ['alibaba'],
      tees: ['tdx'],
      unbound: false,
      challenges: { singleUse: 'per process' },
    })
    const kids = (await app.inject('/jwks')).json().keys.map(({ kid }: { kid: string }) => kid)
    expect(kids).toEqual([rsaKey().kid])
  })

  it('everything lies below the path of the issuer', async () => {
    const app = server({ issuer: `${verifierIssuer}/tenant` })
    expect((await post(app, requestFor(), {}, '/tenant/v1/attestation')).statusCode).toBe(200)
    expect((await post(app, requestFor())).statusCode).toBe(404)
    expect((await app.inject('/tenant/healthz')).statusCode).toBe(200)
  })
})

describe('a connection (SVC-42)', () => {
  it('has 10 s for the head of a request, and rests for 120 s', () => {
    const { headersTimeout, keepAliveTimeout, requestTimeout, maxConnections } = server().server
    expect({ headersTimeout, keepAliveTimeout, requestTimeout, maxConnections }).toEqual({
      headersTimeout: 10_000,
      keepAliveTimeout: 120_000,
      requestTimeout: 45_000,
      maxConnections: 1024,
    })
  })
})

describe('what the log hears', () => {
  it('is the route, the status, the code, and counts: nothing of evidence, tokens, addresses and queries', async () => {
    const app = server()
    await post(app, requestFor(undefined, { policy_ids: ['a', 'b'], more: 1, x: 2 }), {}, '/attestation?token=secret')
    await post(app, { tee: 'sgx' })
    await app.inject('/nowhere')
    await app.inject('/%')
    const durationMs = expect.any(Number)
    expect(rig.events).toEqual([
      { route: '/attestation', status: 200, code: null, causeCode: null, policyIds: 2, ignoredMembers: 2, durationMs },
      {
        ...{ route: '/v1/attestation', status: 400, code: 'AS.REQUEST.UNSUPPORTED_TEE', causeCode: null },
        ...{ policyIds: 0, ignoredMembers: 0, durationMs },
      },
      {
        ...{ route: null, status: 404, code: 'AS.REQUEST.NOT_FOUND', causeCode: null },
        ...{ policyIds: 0, ignoredMembers: 0, durationMs },
      },
      {
        ...{ route: null, status: 400, code: 'AS.REQUEST.INVALID_ARGUMENT', causeCode: null },
        ...{ policyIds: 0, ignoredMembers: 0, durationMs },
      },
    ])
  })
})

describe('one address (SVC-43)', () => {
  const rate = { perS: 2, burst: 2 }
  const from = (app: FastifyInstance, remoteAddress: string, headers: Record<string, string> = {}) =>
    app.inject({ method: 'POST', url: '/challenge', remoteAddress, headers })

  it('has a rate of its own, and is told when to come again', async () => {
    const app = server({ rate })
    for (const expected of [200, 200, 429]) expect((await from(app, '192.0.2.1')).statusCode).toBe(expected)
    const limited = await from(app, '192.0.2.1')
    expect([limited.json().code, limited.json().retryable, limited.headers['retry-after']]).toEqual([
      ...['AS.REQUEST.RATE_LIMITED', true],
      '1',
    ])
    expect((await from(app, '192.0.2.2')).statusCode).toBe(200)
    expect((await app.inject({ url: '/healthz', remoteAddress: '192.0.2.1' })).statusCode).toBe(200)
    await rig.clock.advance(1000)
    expect((await from(app, '192.0.2.1')).statusCode).toBe(200)
  })

  it('is that of X-Forwarded-For only where a trusted proxy says so', async () => {
    const forged = server({ rate })
    for (const expected of [200, 200, 429]) {
      const headers = { 'x-forwarded-for': `192.0.2.${expected % 7}` }
      expect((await from(forged, '198.51.100.1', headers)).statusCode).toBe(expected)
    }
    const behind = server({ rate, trustedProxies: ['198.51.100.0/24'] })
    for (const last of [1, 2, 3, 4]) {
      const headers = { 'x-forwarded-for': `203.0.113.9, 192.0.2.${last}` }
      expect((await from(behind, '198.51.100.1', headers)).statusCode).toBe(200)
    }
  })

  it('has no rate for nonsense that a configuration holds', () => {
    for (const entry of ['proxy', '10.0.0.0/33', '10.0.0.0/8/8', '', '::/129']) {
      expect(() => createVerifierServer(rig.options({ trustedProxies: [entry] }))).toThrow(/is no address/)
    }
  })
})
