import { describe, expect, it } from 'vitest'
import { RawClient, rawRequest } from '../../../test/support/raw-http.ts'
import { openSurface } from '../../../test/support/surface-room.ts'
import { openRoom, policyFrom, post, request, someone } from '../../../test/support/workload-room.ts'
import { AttestdError } from '../../base/errors.ts'
import { workloadApiErrors } from '../errors.ts'
import type { EvidenceRequest } from '../evidence-collector.ts'
import { confidentialSpace } from './confidential-space.ts'

const google = 'https://sts.googleapis.com'
const policy = policyFrom([
  {
    id: 'a',
    match: { uid: 1001 },
    allow: {
      methods: ['token', 'evidence'],
      audiences: [google, { prefix: 'urn:a:' }],
      issuers: ['local', 'remote'],
      nonce: 'allow',
    },
  },
  { id: 'b', match: { uid: 1002, listener: 'cs' }, allow: { methods: ['token'], audiences: ['urn:b'] } },
])
const settings = { defaultAudience: google, issuer: null, intelIssuer: null }
const open = (parts: object = {}, changed: object = {}) =>
  openSurface(confidentialSpace({ ...settings, ...changed }), { policy, ...parts })
const options = { audience: 'urn:a:1', token_type: 'OIDC' }
const audienceOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).aud

describe('the token of the launcher socket', () => {
  it('is the default one for GET: bare, as text/html, byte for byte the native one (API-122, API-131, API-132)', async () => {
    const { path } = await open()
    const { status, headers, body } = await rawRequest(path, request('GET', '/v1/token', ['Host: anything.example:99']))
    expect([status, headers['content-type'], headers['x-content-type-options']]).toEqual([200, 'text/html', 'nosniff'])
    expect(audienceOf(body)).toEqual([google])
    expect(body).toMatch(/^[\w.-]+$/)
    const native = await openRoom({ policy })
    expect((await rawRequest(native.path, post('/v1/token', { audience: google }))).body).toBe(body)
  })

  it('is for the audience and the nonces of POST', async () => {
    const { path, provider } = await open()
    const nonces = ['n'.repeat(8), 'm'.repeat(88)]
    const { status, body } = await rawRequest(path, post('/v1/token', { ...options, nonces }))
    expect([status, audienceOf(body)]).toEqual([200, ['urn:a:1']])
    expect(provider.asked[0]?.request).toMatchObject({ audience: ['urn:a:1'], nonces, issuer: 'local', fresh: false })
  })

  it.each([
    ['Content-Type: text/plain'],
    ['Content-Type: application/x-www-form-urlencoded'],
    ['Content-Type: not a type at all'],
    ['Content-Type: application/json;;;'],
  ])('is given whatever the body is declared as: %s (API-132)', async (header) => {
    const { path } = await open()
    expect((await rawRequest(path, post('/v1/token', options, [header]))).status).toBe(200)
  })

  it('takes options of AWS tags with it, and tells HEAD without work (API-33)', async () => {
    const { path, provider } = await open()
    const tags = { allowed_principal_tags: { container_image_signatures: { key_ids: ['k'] } } }
    const body = { ...options, aws_principal_tag_options: tags }
    expect((await rawRequest(path, post('/v1/token', body))).status).toBe(200)
    const head = await rawRequest(path, request('HEAD', '/v1/token'))
    expect([head.status, head.body, provider.asked.length]).toEqual([200, '', 1])
  })

  it('comes from the issuer that is configured, and on /v1/intel/token from the one mapped to it (API-131)', async () => {
    const { path, provider } = await open({}, { issuer: 'remote', intelIssuer: 'local' })
    expect((await rawRequest(path, request('GET', '/v1/token'))).status).toBe(200)
    expect((await rawRequest(path, request('GET', '/v1/intel/token'))).status).toBe(200)
    expect((await rawRequest(path, post('/v1/intel/token', options))).status).toBe(200)
    expect(provider.asked.map(({ request: { issuer } }) => issuer)).toEqual(['remote', 'local', 'local'])
    const unmapped = await open()
    const answer = await rawRequest(unmapped.path, request('GET', '/v1/intel/token'))
    expect([answer.status, answer.headers['attestd-error']]).toEqual([404, 'not_found'])
  })
})

describe('errors of the launcher socket are plain text (API-123, API-132)', () => {
  const parse = 'failed to parse POST body as TokenOptions: '

  it.each<[string, string, number, string | RegExp, string]>([
    ['no body', post('/v1/token', ''), 400, new RegExp(parse), 'invalid_request'],
    ['no JSON', post('/v1/token', '{'), 400, new RegExp(parse), 'invalid_request'],
    ['a list', post('/v1/token', '[]'), 400, new RegExp(parse), 'invalid_request'],
    [
      'an unknown member',
      post('/v1/token', { ...options, aud: 'x' }),
      400,
      new RegExp(`${parse}.*aud`),
      'invalid_request',
    ],
    ['a member twice', post('/v1/token', '{"audience":"a","audience":"b"}'), 400, new RegExp(parse), 'invalid_request'],
    [
      'a list of audiences',
      post('/v1/token', { ...options, audience: ['a'] }),
      400,
      new RegExp(parse),
      'invalid_request',
    ],
    [
      'nonces of another type',
      post('/v1/token', { ...options, nonces: [1] }),
      400,
      new RegExp(parse),
      'invalid_request',
    ],
    [
      'no audience',
      post('/v1/token', { token_type: 'OIDC' }),
      400,
      'use GET request for the default identity token',
      'invalid_request',
    ],
    [
      'an empty audience',
      post('/v1/token', { ...options, audience: '' }),
      400,
      'use GET request for the default identity token',
      'invalid_request',
    ],
    [
      'no type',
      post('/v1/token', { audience: 'urn:a:1' }),
      400,
      'token_type is a required parameter',
      'invalid_request',
    ],
    [
      'an empty type',
      post('/v1/token', { ...options, token_type: '' }),
      400,
      'token_type is a required parameter',
      'invalid_request',
    ],
    ...['PKI', 'LIMITED_AWS', 'AWS_PRINCIPALTAGS', 'oidc', 'AS'].map(
      (type): [string, string, number, RegExp, string] => [
        ...([`type ${type}`, post('/v1/token', { ...options, token_type: type }), 400] as const),
        ...([new RegExp(type), 'unsupported_token_type'] as const),
      ],
    ),
    ['an unsupported method', request('PUT', '/v1/token'), 400, /GET/, 'method_not_allowed'],
    ['DELETE', request('DELETE', '/v1/token'), 400, /GET/, 'method_not_allowed'],
    ['policy', post('/v1/token', { ...options, audience: 'urn:b' }), 403, /audience/, 'policy_denied'],
    ['a browser', request('GET', '/v1/token', ['Origin: null']), 403, /origin/, 'browser_or_proxy'],
    ['an unknown query', request('GET', '/v1/token?audience=urn:b'), 400, /audience/, 'invalid_request'],
    ['an unknown path', request('GET', '/v1/tokens'), 404, /route/, 'not_found'],
    ['the native routes', request('GET', '/v1/explain'), 404, /route/, 'not_found'],
    ['the routes of administrators (API-02)', request('GET', '/v1/admin/status'), 404, /route/, 'not_found'],
    ['a key endorsement (API-134)', post('/v1/keys:getEndorsement', {}), 403, /key manager/, 'not_supported'],
    ['an endorsement that is read', request('GET', '/v1/keys:getEndorsement'), 403, /key manager/, 'not_supported'],
    ['a host attestation', post('/v1/hostAttestation', {}), 403, /host attestation/, 'not_supported'],
    ['a key route that is none', post('/v1/keysXgetEndorsement', {}), 404, /route/, 'not_found'],
  ])('%s', async (_, text, status, body, code) => {
    const { path, provider } = await open()
    const answer = await rawRequest(path, text)
    expect([answer.status, answer.headers['attestd-error']]).toEqual([status, code])
    expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8')
    expect(answer.body).toMatch(body)
    if (typeof body === 'string') expect(answer.body).toBe(body)
    expect(provider.asked).toEqual([])
  })

  const upstream = (code: string, kind: 'refused' | 'unavailable' | 'unsupported', status?: number) =>
    new AttestdError(code, { kind, title: code, remedy: 'none', ...(status ? { status } : {}) }, `it says ${code}`)

  it.each<[string, Error, number]>([
    ['a verdict against this machine', upstream('issuer_rejected', 'refused'), 400],
    ['nonces that cannot be bound', upstream('nonce_unsupported', 'unsupported', 409), 400],
    ['an issuer that is misconfigured', upstream('issuer_misconfigured', 'refused'), 500],
    ['a bad token', upstream('issuer_bad_token', 'refused'), 500],
    ['no issuer', upstream('issuer_unavailable', 'unavailable'), 500],
    ['a clock that is not safe', upstream('clock_unsafe', 'unavailable'), 500],
    ['a deadline', workloadApiErrors.error('deadline_exceeded', 'late'), 500],
    ['a fault', new RangeError('something secret'), 500],
  ])('%s', async (_, error, status) => {
    const { path, provider } = await open()
    provider.answer = () => Promise.reject(error)
    const answer = await rawRequest(path, request('GET', '/v1/token'))
    const code = error instanceof AttestdError ? error.code : 'internal'
    expect([answer.status, answer.headers['attestd-error'], answer.headers['content-type']]).toEqual([
      ...[status, code, 'text/plain; charset=utf-8'],
    ])
    expect(answer.body).not.toMatch(/\bsecret\b/)
  })

  it('keeps the limits of every listener: rates, sizes, callers that are gone', async () => {
    const { path, identifier } = await open({ limits: { expensiveBurst: 1 } })
    const fresh = post('/v1/token', { ...options, nonces: ['12345678'] })
    expect((await rawRequest(path, fresh)).status).toBe(200)
    const limited = await rawRequest(path, fresh)
    expect([limited.status, limited.headers['retry-after']]).toEqual([429, '1'])
    expect((await rawRequest(path, post('/v1/token', 'x'.repeat(16_385)))).status).toBe(413)
    identifier.state = 'caller_gone'
    const gone = await rawRequest(path, request('GET', '/v1/token'))
    expect([gone.status, gone.headers['attestd-error'], gone.headers['connection']]).toEqual([
      401,
      'caller_gone',
      'close',
    ])
  })
})

describe('limits of the launcher socket (API-133)', () => {
  const of = (bytes: number) => `urn:a:${'x'.repeat(bytes - 6)}`

  it.each<[string, object, number]>([
    ['an audience of 512 bytes', { audience: of(512) }, 200],
    ['an audience of 513', { audience: of(513) }, 400],
    ['6 nonces', { nonces: Array(6).fill('n'.repeat(8)) }, 200],
    ['7 nonces', { nonces: Array(7).fill('n'.repeat(8)) }, 400],
    ['a nonce of 7 bytes', { nonces: ['n'.repeat(7)] }, 400],
    ['a nonce of 88', { nonces: ['n'.repeat(88)] }, 200],
    ['a nonce of 89', { nonces: ['n'.repeat(89)] }, 400],
  ])('%s', async (_, changed, status) => {
    const { path } = await open()
    expect((await rawRequest(path, post('/v1/token', { ...options, ...changed }))).status).toBe(status)
  })
})

describe('callers of the launcher socket', () => {
  it('cannot get the audience of one another, on one connection and sent ahead', async () => {
    const { path, identifier, provider } = await open()
    const ask = (audience: string) => post('/v1/token', { audience, token_type: 'OIDC' })
    const a = new RawClient(path).write(ask('urn:a:1') + ask('urn:b') + request('GET', '/v1/token'))
    expect((await a.answers(3)).map(({ status }) => status)).toEqual([200, 403, 200])
    identifier.next = async () => ({ ...someone, uid: 1002, unit: null, listener: 'cs' })
    const b = new RawClient(path).write(ask('urn:b') + ask('urn:a:1') + request('GET', '/v1/token'))
    expect((await b.answers(3)).map(({ status }) => status)).toEqual([200, 403, 403])
    expect(provider.asked.map(({ request: { audience } }) => audience[0])).toEqual(['urn:a:1', google, 'urn:b'])
    for (const client of [a, b]) client.destroy()
  })
})

describe('evidence of the launcher socket (API-134)', () => {
  const challenge = Buffer.from([0xfb, 0xff, 0xbf, 1, 2, 3, 4, 5])
  const body = { challenge: challenge.toString('base64') }
  const open64 = (bytes: number) => ({ challenge: Buffer.alloc(bytes, 7).toString('base64') })

  async function openEvidence() {
    const asked: EvidenceRequest[] = []
    const room = await open({
      collectEvidence: async (one: EvidenceRequest) => {
        asked.push(one)
        return '{"tee":"tpm"}'
      },
    })
    return { ...room, asked }
  }

  it('is the native document, with a label that is ours and the challenge', async () => {
    const { path, asked } = await openEvidence()
    const { status, headers, body: text } = await rawRequest(path, post('/v1/evidence', body))
    expect([status, headers['content-type']]).toEqual([200, 'application/json'])
    expect(JSON.parse(text)).toEqual({
      label: Buffer.from('attestd/1').toString('base64'),
      challenge: body.challenge,
      quote: { tee: 'tpm' },
    })
    expect(asked).toEqual([
      { challenge: new Uint8Array(challenge), profile: 'attestd/1', devices: null, verifier: null },
    ])
  })

  it.each<[string, string, readonly string[], readonly string[]]>([
    ['a query', '/v1/evidence?fields=quote', [], ['quote']],
    ['two of a query, in our order', '/v1/evidence?fields=quote,label', [], ['label', 'quote']],
    ['a header', '/v1/evidence', ['X-Goog-FieldMask: challenge, label'], ['label', 'challenge']],
    ['a query before a header', '/v1/evidence?fields=label', ['X-Goog-FieldMask: quote'], ['label']],
    ['a star', '/v1/evidence?fields=*', [], ['label', 'challenge', 'quote']],
  ])('has the fields of %s', async (_, target, headers, fields) => {
    const { path } = await openEvidence()
    const { body: text } = await rawRequest(path, post(target, body, headers))
    expect(Object.keys(JSON.parse(text))).toEqual(fields)
  })

  it.each<[string, string, unknown, readonly string[]]>([
    ['an unknown field', '/v1/evidence?fields=quote,report', body, []],
    ['a field of the prototype', '/v1/evidence?fields=constructor', body, []],
    ['an empty field', '/v1/evidence?fields=quote,', body, []],
    ['an unknown field in the header', '/v1/evidence', body, ['X-Goog-FieldMask: x']],
    ['another query', '/v1/evidence?profile=raw', body, []],
    ['no challenge', '/v1/evidence', {}, []],
    ['base64url', '/v1/evidence', { challenge: challenge.toString('base64url') }, []],
    ['7 bytes', '/v1/evidence', open64(7), []],
    ['65 bytes', '/v1/evidence', open64(65), []],
    ['the profile of the native route', '/v1/evidence', { ...body, profile: 'raw' }, []],
  ])('with %s is 400', async (_, target, sent, headers) => {
    const { path, asked } = await openEvidence()
    const answer = await rawRequest(path, post(target, sent, headers))
    expect([answer.status, answer.headers['attestd-error'], asked.length]).toEqual([400, 'invalid_request', 0])
  })

  it.each([8, 64])('takes a challenge of %i bytes', async (bytes) => {
    const { path } = await openEvidence()
    expect((await rawRequest(path, post('/v1/evidence', open64(bytes)))).status).toBe(200)
  })

  it('needs the right to evidence, counts as work, and is 500 where the agent hands out none', async () => {
    const { path, identifier, asked } = await openEvidence()
    identifier.next = async () => ({ ...someone, uid: 1002, unit: null, listener: 'cs' })
    const denied = await rawRequest(path, post('/v1/evidence', body))
    expect([denied.status, denied.headers['attestd-error'], asked.length]).toEqual([403, 'policy_denied', 0])
    const without = await open()
    const none = await rawRequest(without.path, post('/v1/evidence', body))
    expect([none.status, none.headers['attestd-error']]).toEqual([500, 'not_supported'])
  })
})
