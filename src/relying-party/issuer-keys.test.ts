import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { FakeClock, settled } from '../../test/support/fake-clock.ts'
import { issueDer } from '../../test/support/test-ca.ts'
import { generateKeys, nameFrom } from '../../test/support/test-ca-schema.ts'
import { attestdPayload, createTestIssuer, tokenNow } from '../../test/support/test-issuer.ts'
import { AttestdError } from '../base/errors.ts'
import { discoverKeys } from './issuer-keys.ts'
import { createKeyTransport } from './key-transport.ts'
import { keyLimits } from './obtain-keys.ts'
import { createTokenVerifier } from './token-verifier.ts'

type Answer = (request: IncomingMessage, response: ServerResponse) => void
const open: { close(): unknown; closeAllConnections(): void }[] = []
afterEach(() => {
  vi.unstubAllEnvs()
  for (const server of open.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

const json =
  (value: unknown, status = 200): Answer =>
  (_request, response) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
const raw =
  (body: string, headers = {}): Answer =>
  (_request, response) =>
    response.writeHead(200, headers).end(body)
const redirect =
  (location: string, status = 302): Answer =>
  (_request, response) =>
    response.writeHead(status, { location }).end()

const key = createTestIssuer('ES256', 'key-1')
const later = createTestIssuer('ES256', 'key-2')
const hour = 3_600_000

/** An issuer on a real socket of this host. `answers` may be changed at any time; `asked` lists the requests. */
async function startIssuer(changes: Record<string, Answer> = {}) {
  const asked: string[] = []
  const answers: Record<string, Answer> = {}
  const server = createHttpServer((request, response) => {
    asked.push(request.url ?? '')
    ;(answers[request.url ?? ''] ?? json({}, 404))(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push(server)
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const discovery = '/.well-known/openid-configuration'
  Object.assign(answers, {
    [discovery]: json({ issuer, jwks_uri: `${issuer}/jwks.json` }),
    '/jwks.json': json({ keys: [key.jwk] }),
    ...changes,
  })
  const clock = new FakeClock(tokenNow * 1000)
  const verifier = createTokenVerifier({
    issuer,
    audience: 'https://rp.test',
    keys: { discovery: { allowLoopbackHttp: true } },
    tee: ['acstdxnvgpu'],
    measurements: null,
    clientId: 'client-1',
    maxTokenAgeS: 1_000_000,
    clock,
  })
  const token = (by = key) => by.sign({ ...attestdPayload(), iss: issuer, exp: tokenNow + 900_000 })
  const outcome = (by = key) =>
    verifier.accept(token(by)).then(
      () => 'accepted',
      (error: unknown) => {
        if (!(error instanceof AttestdError)) throw error
        return `${error.code}: ${error.message}`
      },
    )
  return { issuer, asked, answers, clock, verifier, token, outcome, discovery, server }
}

describe('keys by discovery', () => {
  it('are fetched on first use, once for any number of tokens', async () => {
    const { outcome, asked, discovery } = await startIssuer()
    expect(asked).toEqual([])
    expect(await Promise.all([outcome(), outcome(), outcome()])).toEqual(Array(3).fill('accepted'))
    expect(await outcome()).toBe('accepted')
    expect(asked).toEqual([discovery, '/jwks.json'])
  })

  it('are sought where an issuer with a path or a trailing slash publishes them', async () => {
    const { issuer, answers, asked } = await startIssuer()
    for (const path of ['/tenant', '/tenant/']) {
      const named = issuer + path
      answers['/tenant/.well-known/openid-configuration'] = json({ issuer: named, jwks_uri: `${issuer}/jwks.json` })
      const keys = await discoverKeys(named, { allowLoopbackHttp: true }).current()
      expect(keys.size).toBe(1)
    }
    expect(new Set(asked)).toEqual(new Set(['/tenant/.well-known/openid-configuration', '/jwks.json']))
  })

  it('are fetched again for an unknown kid, at most once in 60 s', async () => {
    const { outcome, answers, asked, clock } = await startIssuer()
    expect(await outcome()).toBe('accepted')
    answers['/jwks.json'] = json({ keys: [key.jwk, later.jwk] })
    expect(await outcome(later)).toBe('accepted')
    expect(asked).toHaveLength(4)

    const stranger = createTestIssuer('ES256', 'key-3')
    expect(await outcome(stranger)).toMatch(/^DISTRUSTED: token.key: no key of the issuer has the kid "key-3"/)
    await clock.advance(59_999)
    expect(await outcome(stranger)).toMatch(/^DISTRUSTED/)
    expect(asked).toHaveLength(4)
    await clock.advance(1)
    expect(await Promise.all([outcome(stranger), outcome(stranger)])).toEqual(
      Array(2).fill(expect.stringMatching(/^DISTRUSTED/)),
    )
    expect(asked).toHaveLength(6)
    expect(await outcome()).toBe('accepted')
  })

  it('that were removed stop working when the set is an hour old', async () => {
    const { outcome, answers, clock, asked } = await startIssuer()
    expect(await outcome()).toBe('accepted')
    answers['/jwks.json'] = json({ keys: [later.jwk] })
    await clock.advance(hour - 1)
    expect([await outcome(), asked.length]).toEqual(['accepted', 2])
    await clock.advance(1)
    expect(await outcome()).toMatch(/^DISTRUSTED: token.key/)
  })

  it('are kept for 24 hours while the issuer is away, and no longer', async () => {
    const { outcome, answers, clock, discovery, asked } = await startIssuer()
    expect(await outcome()).toBe('accepted')
    const good = answers[discovery] as Answer
    answers[discovery] = json({}, 503)
    await clock.advance(hour)
    expect(await outcome()).toBe('accepted')
    expect(await outcome(later)).toMatch(/^DISTRUSTED/)
    expect(asked).toHaveLength(3)
    await clock.advance(23 * hour - 1)
    expect(await outcome()).toBe('accepted')
    await clock.advance(1)
    expect(await outcome()).toMatch(/^keys_unavailable: .*answered with status 503/)
    answers[discovery] = good
    expect(await outcome()).toMatch(/^keys_unavailable/)
    await clock.advance(60_000)
    expect(await outcome()).toBe('accepted')
  })

  it('survive a wall clock that jumps, in both directions', async () => {
    const { outcome, answers, clock, discovery } = await startIssuer()
    expect(await outcome()).toBe('accepted')
    answers[discovery] = json({}, 503)
    clock.jump(25 * hour)
    expect(await outcome()).toMatch(/^keys_unavailable/)
    clock.jump(-25 * hour)
    expect(await outcome()).toBe('accepted')
    // Set back: the set must not look young for ever.
    clock.jump(-1000 * hour)
    await clock.advance(24 * hour)
    clock.jump(976 * hour)
    expect(await outcome()).toMatch(/^keys_unavailable/)
  })

  it('age while the machine is suspended', async () => {
    const { outcome, answers, clock, discovery } = await startIssuer()
    expect(await outcome()).toBe('accepted')
    answers[discovery] = json({}, 503)
    clock.suspend(24 * hour)
    expect(await outcome()).toMatch(/^keys_unavailable/)
  })

  it('are refused over plain http without the switch, and to other hosts with it', async () => {
    const { issuer } = await startIssuer()
    await expect(discoverKeys(issuer).current()).rejects.toMatchObject({
      code: 'keys_unavailable',
      message: expect.stringContaining('https only'),
    })
    const elsewhere = discoverKeys('http://issuer.test', { allowLoopbackHttp: true })
    await expect(elsewhere.current()).rejects.toMatchObject({ message: expect.stringContaining('https only') })
  })
})

const big = (bytes: number) => '{"keys":[]}'.padEnd(bytes, ' ')

describe('an issuer that answers badly, or for another one (BRK-103)', () => {
  const discoveryFaults: [string, Answer, string][] = [
    [
      'another issuer',
      json({ issuer: 'https://else.test', jwks_uri: 'https://else.test/jwks' }),
      'belongs to another issuer',
    ],
    [
      'no jwks_uri',
      (request, response) => json({ issuer: `http://${request.headers.host}` })(request, response),
      'no jwks_uri',
    ],
    [
      'a jwks_uri over http',
      (request, response) =>
        json({ issuer: `http://${request.headers.host}`, jwks_uri: 'http://else.test/' })(request, response),
      'https only',
    ],
    [
      'a jwks_uri that is none',
      (request, response) => json({ issuer: `http://${request.headers.host}`, jwks_uri: '//' })(request, response),
      'not a URL',
    ],
    ['HTML', raw('<!doctype html><title>Log in</title>', { 'content-type': 'text/html' }), 'expected a value'],
    ['invalid JSON', raw('{"issuer":'), 'ends too early'],
    ['duplicate members', raw('{"issuer":"a","issuer":"b"}'), 'duplicate member "issuer"'],
    ['an array', raw('[]'), 'not a JSON object'],
    ['a byte order mark', raw('\ufeff{}'), 'byte order mark'],
    ['nothing', raw(''), 'ends too early'],
    ['304 without a cache', json({}, 304), 'status 304'],
    ['401', json({}, 401), 'status 401'],
    ['500', json({}, 500), 'status 500'],
    ['a redirect to another host', redirect('http://127.0.0.2:9/'), 'redirects to another host'],
    ['a redirect to another port', redirect('http://127.0.0.1:9/'), 'redirects to another host'],
    ['a redirect off this host', redirect('http://issuer.test/'), 'https only'],
    ['a redirect to a file', redirect('file:///etc/passwd'), 'https only'],
    ['a redirect with credentials', redirect('http://user:secret@127.0.0.1/'), 'carries credentials'],
    ['a redirect to itself', redirect('/.well-known/openid-configuration'), 'redirects more than 3 times'],
    ['a redirect to nowhere', json({}, 302), 'status 302'],
    [
      'a torn body',
      (_request, response) => response.writeHead(200, { 'content-length': 100 }).end('{', () => response.destroy()),
      '',
    ],
    ['a torn connection', (_request, response) => response.destroy(), ''],
  ]
  it.each(discoveryFaults)('%s: the keys are unavailable, and it recovers', async (_name, answer, says) => {
    const { outcome, answers, discovery, clock, issuer } = await startIssuer()
    const good = answers[discovery] as Answer
    answers[discovery] = answer
    const bad = await outcome()
    expect(bad).toMatch(/^keys_unavailable: /)
    expect(bad).toContain(says)
    if (!says.includes('another host')) expect(bad).not.toContain('secret')
    answers[discovery] = good
    await clock.advance(4_999)
    expect(await outcome()).toMatch(/^keys_unavailable/)
    await clock.advance(1)
    expect(await outcome()).toBe('accepted')
    expect(issuer).toMatch(/^http:/)
  })

  it.each<[string, Answer, string]>([
    ['no keys member', json({}), 'is not an array'],
    ['duplicate members', raw('{"keys":[],"keys":[]}'), 'duplicate member "keys"'],
    ['HTML', raw('<html>'), 'expected a value'],
    ['a body of 64 KiB and one byte', raw(big(65_537)), 'longer than 65536 bytes'],
    ['an endless body', (_request, response) => endless(response.writeHead(200)), 'longer than 65536 bytes'],
  ])('%s in place of the key set', async (_name, answer, says) => {
    const { outcome, answers, asked, clock } = await startIssuer({ '/jwks.json': answer })
    expect(await outcome()).toMatch(new RegExp(`^keys_unavailable: .*jwks.json: .*${says}`))
    answers['/jwks.json'] = json({ keys: [key.jwk] })
    await clock.advance(5_000)
    expect(await outcome()).toBe('accepted')
    expect(asked).toHaveLength(4)
  })

  it('64 KiB to the byte are read', async () => {
    expect(big(65_536)).toHaveLength(65_536)
    const { outcome } = await startIssuer({ '/jwks.json': raw(big(65_536)) })
    expect(await outcome()).toMatch(/^DISTRUSTED: token.key/)
  })

  it('a redirect on the same host is followed', async () => {
    const { outcome, answers, asked, discovery } = await startIssuer()
    answers['/moved'] = answers[discovery] as Answer
    answers[discovery] = redirect('/moved', 308)
    expect(await outcome()).toBe('accepted')
    expect(asked).toEqual([discovery, '/moved', '/jwks.json'])
  })

  it.each([
    ['no answer', (): void => undefined],
    [
      'half an answer',
      (_request: IncomingMessage, response: ServerResponse) => void response.writeHead(200).write('{'),
    ],
  ])('%s is given up after 5 s, and the socket is closed', async (_name, answer) => {
    const { outcome, answers, discovery, clock } = await startIssuer()
    const good = answers[discovery] as Answer
    let closed: Promise<unknown> | undefined
    const arrived = new Promise<void>((resolve) => {
      answers[discovery] = (request, response) => {
        closed = new Promise((gone) => request.socket.once('close', gone))
        answer(request, response)
        resolve()
      }
    })
    const waiting = outcome()
    await arrived
    await clock.advance(keyLimits.timeoutMs - 1)
    expect(await Promise.race([waiting, settled().then(() => 'waiting')])).toBe('waiting')
    await clock.advance(1)
    expect(await waiting).toMatch(/^keys_unavailable: .*no complete answer within 5000 ms/)
    await closed
    answers[discovery] = good
    await clock.advance(5_000)
    expect(await outcome()).toBe('accepted')
    expect(clock.sleeping).toBe(0)
  })

  it('nobody listens: the keys are unavailable', async () => {
    const { outcome, server } = await startIssuer()
    await new Promise((resolve) => server.close(resolve))
    expect(await outcome()).toMatch(/^keys_unavailable: .*ECONNREFUSED/)
  })

  it('a transport that fails in its own way, or ignores its signal, is no bug', async () => {
    const clock = new FakeClock()
    const failing = discoverKeys('https://issuer.test', {
      transport: { get: () => Promise.reject(new TypeError('fetch failed')) },
    })
    await expect(failing.current()).rejects.toMatchObject({
      code: 'keys_unavailable',
      message: expect.stringContaining('fetch failed'),
    })
    const deaf = discoverKeys('https://issuer.test', {
      clock,
      transport: { get: () => new Promise(() => undefined) },
    }).current()
    const ended = expect(deaf).rejects.toMatchObject({ message: expect.stringContaining('within 5000 ms') })
    await clock.advance(5_000)
    await ended
  })

  it('a transport that gives too much is not trusted', async () => {
    const body = new TextEncoder().encode(big(65_537))
    const keys = discoverKeys('https://issuer.test', { transport: { get: async () => ({ status: 200, body }) } })
    await expect(keys.current()).rejects.toMatchObject({ message: expect.stringContaining('more than 65536 bytes') })
  })
})

function endless(response: ServerResponse): void {
  const more = () => {
    while (!response.destroyed && response.write(' '.repeat(8192)));
  }
  response.on('drain', more)
  more()
}

const pem = (label: string, der: Uint8Array) =>
  `-----BEGIN ${label}-----\n${Buffer.from(der).toString('base64')}\n-----END ${label}-----\n`

/** A certificate for 127.0.0.1 that signs itself. */
function selfSigned() {
  const keys = generateKeys()
  const signer = { name: nameFrom({ CN: 'issuer' }), keys, keyId: null }
  const address = Uint8Array.of(0x30, 6, 0x87, 4, 127, 0, 0, 1)
  const [notBefore, notAfter] = [Date.now() - hour, Date.now() + hour]
  const extensions = [{ id: '2.5.29.17', critical: false, value: address }]
  const der = issueDer({ signer, keys, subject: { CN: 'issuer' }, keyId: null, notBefore, notAfter, extensions })
  return { key: keys.privateKey.export({ format: 'pem', type: 'pkcs8' }), cert: pem('CERTIFICATE', der) }
}

describe('the usual transport over TLS', () => {
  it('trusts the configured authority and nobody else', async () => {
    const certificate = selfSigned()
    const server = createTlsServer(certificate, (request, response) => {
      const issuer = `https://${request.headers.host}`
      json(request.url === '/jwks' ? { keys: [key.jwk] } : { issuer, jwks_uri: `${issuer}/jwks` })(request, response)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    open.push(server)
    const issuer = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
    const transport = createKeyTransport({ ca: certificate.cert })
    expect((await discoverKeys(issuer, { transport }).current()).size).toBe(1)
    for (const reject of ['1', '0']) {
      vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', reject)
      await expect(discoverKeys(issuer).current()).rejects.toMatchObject({
        code: 'keys_unavailable',
        message: expect.stringContaining('self-signed certificate'),
      })
    }
  })
})
