import { connect } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { rsaKey } from '../../test/support/issuing.ts'
import { haveVectors, vectorJson } from '../../test/support/vectors.ts'
import { composeDiscovery, documentPaths } from './discovery.ts'
import { createIssuerServer, serveIssuer } from './issuer-server.ts'
import type { KeyRing } from './key-ring.ts'
import { openKeyRing } from './open-key-ring.ts'

const issuer = 'https://v.example/tenant'
const discovery = '/tenant/.well-known/openid-configuration'
const [oauth, oauthBelow] = [
  '/.well-known/oauth-authorization-server/tenant',
  '/tenant/.well-known/oauth-authorization-server',
]
const keySets = ['/tenant/jwks.json', '/tenant/.well-known/jwks.json', '/tenant/jwks']

let keys: KeyRing
let app: FastifyInstance
const bugs: unknown[] = []

beforeAll(async () => {
  keys = await openKeyRing({
    purpose: 'id-token',
    store: 'ephemeral',
    algorithms: ['ES256', 'RS256'],
    clock: new FakeClock(),
    initialKeys: [rsaKey()],
  })
  app = createIssuerServer({ issuer, keys, onBug: (error) => bugs.push(error) })
})
afterAll(() => app.close())

describe('the discovery document (TOK-57)', () => {
  it('advertises what answers and nothing else', () => {
    const document = composeDiscovery({ issuer, algorithms: ['RS256', 'ES256'] })
    expect(Object.keys(document).filter((name) => /_endpoint$/.test(name))).toEqual([])
    expect(document).toMatchObject({
      issuer,
      jwks_uri: `${issuer}/jwks.json`,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256', 'ES256'],
    })
    const endpoints = { token_endpoint: '/token' }
    expect(composeDiscovery({ issuer, algorithms: [], endpoints })).toHaveProperty('token_endpoint', `${issuer}/token`)
  })

  it.skipIf(!haveVectors)('can hold every member of the hosted service', () => {
    const hosted = vectorJson('token/alibaba-discovery.json')
    const endpoints = {
      authorization_endpoint: '/authorize',
      token_endpoint: '/token',
      userinfo_endpoint: '/userinfo',
    }
    const responseTypes = hosted.response_types_supported
    const ours = composeDiscovery({ issuer: hosted.issuer, algorithms: ['RS256'], endpoints, responseTypes })
    expect(ours).toMatchObject(hosted)
  })

  it('lists algorithms with a published key, RS256 first (OP-10)', async () => {
    const { id_token_signing_alg_values_supported: listed } = (await app.inject(discovery)).json()
    expect(listed).toEqual(['RS256', 'ES256'])
  })

  it('lies where both specifications look for it', () => {
    expect(documentPaths(issuer).discovery).toEqual([discovery, oauth, oauthBelow])
    expect(documentPaths('https://v.example').discovery).toEqual([
      '/.well-known/openid-configuration',
      '/.well-known/oauth-authorization-server',
    ])
  })
})

describe('answers (TOK-56, TOK-58)', () => {
  it.each([discovery, oauth, oauthBelow])('%s is the discovery document', async (path) => {
    const answer = await app.inject(path)
    expect([answer.statusCode, answer.headers['content-type']]).toEqual([200, 'application/json'])
    expect(answer.json().issuer).toBe(issuer)
  })

  it.each(keySets)('%s is the key set', async (path) => {
    const answer = await app.inject(path)
    expect([answer.statusCode, answer.headers['content-type']]).toEqual([200, 'application/jwk-set+json'])
    expect(answer.json()).toEqual(keys.jwks())
  })

  it.each([discovery, ...keySets])('%s is cached for an hour, has a strong tag and no banner', async (path) => {
    const { headers } = await app.inject(path)
    expect(headers['cache-control']).toBe('public, max-age=3600')
    expect(headers.etag).toMatch(/^"[A-Za-z0-9_-]{43}"$/)
    for (const name of ['server', 'x-powered-by', 'set-cookie', 'access-control-allow-origin']) {
      expect(headers).not.toHaveProperty(name)
    }
  })

  it.each<[string, (etag: string) => string, number]>([
    ['the tag', (etag) => etag, 304],
    ['the tag, weak', (etag) => `W/${etag}`, 304],
    ['a list with the tag', (etag) => `"a", ${etag}`, 304],
    ['a star', () => '*', 304],
    ['another tag', () => '"a"', 200],
    ['the tag without quotes', (etag) => etag.replaceAll('"', ''), 200],
    ['nothing', () => '', 200],
  ])('with If-None-Match: %s', async (_, tag, status) => {
    const etag = String((await app.inject(discovery)).headers.etag)
    const answer = await app.inject({ url: discovery, headers: { 'if-none-match': tag(etag) } })
    expect(answer.statusCode).toBe(status)
    expect(answer.headers.etag).toBe(etag)
    expect(answer.headers['cache-control']).toBe('public, max-age=3600')
    if (status === 304) expect(answer.rawPayload).toHaveLength(0)
  })

  it('changes its tag with the keys', async () => {
    const etag = async () => (await app.inject('/tenant/jwks')).headers.etag
    const before = await etag()
    await keys.rotate('ES256')
    expect(await etag()).not.toBe(before)
  })

  it('answers HEAD with the headers of GET and no body', async () => {
    const [get, head] = [await app.inject(discovery), await app.inject({ method: 'HEAD', url: discovery })]
    expect(head.statusCode).toBe(200)
    expect(head.rawPayload).toHaveLength(0)
    for (const name of ['etag', 'content-type', 'content-length', 'cache-control']) {
      expect(head.headers[name]).toBe(get.headers[name])
    }
  })

  it('ignores a query and is content with any Accept', async () => {
    for (const accept of ['application/json', 'application/jwk-set+json', 'text/html', '*/*']) {
      const answer = await app.inject({ url: '/tenant/jwks.json?v=1', headers: { accept } })
      expect(answer.headers['content-type']).toBe('application/jwk-set+json')
    }
  })

  it('sends no CORS header, whoever asks', async () => {
    const answer = await app.inject({ url: discovery, headers: { origin: 'https://evil.example' } })
    expect(answer.statusCode).toBe(200)
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
  })
})

describe('refusals (ERR-01)', () => {
  it.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const)(
    '%s is 405 with Allow, body unread',
    async (method) => {
      const headers = { 'content-type': 'application/json' }
      const answer = await app.inject({ method, url: discovery, headers, payload: 'x'.repeat(100_000) })
      expect(answer.statusCode).toBe(405)
      expect(answer.headers).toMatchObject({
        allow: 'GET, HEAD',
        connection: 'close',
        'content-type': 'application/problem+json',
      })
      expect(answer.json()).toMatchObject({
        type: 'urn:attestd:problem:as.request.method_not_allowed',
        status: 405,
        code: 'AS.REQUEST.METHOD_NOT_ALLOWED',
        retryable: false,
      })
    },
  )

  it.each([
    '/',
    '/tenant',
    '/jwks',
    `${discovery}/`,
    '/tenant/JWKS',
    '/tenant/../jwks',
    '/tenant/jwks%2ejson',
    '/__proto__',
  ])('%s is 404', async (url) => {
    for (const method of ['GET', 'POST'] as const) {
      const answer = await app.inject({ method, url })
      expect([answer.statusCode, answer.json().code]).toEqual([404, 'AS.REQUEST.NOT_FOUND'])
    }
  })

  it('says nothing of a bug to the peer', async () => {
    const broken = createIssuerServer({
      issuer,
      keys: {
        algorithms: () => [],
        jwks: () => {
          throw new TypeError('secret')
        },
      },
      onBug: (error) => bugs.push(error),
    })
    const answer = await broken.inject('/tenant/jwks')
    expect(answer.statusCode).toBe(500)
    expect(answer.body).not.toContain('secret')
    expect(answer.json().code).toBe('AS.INTERNAL.ERROR')
    expect(bugs).toEqual([new TypeError('secret')])
    await broken.close()
  })
})

/** What the server says to these bytes before it closes or falls silent. */
function converse(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    let heard = ''
    socket.setEncoding('utf8').on('data', (chunk) => {
      heard += chunk
    })
    socket.on('close', () => resolve(heard)).on('error', reject)
  })
}

describe('limits', () => {
  it('hold for headers, requests, idle connections and their number', () => {
    const { headersTimeout, requestTimeout, keepAliveTimeout, maxConnections, maxRequestsPerSocket } = app.server
    expect({ headersTimeout, requestTimeout, keepAliveTimeout, maxConnections, maxRequestsPerSocket }).toEqual({
      headersTimeout: 10_000,
      requestTimeout: 10_000,
      keepAliveTimeout: 5_000,
      maxConnections: 256,
      maxRequestsPerSocket: 1000,
    })
  })
})

describe('a server on loopback', () => {
  let stop: AbortController
  beforeEach(() => {
    stop = new AbortController()
  })
  afterEach(() => stop.abort())

  it('listens, refuses what is no request, and ends with its signal', async () => {
    const listen = { host: '127.0.0.1', port: 0 }
    let running = Promise.resolve()
    const address = await new Promise<string>((onListening) => {
      running = serveIssuer({ issuer, keys, listen, onListening })(stop.signal)
    })
    const port = Number(new URL(address).port)
    const head = 'Host: v.example\r\nConnection: close\r\n'
    expect(await converse(port, `GET ${discovery} HTTP/1.1\r\n${head}\r\n`)).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(await converse(port, 'nonsense\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
    expect(await converse(port, `GET ${discovery} HTTP/1.1\r\n${head}X: ${'x'.repeat(20_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 431 /,
    )
    expect(await converse(port, `GET /%ff HTTP/1.1\r\n${head}\r\n`)).toMatch(/^HTTP\/1\.1 40[04] /)
    expect(await converse(port, `TRACE ${discovery} HTTP/1.1\r\n${head}\r\n`)).toMatch(/^HTTP\/1\.1 405 /)
    const pipelined = `POST ${discovery} HTTP/1.1\r\nHost: v\r\nContent-Length: 40\r\n\r\nGET ${discovery} HTTP/1.1\r\nHost: v\r\n\r\n`
    expect((await converse(port, pipelined)).match(/HTTP\/1\.1 /g)).toHaveLength(1)
    const occupied = serveIssuer({ issuer, keys, listen: { ...listen, port } })(stop.signal)
    await expect(occupied).rejects.toMatchObject({
      code: 'ISSUER_LISTEN_FAILED',
      message: expect.stringContaining(`127.0.0.1 port ${port}: EADDRINUSE`),
    })
    stop.abort()
    await running
    await expect(converse(port, '')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('does not begin when its signal has aborted', async () => {
    await serveIssuer({ issuer, keys, listen: { host: '127.0.0.1', port: 0 } })(AbortSignal.abort())
  })
})
