import { calculateJwkThumbprint } from 'jose'
import { describe, expect, it } from 'vitest'
import { AttestdError } from '../../src/base/errors.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { RawClient, rawRequest } from '../../test/support/raw-http.ts'
import {
  openRoom,
  openRules,
  policyFrom,
  post,
  request,
  someone,
  tokenSettings,
} from '../../test/support/workload-room.ts'
import type { CallerHandle } from './caller-identifier.ts'

const [a, b, c] = ['https://a.example', 'https://b.example', 'https://c.example']

async function problemOf(path: string, text: string) {
  const { status, body, headers } = await rawRequest(path, text)
  expect(headers['content-type']).toBe('application/problem+json')
  return { status, headers, ...JSON.parse(body) }
}

const claims = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

describe('a token', () => {
  it('is written bare, without a newline, with its times in headers', async () => {
    const { path, provider } = await openRoom()
    const { status, headers, body } = await rawRequest(path, post('/v1/token', { audience: a }))
    const request = provider.asked[0]?.request
    expect([status, body]).toEqual([200, request && provider.tokenFor(request).token])
    expect(headers).toMatchObject({
      'content-type': 'application/jwt',
      'content-length': String(body.length),
      'attestd-expires-at': '1767226500',
      'attestd-refresh-at': '1767226050',
      'attestd-source': 'cache',
    })
  })

  it.each([
    ['*/*', 'application/jwt'],
    ['application/jwt', 'application/jwt'],
    ['text/plain', 'text/plain; charset=us-ascii'],
    ['application/json', 'application/json'],
    ['application/json, text/plain, */*', 'application/json'],
    ['text/plain;q=0.5, application/json', 'application/json'],
    ['text/html, application/xhtml+xml, */*;q=0.8', 'application/jwt'],
    ['APPLICATION/JSON; charset=utf-8', 'application/json'],
  ])('Accept %s gives %s', async (accept, expected) => {
    const { path } = await openRoom()
    const { headers } = await rawRequest(path, request('GET', '/v1/token', [`Accept: ${accept}`]))
    expect(headers['content-type']).toBe(expected)
  })

  it.each(['text/html', 'application/json;q=0', 'application/*', 'application/jwk-set+json', ''])(
    'Accept %j gives 406 and asks for no token',
    async (accept) => {
      const { path, provider } = await openRoom()
      expect(await problemOf(path, request('GET', '/v1/token', [`Accept: ${accept}`]))).toMatchObject({
        status: 406,
        code: 'not_acceptable',
      })
      expect(provider.asked).toEqual([])
    },
  )

  it('is described by its JSON document', async () => {
    const { path } = await openRoom()
    const { body, headers } = await rawRequest(
      path,
      post('/v1/token', { audience: [c, a] }, ['Accept: application/json']),
    )
    expect(JSON.parse(body)).toEqual({
      token: expect.stringMatching(/^eyJ/),
      token_type: 'OIDC',
      issuer: 'https://issuer.example',
      audience: [a, c],
      issued_at: 1767225600,
      expires_at: 1767226500,
      refresh_at: 1767226050,
      jti: 'jti-1',
      source: 'cache',
      generation: 7,
      request_id: headers['attestd-request-id'],
    })
  })

  it('is asked for with everything that the caller said', async () => {
    const { path, provider } = await openRoom()
    const body = {
      audience: ['urn:x:é', c, a],
      nonces: ['nonce-0002', 'nonce-0001', 'nonce-0002'],
      token_type: 'OIDC',
      issuer: 'remote',
      min_valid_s: 30,
      fresh: true,
      ttl_s: 600,
      timeout_ms: 4000,
    }
    expect((await rawRequest(path, post('/v1/token', body))).status).toBe(200)
    expect(provider.asked[0]).toMatchObject({
      request: {
        issuer: 'remote',
        tokenType: 'OIDC',
        audience: [a, c, 'urn:x:é'],
        nonces: ['nonce-0002', 'nonce-0001', 'nonce-0002'],
        ttlS: 600,
        policyIds: ['default'],
        cnf: null,
        fresh: true,
      },
      demand: { minValidS: 30, timeoutMs: 4000, caller: 'unit:payments.service' },
    })
  })

  it('is asked for with its audiences in the order of their bytes, which is not that of JavaScript', async () => {
    const { path, provider } = await openRoom()
    const [high, higher] = ['urn:x:\uff21', 'urn:x:\u{1f600}']
    const audience = [higher, high]
    expect((await rawRequest(path, post('/v1/token', { audience }))).status).toBe(200)
    expect([...audience].sort()).toEqual([higher, high])
    expect(provider.asked[0]?.request.audience).toEqual([high, higher])
  })

  it('is asked for by GET with a query', async () => {
    const { path, provider } = await openRoom()
    const target = '/v1/token?audience=https%3A%2F%2Fc.example&&audience=urn:x:a+b;c&min_valid_s=0&fresh=false&ttl_s=60'
    expect((await rawRequest(path, request('GET', target))).status).toBe(200)
    expect(provider.asked[0]).toMatchObject({
      request: { audience: [c, 'urn:x:a b;c'], nonces: [], ttlS: 60, fresh: false },
      demand: { minValidS: 0, timeoutMs: 15_000 },
    })
  })

  it('has the only default audience, or the only one of the issuer, when none is named', async () => {
    const { path, provider } = await openRoom()
    await rawRequest(path, request('GET', '/v1/token'))
    await rawRequest(path, request('GET', '/v1/token?issuer=fixed'))
    expect(provider.asked.map(({ request }) => request.audience)).toEqual([[a], ['urn:x:fixed']])
    const several = await openRoom({ tokens: () => ({ ...tokenSettings, defaultAudiences: [a, b] }) })
    expect(await problemOf(several.path, request('GET', '/v1/token'))).toMatchObject({ status: 400, field: 'audience' })
  })

  it('names the audience that its issuer names in every token, or is refused: never one with another (API-96)', async () => {
    const { path, provider } = await openRoom()
    const ask = (audience: readonly string[]) => post('/v1/token', { issuer: 'fixed', audience })
    for (const audience of [[a], [a, 'urn:x:fixed']]) {
      expect(await problemOf(path, ask(audience))).toMatchObject({
        status: 409,
        code: 'audience_unsupported',
        issuer_audience: 'urn:x:fixed',
      })
    }
    expect(provider.asked).toEqual([])
    expect((await rawRequest(path, ask(['urn:x:fixed']))).status).toBe(200)
  })

  it('is counted for the uid where the unit is not known', async () => {
    const { path, provider, identifier } = await openRoom()
    identifier.next = async () => ({ ...someone, unit: null })
    await rawRequest(path, request('GET', '/v1/token'))
    expect(provider.asked[0]?.demand.caller).toBe('uid:1001')
  })
})

describe('HEAD /v1/token (API-33)', () => {
  it('starts no work', async () => {
    const { path, provider } = await openRoom()
    const { status, headers } = await rawRequest(path, request('HEAD', '/v1/token'))
    expect(status).toBe(200)
    expect(headers).toMatchObject({ 'content-type': 'application/jwt', 'attestd-expires-at': '1767226500' })
    expect([provider.asked.length, provider.described]).toEqual([0, 1])
  })

  it('costs nothing of the share of quotes, also with `fresh`', async () => {
    const { path } = await openRoom()
    const fresh = '/v1/token?fresh=true'
    for (let at = 0; at < 7; at++) expect((await rawRequest(path, request('HEAD', fresh))).status).toBe(200)
    for (let at = 0; at < 5; at++) expect((await rawRequest(path, request('GET', fresh))).status).toBe(200)
    expect((await rawRequest(path, request('GET', fresh))).status).toBe(429)
  })

  it.each([
    [1, '1767225601'],
    [0, undefined],
    [-1, undefined],
  ])('tells no times of a token that has %i s left', async (left, expected) => {
    const { path, provider, clock } = await openRoom()
    const expiresAt = Math.floor(clock.now() / 1000) + left
    provider.describe = () => ({ state: 'fresh', expiresAt, refreshAt: 1, generation: 1, lastError: null })
    const { status, headers } = await rawRequest(path, request('HEAD', '/v1/token'))
    expect([status, headers['attestd-expires-at']]).toEqual([200, expected])
  })

  it('is denied like GET', async () => {
    const { path, provider } = await openRoom()
    expect((await rawRequest(path, request('HEAD', `/v1/token?audience=${b}`))).status).toBe(403)
    expect(provider.described).toBe(0)
  })
})

describe('members of a token request', () => {
  const p256 = {
    kty: 'EC',
    crv: 'P-256',
    x: 'axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY',
    y: 'T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU',
  }

  it('binds the token to a public key and passes on nothing but the key', async () => {
    const { path, provider } = await openRoom()
    const cnf = { jwk: { ...p256, kid: 'mine', alg: 'ES256', use: 'sig' } }
    expect((await rawRequest(path, post('/v1/token', { cnf }))).status).toBe(200)
    const bound = provider.asked[0]?.request.cnf
    expect(bound?.jwk).toEqual(p256)
    expect(bound?.jkt).toBe(await calculateJwkThumbprint(p256))
  })

  it.each<[string, object, string]>([
    ['empty audience', { audience: '' }, 'audience'],
    ['no audiences', { audience: [] }, 'audience'],
    ['9 audiences', { audience: Array.from({ length: 9 }, (_, at) => `urn:x:${at}`) }, 'audience'],
    ['audience of 513 bytes', { audience: `urn:x:${'y'.repeat(507)}` }, 'audience'],
    ['control character', { audience: 'urn:x:\u0085' }, 'audience'],
    ['half a character', { audience: 'urn:x:\ud800' }, 'audience'],
    ['leading space', { audience: ' urn:x:1' }, 'audience'],
    ['trailing no-break space', { audience: 'urn:x:1\u00a0' }, 'audience'],
    ['audience twice', { audience: [a, a] }, 'audience'],
    ['number as audience', { audience: 1 }, 'audience'],
    ['number among audiences', { audience: [a, 1] }, 'audience'],
    ['7 nonces', { nonces: Array(7).fill('nonce-0001') }, 'nonces'],
    ['nonce of 7 bytes', { nonces: ['1234567'] }, 'nonces'],
    ['nonce of 89 bytes', { nonces: ['x'.repeat(89)] }, 'nonces'],
    ['nonce with a space', { nonces: ['nonce 0001'] }, 'nonces'],
    ['nonce that is no list', { nonces: 'nonce-0001' }, 'nonces'],
    ['unknown issuer', { issuer: 'nobody' }, 'issuer'],
    ['min_valid_s below', { min_valid_s: -1 }, 'min_valid_s'],
    ['min_valid_s above', { min_valid_s: 86_401 }, 'min_valid_s'],
    ['min_valid_s as text', { min_valid_s: '60' }, 'min_valid_s'],
    ['fresh as number', { fresh: 1 }, 'fresh'],
    ['fresh null', { fresh: null }, 'fresh'],
    ['ttl_s below', { ttl_s: 59 }, 'ttl_s'],
    ['ttl_s above', { ttl_s: 86_401 }, 'ttl_s'],
    ['timeout_ms below', { timeout_ms: 0 }, 'timeout_ms'],
    ['timeout_ms above', { timeout_ms: 60_001 }, 'timeout_ms'],
    ['cnf without jwk', { cnf: {} }, 'cnf.jwk'],
    ['cnf as text', { cnf: 'x' }, 'cnf'],
    ['cnf with jkt', { cnf: { jkt: 'x' } }, 'cnf.jkt'],
    ['private member', { cnf: { jwk: { ...p256, d: 'AA' } } }, 'cnf.jwk.d'],
    ['symmetric key', { cnf: { jwk: { kty: 'oct', k: 'AA' } } }, 'cnf.jwk.k'],
    ['symmetric key without the key', { cnf: { jwk: { kty: 'oct' } } }, 'cnf.jwk.kty'],
    ['unknown member of the key', { cnf: { jwk: { ...p256, x5u: 'https://x' } } }, 'cnf.jwk.x5u'],
    ['point that is not on the curve', { cnf: { jwk: { ...p256, y: p256.x } } }, 'cnf.jwk'],
    ['key agreement curve', { cnf: { jwk: { kty: 'OKP', crv: 'X25519', x: p256.x } } }, 'cnf.jwk.crv'],
    [
      'short RSA key',
      { cnf: { jwk: { kty: 'RSA', n: Buffer.alloc(128, 0xc1).toString('base64url'), e: 'AQAB' } } },
      'cnf.jwk.n',
    ],
    [
      'RSA key that takes long to verify with',
      { cnf: { jwk: { kty: 'RSA', n: Buffer.alloc(1025, 0xc1).toString('base64url'), e: 'AQAB' } } },
      'cnf.jwk.n',
    ],
    ...['verifier_url', 'url', 'endpoint', 'host', 'proxy', 'jwks_uri', 'webhook'].map(
      (name): [string, object, string] => [
        `a destination (API-112): ${name}`,
        { audience: a, [name]: 'https://evil' },
        name,
      ],
    ),
    ...['uid', 'gid', 'unit', 'slice', 'container', 'pid', 'pidfd', 'caller', 'on_behalf_of'].map(
      (name): [string, object, string] => [`who is calling (API-58): ${name}`, { audience: a, [name]: '0' }, name],
    ),
    ['prototype', JSON.parse('{"__proto__":{"fresh":true}}'), '__proto__'],
  ])('%s: 400 that names the member, and no work', async (_, body, field) => {
    const { path, provider } = await openRoom()
    expect(await problemOf(path, post('/v1/token', body))).toMatchObject({
      status: 400,
      code: 'invalid_request',
      field,
    })
    expect(provider.asked).toEqual([])
  })

  it.each<[string, object]>([
    ['8 audiences', { audience: Array.from({ length: 8 }, (_, at) => `urn:x:${at}`) }],
    ['audience of 512 bytes', { audience: `urn:x:${'y'.repeat(506)}` }],
    ['6 nonces of 8 and 88 bytes', { nonces: ['x'.repeat(8), ...Array(5).fill('y'.repeat(88))] }],
    ['least numbers', { min_valid_s: 0, ttl_s: 60, timeout_ms: 1 }],
    ['largest numbers', { min_valid_s: 900, ttl_s: 86_400, timeout_ms: 60_000 }],
    ['Ed25519', { cnf: { jwk: { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' } } }],
  ])('%s: accepted', async (_, body) => {
    const { path, provider } = await openRoom()
    provider.lifeS = 86_400
    expect((await rawRequest(path, post('/v1/token', body))).status).toBe(200)
  })

  it.each([
    ['{"audience":"https://a.example","audience":"https://b.example"}', 'duplicate member'],
    ['{"min_valid_s":1.0}', 'not an integer'],
    ['{"min_valid_s":1e1}', 'not an integer'],
    ['{"min_valid_s":9007199254740993}', 'not an integer'],
    ['{"audience":"\x80"}', 'not valid UTF-8'],
    ['{"audience":"a"', 'expected'],
    ["{'audience':'a'}", 'expected a member name'],
  ])('%s: 400', async (body, says) => {
    const { path } = await openRoom()
    const problem = await problemOf(path, post('/v1/token', body))
    expect([problem.status, problem.code, problem.field]).toEqual([400, 'invalid_request', 'body'])
    expect(problem.detail).toContain(says)
  })

  it.each([
    ['unknown=1', 'query'],
    ['nonces=nonce-0001', 'query'],
    ['cnf=x', 'query'],
    ['=x', 'query'],
    ['audience', 'audience'],
    ['audience=', 'audience'],
    ['fresh=', 'fresh'],
    ['fresh=yes', 'fresh'],
    ['fresh=true&fresh=true', 'fresh'],
    ['issuer=local&issuer=local', 'issuer'],
    ['min_valid_s=', 'min_valid_s'],
    ['min_valid_s=060', 'min_valid_s'],
    ['min_valid_s=1.0', 'min_valid_s'],
    ['min_valid_s=%2B60', 'min_valid_s'],
    ['min_valid_s=99999999999999999999', 'min_valid_s'],
    ['audience=%', 'query'],
    ['audience=%4', 'query'],
    ['audience=%zz', 'query'],
    ['audience=%ff', 'query'],
    ['audience=%c0%80', 'query'],
    ['audience=%ed%a0%80', 'query'],
    ['audience=%00', 'audience'],
    ['constructor=1', 'query'],
    ['__proto__=1', 'query'],
    ['audience=urn:x:1&audience=urn:x:1', 'audience'],
  ])('query %s: 400', async (query, field) => {
    const { path, provider } = await openRoom({ policy: policyFrom([openRules[0] ?? {}]) })
    const problem = await problemOf(path, request('GET', `/v1/token?${query}`))
    expect([problem.status, problem.field]).toEqual([400, field])
    expect(provider.asked).toEqual([])
  })

  it.each(['AS', 'PKI', '', 'oidc'])('token type %j is not served', async (token_type) => {
    const { path } = await openRoom()
    expect(await problemOf(path, post('/v1/token', { token_type }))).toMatchObject({
      status: 400,
      code: 'unsupported_token_type',
      retryable: false,
    })
  })
})

describe('permission', () => {
  it.each<[object, string]>([
    [{ audience: b }, 'audience'],
    [{ audience: [a, b] }, 'audience'],
    [{ audience: 'https://a.example/' }, 'audience'],
    [{ ttl_s: 901 }, 'ttl'],
    [{ min_valid_s: 601 }, 'min_valid'],
    [{ fresh: true }, 'fresh'],
    [{ nonces: ['nonce-0001'] }, 'nonce'],
    [{ issuer: 'remote', audience: a }, 'issuer'],
  ])('%j is denied in its dimension, before any work (API-67, API-68)', async (body, dimension) => {
    const allow = { methods: ['token'], audiences: [a], ttl_s_max: 900, min_valid_s_max: 600 }
    const policy = policyFrom([{ id: 'secret-rule-name', match: { uid: 1001 }, allow }, ...openRules.slice(1)])
    const { path, provider, events } = await openRoom({ policy })
    const problem = await problemOf(path, post('/v1/token', body))
    expect(problem).toMatchObject({ status: 403, code: 'policy_denied', dimension, retryable: false })
    expect(JSON.stringify(problem)).not.toMatch(/secret-rule|payments|1001|b\.example|\buid\b/)
    expect([provider.asked.length, provider.described]).toEqual([0, 0])
    expect(events).toContainEqual(expect.objectContaining({ event: 'denied', dimension }))
  })

  it('is logged once in ten seconds for the same caller and reason', async () => {
    const clock = new FakeClock()
    const { path, log } = await openRoom({ clock })
    const denied = () => rawRequest(path, post('/v1/token', { audience: b }))
    const lines = () => log.lines.filter((line) => line.startsWith('info request denied'))
    await denied()
    await denied()
    expect(lines()).toHaveLength(1)
    await clock.advance(10_000)
    await denied()
    expect(lines()).toHaveLength(2)
    expect(lines().join()).not.toContain('b.example')
  })

  it('follows a reloaded policy at the next request of the same connection (API-69)', async () => {
    let policy = policyFrom([])
    const { path } = await openRoom({ policy: () => policy() })
    const client = new RawClient(path)
    const statuses = async (count: number) =>
      (await client.write(request('GET', '/v1/token')).answers(count)).map(({ status }) => status)
    expect(await statuses(1)).toEqual([403])
    policy = policyFrom(openRules)
    expect(await statuses(2)).toEqual([403, 200])
    policy = policyFrom([])
    expect(await statuses(3)).toEqual([403, 200, 403])
    client.destroy()
  })

  it('remembers neither a denial nor a failure: each request is decided anew (API-86)', async () => {
    const none = policyFrom([])
    const down = { kind: 'unavailable', title: 'x', remedy: 'do this', status: 503 } as const
    let policy = none
    const { path, provider } = await openRoom({ policy: () => policy() })
    const client = new RawClient(path)
    const statuses = async (count: number) => {
      const answers = await client.write(request('GET', '/v1/token')).answers(count)
      return answers.map(({ status }) => status)
    }
    expect(await statuses(1)).toEqual([403])
    policy = policyFrom(openRules)
    provider.answer = () => Promise.reject(new AttestdError('issuer_unavailable', down, 'no connection'))
    expect(await statuses(2)).toEqual([403, 503])
    expect(await statuses(3)).toEqual([403, 503, 503])
    provider.answer = null
    expect(await statuses(4)).toEqual([403, 503, 503, 200])
    policy = none
    expect(await statuses(5)).toEqual([403, 503, 503, 200, 403])
    expect(provider.asked).toHaveLength(3)
    client.destroy()
  })

  it('tells an unidentified caller so (API-49)', async () => {
    const { path, identifier } = await openRoom()
    identifier.next = async () => ({ ...someone, uid: 65_534 })
    expect(await problemOf(path, request('GET', '/v1/token'))).toMatchObject({
      status: 403,
      code: 'caller_unidentified',
    })
  })

  it('never gives one caller the audience of another, pipelined and interleaved', async () => {
    const { path, identifier, provider } = await openRoom()
    const uids = [1001, 1002]
    let at = 0
    identifier.next = async () => ({ ...someone, uid: uids[at++ % 2] ?? 0, unit: null })
    const clients = [new RawClient(path), new RawClient(path)]
    const wanted = [a, b, a, b, b, a]
    for (const audience of wanted) for (const client of clients) client.write(post('/v1/token', { audience }))
    for (const [index, client] of clients.entries()) {
      const own = index === 0 ? a : b
      const answers = await client.answers(wanted.length)
      expect(answers.map(({ status }) => status)).toEqual(wanted.map((audience) => (audience === own ? 200 : 403)))
      for (const { status, body } of answers) if (status === 200) expect(claims(body).aud).toEqual([own])
      client.destroy()
    }
    expect(
      provider.asked.every(({ request, demand }) => demand.caller === `uid:${request.audience[0] === a ? 1001 : 1002}`),
    ).toBe(true)
  })
})

describe('the last look at a token (API-90)', () => {
  const clock = () => new FakeClock(1_767_225_600_000)
  const expiringIn = (seconds: number) => ({ expiresAt: 1_767_225_600 + seconds })

  it.each<[object, number, boolean]>([
    [{ min_valid_s: 0 }, 1, true],
    [{ min_valid_s: 0 }, 0, false],
    [{ min_valid_s: 1 }, 5, true],
    [{ min_valid_s: 1 }, 4, false],
    [{ min_valid_s: 30 }, 30, true],
    [{ min_valid_s: 30 }, 29, false],
    [{}, 60, true],
    [{}, -1, false],
  ])('%j with %i s left: served %s', async (body, left, served) => {
    const { path, provider, events, log } = await openRoom({ clock: clock() })
    provider.answer = async () => ({ ...expiringIn(left), issuedAt: 1_767_225_600 - 3600 })
    const { status, body: text } = await rawRequest(path, post('/v1/token', body))
    expect(status).toBe(served ? 200 : 500)
    if (served) return
    expect(JSON.parse(text)).toMatchObject({ code: 'internal', detail: 'the request could not be handled' })
    expect(events.filter(({ event }) => event === 'unservable_token_stopped')).toHaveLength(2)
    expect(text + log.lines.join()).not.toContain('eyJ')
  })

  it('asks for a fifth of a short life when the caller names nothing', async () => {
    const { path, provider } = await openRoom({ clock: clock() })
    provider.answer = async () => ({ ...expiringIn(20), issuedAt: 1_767_225_600 - 80 })
    expect((await rawRequest(path, request('GET', '/v1/token'))).status).toBe(200)
    provider.answer = async () => ({ ...expiringIn(20), issuedAt: 1_767_225_600 - 81 })
    expect((await rawRequest(path, request('GET', '/v1/token'))).status).toBe(500)
  })

  it('counts milliseconds', async () => {
    const fake = clock()
    const { path, provider } = await openRoom({ clock: fake })
    provider.answer = async () => expiringIn(10)
    fake.jump(5000)
    expect((await rawRequest(path, post('/v1/token', { min_valid_s: 5 }))).status).toBe(200)
    fake.jump(1)
    expect((await rawRequest(path, post('/v1/token', { min_valid_s: 5 }))).status).toBe(500)
  })

  it('is taken after all waiting: a token that grew old behind a slow answer is obtained again (BRK-35)', async () => {
    const fake = clock()
    const { path, provider } = await openRoom({ clock: fake })
    let release: () => void = () => undefined
    provider.answer = (request) =>
      request.audience[0] === a ? new Promise((resolve) => (release = () => resolve({}))) : Promise.resolve({})
    provider.lifeS = 100
    const client = new RawClient(path)
    client.write(
      post('/v1/token', { audience: a, min_valid_s: 0 }) + post('/v1/token', { audience: c, min_valid_s: 90 }),
    )
    while (provider.asked.length < 2) await fake.advance(0)
    await fake.advance(11_000)
    expect(client.received).toBe('')
    release()
    const answers = await client.answers(2)
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(provider.asked.map(({ request }) => request.audience[0])).toEqual([a, c, c])
    expect(answers[1]?.headers['attestd-expires-at']).toBe(String(1_767_225_600 + 11 + 100))
    client.destroy()
  })

  it('is taken after the caller was checked', async () => {
    const fake = clock()
    const { path, identifier, provider, events } = await openRoom({ clock: fake })
    provider.lifeS = 61
    identifier.check = async () => {
      if (identifier.checks > 1) fake.jump(57_000)
      return 'there' as const
    }
    expect((await rawRequest(path, post('/v1/token', { min_valid_s: 1 }))).status).toBe(500)
    expect(events.filter(({ event }) => event === 'unservable_token_stopped')).toHaveLength(2)
  })

  it('stops a token for another audience, and what is no token', async () => {
    const { path, provider, events } = await openRoom()
    for (const wrong of [
      { audience: [b] },
      { audience: [a, b] },
      { audience: [] },
      { token: 'a.b.c\n' },
      { token: '' },
    ]) {
      provider.answer = async () => wrong
      expect((await rawRequest(path, post('/v1/token', { audience: a }))).status).toBe(500)
    }
    expect(events.filter(({ event }) => event === 'unservable_token_stopped')).toHaveLength(10)
  })
})

describe('a token at hand (API-91)', () => {
  it('is written without anything being obtained, with and without a peer that must be waited for', async () => {
    for (const check of [() => 'there' as const, async () => 'there' as const]) {
      const { path, provider, identifier } = await openRoom()
      identifier.check = check
      provider.atHand = () => ({ source: 'cache-refreshing' })
      const { status, headers } = await rawRequest(path, post('/v1/token', { audience: a }))
      expect([status, headers['attestd-source'], provider.asked]).toEqual([200, 'cache-refreshing', []])
    }
  })

  it.each<[string, object]>([
    ['an expired one', { expiresAt: 1 }],
    ['one for another audience', { audience: [b] }],
    ['what is none', { token: '' }],
  ])('is looked at like any other: %s is stopped', async (_, wrong) => {
    const { path, provider, events } = await openRoom()
    provider.atHand = () => wrong
    expect((await rawRequest(path, post('/v1/token', { audience: a }))).status).toBe(500)
    expect(events.filter(({ event }) => event === 'unservable_token_stopped')).toHaveLength(2)
  })

  it.each<[string, CallerHandle['check']]>([
    ['is gone', () => 'caller_gone'],
    ['is another one now', () => 'caller_changed'],
    ['turns out to be gone', async () => 'caller_gone' as const],
  ])('does not reach a caller that %s', async (_, check) => {
    const { path, provider, identifier } = await openRoom()
    provider.atHand = () => ({})
    identifier.check = () => (identifier.checks > 1 ? check() : 'there')
    const { status, headers, body } = await rawRequest(path, post('/v1/token', { audience: a }))
    expect([status, headers['connection'], body.includes('eyJ')]).toEqual([401, 'close', false])
  })

  it('is not asked for again behind the answers to other requests that were given before it came', async () => {
    const { path, provider } = await openRoom()
    const taken: string[] = []
    provider.atHand = ({ audience }) => {
      taken.push(...audience)
      return {}
    }
    const client = new RawClient(path).write(post('/v1/token', { audience: a }))
    await client.answers(1)
    client.write(post('/v1/token', { audience: c }))
    await client.answers(2)
    expect(taken).toEqual([a, c])
    client.destroy()
  })
})

describe('the life that a rule allows (API-64)', () => {
  const bounded = policyFrom([
    {
      id: 'r',
      match: { uid: 1001 },
      allow: { methods: ['token'], audiences: [a], ttl_s_max: 600, issuers: ['local', 'remote'] },
    },
  ])

  it('is asked for where the issuer usually gives more', async () => {
    const { path, provider } = await openRoom({ policy: bounded })
    provider.lifeS = 600
    expect((await rawRequest(path, request('GET', '/v1/token'))).status).toBe(200)
    expect((await rawRequest(path, request('GET', '/v1/token?ttl_s=300'))).status).toBe(200)
    expect(provider.asked.map(({ request }) => request.ttlS)).toEqual([600, 300])
  })

  it('is not asked for where the issuer usually gives less', async () => {
    const issuers = tokenSettings.issuers.map((issuer) => ({ ...issuer, usualLifetimeS: 300 }))
    const { path, provider } = await openRoom({ policy: bounded, tokens: () => ({ ...tokenSettings, issuers }) })
    provider.lifeS = 300
    expect((await rawRequest(path, request('GET', '/v1/token'))).status).toBe(200)
    expect(provider.asked[0]?.request.ttlS).toBeNull()
  })

  it('is demanded of what is served', async () => {
    const { path, provider } = await openRoom({ policy: bounded })
    provider.lifeS = 601
    expect(await problemOf(path, request('GET', '/v1/token'))).toMatchObject({ status: 409, code: 'ttl_unsupported' })
  })
})

describe('failures behind the API', () => {
  const declared = (status: number, kind: 'refused' | 'unavailable' = 'unavailable') =>
    ({ kind, title: 'x', remedy: 'do this', status }) as const

  it('are told by code, status, facts and Retry-After', async () => {
    const { path, provider } = await openRoom()
    provider.answer = async () => {
      throw new AttestdError('issuer_unavailable', declared(503), 'no connection to the issuer', {
        facts: { retry_after_ms: 1500, best_available_valid_s: 12, status: 200, detail: 'x', request_id: 'y' },
      })
    }
    const problem = await problemOf(path, request('GET', '/v1/token'))
    expect(problem).toMatchObject({
      status: 503,
      code: 'issuer_unavailable',
      title: 'the issuer cannot be reached',
      detail: 'no connection to the issuer',
      retryable: true,
      best_available_valid_s: 12,
      remedy: 'do this',
    })
    expect(problem.request_id).toMatch(/^[a-z2-7]{26}$/)
    expect(problem.headers['retry-after']).toBe('2')
  })

  it.each([
    ['unavailable', 503, 'evidence_unavailable'],
    ['unsupported', 501, 'not_supported'],
  ] as const)('of devices, kind %s, become %i %s', async (kind, status, code) => {
    const { path, provider } = await openRoom()
    provider.answer = async () => {
      throw new AttestdError('TPM_UNAVAILABLE', { kind, title: 'x', remedy: 'y' }, 'no TPM answers')
    }
    expect(await problemOf(path, request('GET', '/v1/token'))).toMatchObject({
      status,
      code,
      cause_code: 'TPM_UNAVAILABLE',
      detail: 'no TPM answers',
    })
  })

  it.each([
    ['a bug', () => new TypeError('undefined is not eyJhbGciOiJub25lIn0')],
    ['a foreign error', () => new AttestdError('LAYOUT', { kind: 'malformed', title: 'x', remedy: 'y' }, 'secret eyJ')],
    ['no error at all', () => 'eyJhbGciOiJub25lIn0'],
  ])('%s is a 500 that tells nothing, and the connection goes on', async (_, make) => {
    const { path, provider, log } = await openRoom()
    provider.answer = async () => {
      throw make()
    }
    const client = new RawClient(path)
    const [failed] = await client.write(request('GET', '/v1/token')).answers(1)
    expect(JSON.parse(failed?.body ?? '')).toMatchObject({ status: 500, code: 'internal', retryable: true })
    expect((failed?.body ?? '') + log.lines.join()).not.toContain('eyJ')
    expect(log.lines.filter((line) => line.startsWith('error request failed'))).toHaveLength(1)
    const [, alive] = await client.write(request('GET', '/livez')).answers(2)
    expect(alive?.status).toBe(200)
    client.destroy()
  })

  it('bounds and escapes the detail', async () => {
    const { path, provider } = await openRoom()
    provider.answer = async () => {
      throw new AttestdError(
        'issuer_rejected',
        declared(502, 'refused'),
        `a\r\n\u2028\u0085"${'q'.repeat(300)}" ${'z'.repeat(900)}`,
      )
    }
    const { detail } = await problemOf(path, request('GET', '/v1/token'))
    expect(detail).toHaveLength(500)
    expect(detail).toMatch(/^a\\u000d\\u000a\\u2028\\u0085"q{64}…" z+$/)
  })
})

describe('the time that the caller grants', () => {
  it('is told to the provider, less what has gone by, and ends the request 50 ms later at the latest', async () => {
    const clock = new FakeClock()
    const { path, provider } = await openRoom({ clock })
    provider.answer = () => new Promise(() => undefined)
    const client = new RawClient(path).write(post('/v1/token', { timeout_ms: 2000 }))
    while (provider.asked.length === 0) await clock.advance(0)
    expect(provider.asked[0]?.demand.timeoutMs).toBe(2000)
    await clock.advance(2049)
    expect(client.received).toBe('')
    await clock.advance(1)
    const [answer] = await client.answers(1)
    expect(JSON.parse(answer?.body ?? '')).toMatchObject({ status: 504, code: 'deadline_exceeded', retryable: true })
    expect(provider.asked[0]?.signal.aborted).toBe(true)
    client.destroy()
  })

  it('one hung request delays no other connection', async () => {
    const { path, provider } = await openRoom()
    provider.answer = ({ audience }) => (audience[0] === c ? new Promise(() => undefined) : Promise.resolve({}))
    const hung = new RawClient(path).write(post('/v1/token', { audience: c }))
    expect((await rawRequest(path, post('/v1/token', { audience: a }))).status).toBe(200)
    expect((await rawRequest(path, request('GET', '/livez'))).status).toBe(200)
    hung.destroy()
  })
})

it('never logs a token, a nonce or a query (API-110)', async () => {
  const { path, log } = await openRoom()
  await rawRequest(path, post('/v1/token', { nonces: ['nonce-in-clear'] }))
  await rawRequest(path, request('GET', '/v1/token?audience=urn:x:in-the-query'))
  await rawRequest(path, request('GET', '/v1/token?audience=urn:denied:in-the-query'))
  await rawRequest(path, request('GET', '/nowhere?secret=in-the-query'))
  expect(log.lines.length).toBeGreaterThan(3)
  expect(log.lines.join('\n')).not.toMatch(/eyJ|nonce-in-clear|in-the-query/)
})
