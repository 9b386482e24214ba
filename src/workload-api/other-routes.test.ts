import { describe, expect, it } from 'vitest'
import { AttestdError } from '../../src/base/errors.ts'
import { RawClient, rawRequest } from '../../test/support/raw-http.ts'
import {
  openAdminRoom,
  openRoom,
  openRules,
  policyFrom,
  post,
  request,
  someone,
} from '../../test/support/workload-room.ts'
import type { EntrySelector, InvalidateOptions } from './admin-routes.ts'
import type { EvidenceDemand, EvidenceRequest } from './evidence-collector.ts'

const codeOf = async (path: string, text: string) => {
  const { status, body } = await rawRequest(path, text)
  return status < 300 ? `${status}` : `${status} ${JSON.parse(body).code}`
}
const b64 = (length: number, fill = 7) => Buffer.alloc(length, fill).toString('base64url')

describe('POST /v1/evidence (section 6.2)', () => {
  async function evidenceRoom(allow: object = {}, limits: object = { expensiveBurst: 1000 }) {
    const asked: { request: EvidenceRequest; demand: EvidenceDemand }[] = []
    const rule = { id: 'e', match: { uid: 1001 }, allow: { methods: ['evidence', 'raw_report_data'], ...allow } }
    const room = await openRoom({
      policy: policyFrom([rule]),
      limits,
      collectEvidence: async (request, demand) => {
        asked.push({ request, demand })
        return '{"evidence":true}'
      },
    })
    return { ...room, asked }
  }

  it('hands the request to the collector and its document to the caller', async () => {
    const { path, asked } = await evidenceRoom()
    const body = { challenge: b64(32), devices: ['tpm', 'ima'], verifier: 'https://v.example', timeout_ms: 900 }
    const answer = await rawRequest(path, post('/v1/evidence', body))
    expect([answer.status, answer.headers['content-type'], answer.body]).toEqual([
      200,
      'application/json',
      '{"evidence":true}',
    ])
    expect(asked).toEqual([
      {
        request: {
          challenge: new Uint8Array(32).fill(7),
          profile: 'attestd/1',
          devices: ['tpm', 'ima'],
          verifier: 'https://v.example',
        },
        demand: { timeoutMs: 900, caller: 'unit:payments.service', left: expect.any(Promise) },
      },
    ])
  })

  it('costs a quote, of which a caller has 5 at once (API-81)', async () => {
    const { path, asked } = await evidenceRoom({}, {})
    const codes = []
    for (let at = 0; at < 6; at++) codes.push(await codeOf(path, post('/v1/evidence', { challenge: b64(8) })))
    expect(codes).toEqual([...Array(5).fill('200'), '429 rate_limited'])
    expect(asked).toHaveLength(5)
  })

  it.each<[string, object, string]>([
    ['8 bytes', { challenge: b64(8) }, '200'],
    ['64 bytes', { challenge: b64(64) }, '200'],
    ['7 bytes', { challenge: b64(7) }, '400 invalid_request'],
    ['65 bytes', { challenge: b64(65) }, '400 invalid_request'],
    ['no challenge', {}, '400 invalid_request'],
    ['padding', { challenge: Buffer.alloc(8).toString('base64') }, '400 invalid_request'],
    ['other alphabet', { challenge: `${b64(30)}+/==` }, '400 invalid_request'],
    ['loose bits', { challenge: 'AAAAAAAAAAB' }, '400 invalid_request'],
    ['unknown profile', { challenge: b64(8), profile: 'attestd/2' }, '400 invalid_request'],
    ['unknown device', { challenge: b64(8), devices: ['sgx'] }, '400 invalid_request'],
    ['no devices', { challenge: b64(8), devices: [] }, '400 invalid_request'],
    ['a device twice', { challenge: b64(8), devices: ['tpm', 'tpm'] }, '400 invalid_request'],
    ['verifier of 256 bytes', { challenge: b64(8), verifier: 'v'.repeat(256) }, '200'],
    ['verifier of 257 bytes', { challenge: b64(8), verifier: 'v'.repeat(257) }, '400 invalid_request'],
    ['verifier with a line end', { challenge: b64(8), verifier: 'a\nb' }, '400 invalid_request'],
    ['unknown member', { challenge: b64(8), url: 'https://x' }, '400 invalid_request'],
    ['raw, 48 bytes', { challenge: b64(48), profile: 'raw' }, '200'],
    ['raw, 49 bytes', { challenge: b64(49), profile: 'raw' }, '403 policy_denied'],
  ])('%s: %s', async (_, body, expected) => {
    const { path, asked } = await evidenceRoom()
    expect(await codeOf(path, post('/v1/evidence', body))).toBe(expected)
    expect(asked).toHaveLength(expected === '200' ? 1 : 0)
  })

  it('takes 64 raw bytes only by a rule, and never our own tag (API-66)', async () => {
    const { path, asked } = await evidenceRoom({ raw_max_bytes: 64 })
    const raw = (tail: string) => ({
      profile: 'raw',
      challenge: Buffer.concat([Buffer.alloc(48), Buffer.from(tail.padEnd(16, '\0'))]).toString('base64url'),
    })
    expect(await codeOf(path, post('/v1/evidence', raw('mine')))).toBe('200')
    expect(await codeOf(path, post('/v1/evidence', raw('attestd:rdata:v1')))).toBe('403 policy_denied')
    expect(asked).toHaveLength(1)
  })

  it('needs the method of the profile', async () => {
    const evidenceOnly = await evidenceRoom({ methods: ['evidence'] })
    expect(await codeOf(evidenceOnly.path, post('/v1/evidence', { challenge: b64(8), profile: 'raw' }))).toBe(
      '403 policy_denied',
    )
    const rawOnly = await evidenceRoom({ methods: ['raw_report_data'] })
    expect(await codeOf(rawOnly.path, post('/v1/evidence', { challenge: b64(8) }))).toBe('403 policy_denied')
    expect(evidenceOnly.asked.length + rawOnly.asked.length).toBe(0)
  })

  it('is not supported without a collector, or without the device', async () => {
    const { path } = await openRoom()
    expect(await codeOf(path, post('/v1/evidence', { challenge: b64(8) }))).toBe('501 not_supported')
    const { path: other } = await openRoom({
      collectEvidence: async () => {
        throw new AttestdError('NO_GPU', { kind: 'unsupported', title: 'x', remedy: 'y' }, 'no gpu', {
          facts: { devices: 'gpu' },
        })
      },
    })
    expect(await codeOf(other, post('/v1/evidence', { challenge: b64(8) }))).toBe('501 not_supported')
  })
})

describe('GET /v1/jwks', () => {
  it('gives the public keys of an issuer, to be kept for a minute', async () => {
    const asked: string[] = []
    const jwks = async (issuer: string) => {
      asked.push(issuer)
      return { keys: [{ kty: 'EC', kid: issuer }], internal: 1 }
    }
    const { path } = await openRoom({ jwks })
    const { headers, body } = await rawRequest(path, request('GET', '/v1/jwks?issuer=remote'))
    expect([headers['cache-control'], headers['content-type'], body]).toEqual([
      'max-age=60',
      'application/jwk-set+json',
      '{"keys":[{"kty":"EC","kid":"remote"}]}',
    ])
    await rawRequest(path, request('GET', '/v1/jwks'))
    expect((await rawRequest(path, request('HEAD', '/v1/jwks'))).status).toBe(200)
    expect(asked).toEqual(['remote', 'local'])
  })

  it.each(['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'])(
    'never gives a key with the private member %s',
    async (member) => {
      const { path, log } = await openRoom({
        jwks: async () => ({ keys: [{ kty: 'EC' }, { kty: 'EC', [member]: 'SECRET' }] }),
      })
      const { status, body } = await rawRequest(path, request('GET', '/v1/jwks'))
      expect([status, (body + log.lines.join()).includes('SECRET')]).toEqual([500, false])
    },
  )

  it.each([
    ['?issuer=nobody', '400 invalid_request'],
    ['?issuer=', '400 invalid_request'],
    ['?iss=local', '400 invalid_request'],
  ])('%s: %s', async (query, expected) => {
    const { path } = await openRoom()
    expect(await codeOf(path, request('GET', `/v1/jwks${query}`))).toBe(expected)
  })

  it('needs a rule', async () => {
    const { path, identifier } = await openRoom()
    identifier.next = async () => ({ ...someone, uid: 1002 })
    expect(await codeOf(path, request('GET', '/v1/jwks'))).toBe('403 policy_denied')
  })
})

describe('GET /v1/explain', () => {
  const explain = async (path: string, query = '') =>
    JSON.parse((await rawRequest(path, request('GET', `/v1/explain${query}`))).body)

  it('shows the caller how it is seen and what it may do, and starts nothing', async () => {
    const { path, provider } = await openRoom()
    expect(await explain(path, '?audience=https://a.example')).toEqual({
      caller: {
        identity: 'pidfd',
        uid: 1001,
        gid: 1001,
        groups: [],
        unit: 'payments.service',
        slice: 'system.slice',
        container: null,
        listener: 'api',
      },
      decision: 'allow',
      rule: 'payments',
      dimension: null,
      cache: { state: 'fresh', expires_at: 1767226500, refresh_at: 1767226050, generation: 7, last_error: null },
      limits: { requests_left: 999, expensive_left: 5 },
    })
    expect(provider.asked).toEqual([])
  })

  it.each([
    ['?audience=https://b.example', 'audience'],
    ['?method=measure', 'method'],
    ['?method=jwks&issuer=local', null],
    ['?nonce=1', null],
    ['?fresh=1&audience=urn:x:1', null],
  ])('%s: %s', async (query, dimension) => {
    const { path, provider } = await openRoom()
    const answer = await explain(path, query)
    expect([answer.decision, answer.dimension]).toEqual([dimension === null ? 'allow' : 'deny', dimension])
    expect(answer.rule).toBe(dimension === null ? 'payments' : null)
    if (dimension !== null) expect([answer.cache, provider.described]).toEqual([undefined, 0])
  })

  it.each(['?method=x', '?nonce=yes', '?issuer=x', '?token_type=AS', '?audience=', '?uid=0'])(
    '%s: 400',
    async (query) => {
      const { path } = await openRoom()
      expect((await rawRequest(path, request('GET', `/v1/explain${query}`))).status).toBe(400)
    },
  )

  it('needs a rule that allows it', async () => {
    const { path } = await openRoom({ policy: policyFrom([{ ...openRules[0], allow: { methods: ['token'] } }]) })
    expect(await codeOf(path, request('GET', '/v1/explain'))).toBe('403 policy_denied')
  })
})

describe('probes', () => {
  it('say whether the agent lives and is ready', async () => {
    let ready = { ready: false, reasons: ['sink:3:expired'] }
    const { path, identifier } = await openRoom({ readiness: () => ready })
    expect((await rawRequest(path, request('GET', '/livez'))).body).toBe('ok')
    const not = await rawRequest(path, request('GET', '/readyz'))
    expect([not.status, not.body]).toEqual([503, '{"ready":false,"reasons":["sink:3:expired"]}'])
    ready = { ready: true, reasons: [] }
    const now = await rawRequest(path, request('GET', '/readyz'))
    expect([now.status, now.body]).toEqual([200, '{"ready":true}'])
    expect(identifier.checks).toBe(0)
  })
})

describe('admin routes (section 6.5)', () => {
  async function adminRoom(errors: readonly string[] = []) {
    const calls: [string, EntrySelector, InvalidateOptions?][] = []
    const path = await openAdminRoom({
      admin: {
        status: () => ({ entries: 3 }),
        refresh: (entries) => void calls.push(['refresh', entries]),
        invalidate: (entries, options) => {
          calls.push(['invalidate', entries, options])
          return 2
        },
        reload: async () => errors,
        metrics: () => '# EOF\n',
      },
    })
    return { path, calls }
  }

  it('give state and metrics', async () => {
    const { path } = await adminRoom()
    expect((await rawRequest(path, request('GET', '/v1/admin/status'))).body).toBe('{"entries":3}')
    const metrics = await rawRequest(path, request('GET', '/metrics'))
    expect([metrics.headers['content-type'], metrics.body]).toEqual([
      'application/openmetrics-text; version=1.0.0; charset=utf-8',
      '# EOF\n',
    ])
  })

  it.each<[string, object, EntrySelector]>([
    ['refresh', { all: true }, { all: true }],
    ['refresh', { audience: 'a' }, { audience: ['a'] }],
    ['refresh', { audience: ['b', 'a'], issuer: 'local' }, { audience: ['a', 'b'], issuer: 'local' }],
    ['refresh', { issuer: 'local' }, { issuer: 'local' }],
    ['invalidate', { kid: 'k1' }, { kid: 'k1' }],
    ['invalidate', { all: true }, { all: true }],
  ])('%s %j', async (name, body, entries) => {
    const { path, calls } = await adminRoom()
    const { status } = await rawRequest(path, post(`/v1/admin/${name}`, body))
    expect(status).toBe(name === 'refresh' ? 202 : 200)
    expect(calls[0]?.slice(0, 2)).toEqual([name, entries])
  })

  it('invalidate softly unless told otherwise, and say how many', async () => {
    const { path, calls } = await adminRoom()
    const { body } = await rawRequest(path, post('/v1/admin/invalidate', { all: true }))
    await rawRequest(path, post('/v1/admin/invalidate', { kid: 'k', hard: true, reason: 'leaked' }))
    expect(body).toBe('{"entries":2}')
    expect(calls.map(([, , options]) => options)).toEqual([
      { hard: false, reason: null },
      { hard: true, reason: 'leaked' },
    ])
  })

  it.each([
    ['refresh', {}],
    ['refresh', { all: false }],
    ['refresh', { all: true, issuer: 'local' }],
    ['refresh', { kid: 'k' }],
    ['refresh', { audience: '' }],
    ['invalidate', { kid: 'k', all: true }],
    ['invalidate', { kid: '' }],
    ['invalidate', { all: true, hard: 'yes' }],
    ['reload', { all: true }],
  ])('%s %j: 400', async (name, body) => {
    const { path, calls } = await adminRoom()
    expect(await codeOf(path, post(`/v1/admin/${name}`, body))).toBe('400 invalid_request')
    expect(calls).toEqual([])
  })

  it('reload, or say every error of the configuration', async () => {
    const good = await adminRoom()
    expect(await codeOf(good.path, request('POST', '/v1/admin/reload'))).toBe('200')
    const bad = await adminRoom(['first', 'second'])
    const { status, body } = await rawRequest(bad.path, request('POST', '/v1/admin/reload'))
    expect(status).toBe(422)
    expect(JSON.parse(body)).toMatchObject({ code: 'configuration_invalid', errors: ['first', 'second'] })
  })

  it('ask nobody who is calling, and are refused to browsers like all others', async () => {
    const { path } = await adminRoom()
    expect(await codeOf(path, request('GET', '/v1/admin/status', ['Origin: x']))).toBe('403 browser_or_proxy')
  })
})

it('pipelined answers of different routes keep their order', async () => {
  const { path } = await openRoom()
  const client = new RawClient(path)
  client.write(
    request('GET', '/v1/explain') + request('GET', '/livez') + request('GET', '/nowhere') + request('GET', '/v1/jwks'),
  )
  expect((await client.answers(4)).map(({ status, body }) => [status, body.slice(0, 8)])).toEqual([
    [200, '{"caller'],
    [200, 'ok'],
    [404, '{"type":'],
    [200, '{"keys":'],
  ])
  client.destroy()
})
