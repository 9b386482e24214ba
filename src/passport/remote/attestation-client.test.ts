import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { selfSigned } from '../../../test/support/self-signed.ts'
import { AttestdError } from '../../base/errors.ts'
import { classifyFailure } from '../failure.ts'
import { createAttestationClient } from './attestation-client.ts'
import type { AttestationTransport } from './attestation-transport.ts'
import { requireEndpoints } from './endpoints.ts'
import { type AttestationTransportOptions, createAttestationTransport } from './undici-transport.ts'

const token = 'eyJhIjoxfQ.eyJiIjoyfQ.c2ln'
const evidence = 'eyJxdW90ZSI6IkJBQUMi'
const body = new Uint8Array(Buffer.from(JSON.stringify({ tee: 'tdx', evidence: evidence.repeat(8) })))

const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

interface Peer {
  readonly url: string
  /** What each connection sent so far. */
  readonly received: string[]
  readonly sockets: net.Socket[]
  /** Resolves when `count` requests with their body have arrived. */
  requests(count: number): Promise<void>
}

/** A server that is spoken to in bytes: `act` runs when a whole request is there. */
async function peer(act: (socket: net.Socket, number: number) => void, secure?: tls.TlsOptions): Promise<Peer> {
  const received: string[] = []
  const sockets: net.Socket[] = []
  const waiting: (() => void)[] = []
  let whole = 0
  const take = (socket: net.Socket) => {
    const index = sockets.push(socket) - 1
    received[index] = ''
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      received[index] += chunk.toString('latin1')
      if (!received[index]?.endsWith('"}')) return
      whole++
      act(socket, whole)
      for (const wake of waiting.splice(0)) wake()
    })
  }
  const server = secure === undefined ? net.createServer(take) : tls.createServer(secure, take)
  server.on('tlsClientError', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push({
    close: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  })
  const { port } = server.address() as net.AddressInfo
  const requests = async (count: number) => {
    while (whole < count) await new Promise<void>((resolve) => waiting.push(resolve))
  }
  return { url: `${secure ? 'https' : 'http'}://127.0.0.1:${port}`, received, sockets, requests }
}

const answering =
  (status: number, text: string, headers = '') =>
  (socket: net.Socket) =>
    socket.end(
      `HTTP/1.1 ${status} x\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n${headers}\r\n${text}`,
    )

/** Resolves when the connection is gone, in whatever way. */
function closed(socket: net.Socket | undefined): Promise<void> {
  return new Promise((resolve) => (socket?.destroyed === false ? socket.once('close', () => resolve()) : resolve()))
}

/** A port of loopback on which nobody listens. */
async function deadUrl(): Promise<string> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  server.close()
  await once(server, 'close')
  return `http://127.0.0.1:${port}`
}

function client(bases: readonly string[], clock = new FakeClock(), options: AttestationTransportOptions = {}) {
  const endpoints = requireEndpoints(bases, { allowLoopbackHttp: true })
  return createAttestationClient({ endpoints, transport: createAttestationTransport(options), clock })
}

async function failure(work: Promise<unknown>) {
  const error: unknown = await work.then(
    () => new Error('a token came'),
    (reason: unknown) => reason,
  )
  if (!(error instanceof AttestdError)) throw error
  return { ...classifyFailure(error, 'obtain', 0), code: error.code, facts: error.facts, message: error.message }
}

const quiet = () => new AbortController().signal

describe('the time of the peer', () => {
  const hour = 3_600_000
  it.each([-24 * hour, 24 * hour])(
    'is no time of ours: a Date that is %i ms off changes nothing (BRK-66)',
    async (offMs) => {
      const clock = new FakeClock()
      const before = clock.now()
      const stamp = (ms: number) => new Date(before + ms).toUTCString()
      const good = await peer(answering(200, token, `date: ${stamp(offMs)}\r\n`))
      await expect(client([good.url], clock).obtainToken(body, quiet())).resolves.toBe(token)
      // A date to come back at is of the wall clock of this machine, not of the Date beside it.
      const busy = await peer(answering(429, 'no', `date: ${stamp(offMs)}\r\nretry-after: ${stamp(60_000)}\r\n`))
      const { facts } = await failure(client([busy.url], clock).obtainToken(body, quiet()))
      expect([facts['retry_after_ms'], clock.now() - before]).toEqual([60_000, 0])
    },
  )
})

describe('the request', () => {
  it('is one POST with the members as they were given and nothing that tells who asks (SVC-02, SVC-17)', async () => {
    const server = await peer(answering(200, token))
    await expect(client([server.url]).obtainToken(body, quiet())).resolves.toBe(token)
    const [head = '', sent] = (server.received[0] ?? '').split('\r\n\r\n')
    const [line, ...fields] = head.split('\r\n')
    expect(line).toBe('POST /v1/attestation HTTP/1.1')
    expect(fields.map((field) => field.toLowerCase()).sort()).toEqual([
      'accept-encoding: identity',
      'accept: application/jwt, application/problem+json, */*;q=0.1',
      'connection: close',
      `content-length: ${body.length}`,
      'content-type: application/json',
      `host: ${new URL(server.url).host}`,
    ])
    expect(sent).toBe(Buffer.from(body).toString())
  })

  it.each([
    ['https://a.example', 'https://a.example/v1/attestation'],
    ['https://a.example/', 'https://a.example/v1/attestation'],
    ['https://a.example/base', 'https://a.example/base/v1/attestation'],
    ['https://a.example/base/', 'https://a.example/base/v1/attestation'],
    ['HTTPS://A.Example:443', 'https://a.example/v1/attestation'],
    ['http://[0:0:0:0:0:0:0:1]:8080', 'http://[::1]:8080/v1/attestation'],
    ['http://127.0.0.1:80', 'http://127.0.0.1/v1/attestation'],
    ['http://localhost:8080', 'http://localhost:8080/v1/attestation'],
    ['http://[::1]:8080', 'http://[::1]:8080/v1/attestation'],
  ])('to base %s goes to %s', (base, url) => {
    expect(requireEndpoints([base], { allowLoopbackHttp: true }).map(String)).toEqual([url])
  })

  it.each([
    'http://a.example',
    'http://127.0.0.1.example',
    'http://localhost.example',
    'http://[::2]',
    'http://[::ffff:127.0.0.1]',
    'http://[::]',
    'http://0.0.0.0',
    'http://128.0.0.1',
    'http://localhost.',
    'ftp://a.example',
    'https://user@a.example',
    'https://a.example?x',
    'https://a.example#x',
    'a.example',
    '',
  ])('is never sent to %j (SVC-01)', (base) => {
    const rules = { allowLoopbackHttp: true }
    expect(() => requireEndpoints([base], rules)).toThrowError(expect.objectContaining({ code: 'ENDPOINT_INVALID' }))
  })

  it('needs an endpoint, and the switch for plain http to this host', () => {
    for (const bases of [[], ['http://127.0.0.1:1']]) {
      expect(() => requireEndpoints(bases, { allowLoopbackHttp: false })).toThrowError(/endpoint/)
    }
  })
})

describe('an endpoint that gives no token', () => {
  it.each([
    [200, '<html>Welcome</html>', 'misconfigured', 'issuer_misconfigured'],
    [302, '', 'misconfigured', 'issuer_misconfigured'],
    [404, '', 'misconfigured', 'issuer_misconfigured'],
    [422, '', 'verdict', 'issuer_rejected'],
    [429, '', 'transport', 'issuer_unavailable'],
    [503, '', 'transport', 'issuer_unavailable'],
  ] as const)('by %i is of class %s', async (status, text, failureClass, code) => {
    const server = await peer(
      answering(status, text, 'content-type: text/html\r\nretry-after: 7\r\nlocation: http://x.example/\r\n'),
    )
    const told = await failure(client([server.url]).obtainToken(body, quiet()))
    expect(told).toMatchObject({
      class: failureClass,
      code,
      retryAfterMs: 7_000,
      facts: { endpoint: `${server.url}/v1/attestation`, status, upstream_code: `HTTP_${status}` },
    })
    expect(told.message).toContain(`${server.url}/v1/attestation answered ${status} with text/html`)
    expect(server.sockets).toHaveLength(1)
  })

  it('and echoes the request shows none of the evidence (SVC-14)', async () => {
    const server = await peer((socket) => answering(400, Buffer.from(body).toString())(socket))
    const { message, facts } = await failure(client([server.url]).obtainToken(body, quiet()))
    expect(`${message}${JSON.stringify(facts)}`).not.toContain(evidence.slice(0, 8))
    expect(message).toContain(`{"tee":"tdx","evidence":"…"}`)
  })

  it('demands a challenge, which this dialect has not', async () => {
    const text = '{"status":401,"code":"AS.CHALLENGE.INVALID_TOKEN"}'
    const server = await peer(answering(401, text, 'content-type: application/problem+json\r\n'))
    const told = await failure(client([server.url]).obtainToken(body, quiet()))
    expect(told).toMatchObject({ class: 'misconfigured', facts: { upstream_code: 'AS.CHALLENGE.INVALID_TOKEN' } })
    expect(told.error.remedy).toContain('demands a challenge')
  })

  it('refuses our encoding: no verdict about the machine, so that a valid token stays (ERR-13)', async () => {
    const text = '{"status":400,"code":"AS.EVIDENCE.INVALID_ENCODING","field":"evidence.quote"}'
    const server = await peer(answering(400, text, 'content-type: application/problem+json\r\n'))
    const told = await failure(client([server.url]).obtainToken(body, quiet()))
    expect(told).toMatchObject({ class: 'misconfigured', facts: { upstream_field: 'evidence.quote' } })
  })

  it('answers the same plain 500 three times: what does not pass is no disturbance (ERR-12)', async () => {
    let text = 'missing field'
    const server = await peer((socket) => answering(500, text)(socket))
    const one = client([server.url])
    const classes: string[] = []
    const ask = async () => classes.push((await failure(one.obtainToken(body, quiet()))).class)
    for (let time = 0; time < 4; time++) await ask()
    text = 'another'
    for (let time = 0; time < 3; time++) await ask()
    expect(classes).toEqual(
      ['transport', 'transport', 'misconfigured', 'misconfigured'].concat(['transport', 'transport', 'misconfigured']),
    )
  })

  it('and two plain 500 with another answer between them are disturbances', async () => {
    const statuses = [500, 500, 503, 500, 500, 200, 500, 500]
    const server = await peer((socket, number) => answering(statuses[number - 1] ?? 500, 'text')(socket))
    const one = client([server.url])
    for (const status of statuses) {
      const { class: failureClass } = await failure(one.obtainToken(body, quiet()))
      expect(failureClass).toBe(status === 200 ? 'misconfigured' : 'transport')
    }
  })
})

describe('several endpoints (SVC-01)', () => {
  it.each([500, 502, 503, 504])('the next one is asked after %i', async (status) => {
    const [first, second] = [await peer(answering(status, '')), await peer(answering(200, token))]
    await expect(client([first.url, second.url]).obtainToken(body, quiet())).resolves.toBe(token)
    expect(first.sockets).toHaveLength(1)
  })

  it.each([200, 302, 400, 404, 409, 422, 429])('the next one is not asked after %i', async (status) => {
    const [first, second] = [await peer(answering(status, '')), await peer(answering(200, token))]
    await failure(client([first.url, second.url]).obtainToken(body, quiet()))
    expect(second.sockets).toHaveLength(0)
  })

  it('the next one is not asked after a verdict, even by 5xx', async () => {
    const text = '{"status":500,"code":"AS.EVIDENCE.VERIFICATION_FAILED"}'
    const first = await peer(answering(500, text, 'content-type: application/problem+json\r\n'))
    const second = await peer(answering(200, token))
    const told = await failure(client([first.url, second.url]).obtainToken(body, quiet()))
    expect([told.class, second.sockets.length]).toEqual(['verdict', 0])
  })

  it('the next one is asked after a connection that is refused, reset or cut', async () => {
    const cut = await peer((socket) => socket.end('HTTP/1.1 200 x\r\ncontent-length: 40\r\n\r\neyJ'))
    const reset = await peer((socket) => socket.resetAndDestroy())
    const sound = await peer(answering(200, token))
    const all = [await deadUrl(), cut.url, reset.url, sound.url]
    await expect(client(all).obtainToken(body, quiet())).resolves.toBe(token)
  })

  it('what may pass counts for more than what must be mended, and a verdict for more than both', async () => {
    const [down, wrong, no] = [
      await peer(answering(503, '', 'retry-after: 9\r\n')),
      await peer(answering(404, '')),
      await peer(answering(422, '')),
    ]
    expect(await failure(client([down.url, wrong.url]).obtainToken(body, quiet()))).toMatchObject({
      class: 'transport',
      retryAfterMs: 9_000,
    })
    expect(await failure(client([down.url, no.url]).obtainToken(body, quiet()))).toMatchObject({ class: 'verdict' })
  })
})

describe('a connection that dies', () => {
  const dead: readonly [string, (socket: net.Socket) => void][] = [
    ['before the answer', (socket) => socket.destroy()],
    ['by a reset', (socket) => socket.resetAndDestroy()],
    ['within the status line', (socket) => socket.end('HTTP/1.1 2')],
    ['within the headers', (socket) => socket.end('HTTP/1.1 200 x\r\ncontent-le')],
    ['before the body', (socket) => socket.end('HTTP/1.1 200 x\r\ncontent-length: 26\r\n\r\n')],
    ['within the body', (socket) => socket.end(`HTTP/1.1 200 x\r\ncontent-length: 27\r\n\r\n${token}`)],
    ['within a chunk', (socket) => socket.end('HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n1a\r\neyJ')],
    [
      'before the last chunk',
      (socket) => socket.end(`HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n1a\r\n${token}\r\n`),
    ],
    ['as something that is no HTTP', (socket) => socket.end('SSH-2.0-x\r\n')],
  ]

  it.each(dead)('%s gives no token, and another attempt', async (_, act) => {
    const server = await peer(act)
    const told = await failure(client([server.url]).obtainToken(body, quiet()))
    expect(told).toMatchObject({ class: 'transport', code: 'issuer_unavailable', retryAfterMs: null })
  })

  it('is refused: nobody listens', async () => {
    const told = await failure(client([await deadUrl()]).obtainToken(body, quiet()))
    expect(told).toMatchObject({ class: 'transport', facts: { network_code: 'ECONNREFUSED' } })
  })
})

describe('whatever a peer sends', () => {
  const lines = fc.constantFrom(
    'HTTP/1.1 200 OK',
    'HTTP/1.1 503',
    'content-length: 3',
    'transfer-encoding: chunked',
    '',
  )
  const piece = fc.oneof(lines, fc.constant(token), fc.string({ unit: 'binary', maxLength: 40 }))

  it('ends in a class of failure or in a token, never in a bug', async () => {
    let text = ''
    const server = await peer((socket) => socket.end(text))
    const one = client([server.url])
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 8 }), async (pieces) => {
        text = pieces.join('\r\n')
        const given = await one.obtainToken(body, quiet()).catch((error: unknown) => error)
        if (given instanceof AttestdError) classifyFailure(given, 'obtain', 0)
        else expect(given).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/)
      }),
      { numRuns: 100 },
    )
  })
})

describe('limits (BRK-48)', () => {
  const endless = (socket: net.Socket) => {
    socket.write('HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n')
    const more = () => {
      while (!socket.destroyed && socket.write(`10000\r\n${'a'.repeat(65_536)}\r\n`));
    }
    socket.on('drain', more)
    more()
  }

  it('a body without end is cut off at 1 MiB, and its connection closed', async () => {
    const server = await peer(endless)
    const told = await failure(client([server.url]).obtainToken(body, quiet()))
    expect(told).toMatchObject({ class: 'transport', facts: { network_code: 'ANSWER_TOO_LARGE' } })
    await closed(server.sockets[0])
  })

  it.each([
    [1_048_576, 'misconfigured'],
    [1_048_577, 'transport'],
  ])('a body of %i bytes is %s', async (length, failureClass) => {
    const server = await peer(answering(200, 'a'.repeat(length)))
    expect(await failure(client([server.url]).obtainToken(body, quiet()))).toMatchObject({ class: failureClass })
  })

  it.each([
    ['never answers', (): void => undefined],
    ['answers by one byte', (socket: net.Socket) => socket.write('HTTP/1.1 200 x\r\ncontent-length: 26\r\n\r\ne')],
  ])('a peer that %s is left after 15 s', async (_, act) => {
    const clock = new FakeClock()
    const server = await peer((socket) => void act(socket))
    const pending = failure(client([server.url], clock).obtainToken(body, quiet()))
    await server.requests(1)
    await clock.advance(14_999)
    expect(server.sockets[0]?.destroyed).toBe(false)
    await clock.advance(1)
    expect(await pending).toMatchObject({ class: 'transport', facts: { network_code: 'EXCHANGE_TIMEOUT' } })
    await closed(server.sockets[0])
    expect(clock.sleeping).toBe(0)
  })

  it('holds for a transport that hears no signal', async () => {
    const clock = new FakeClock()
    const transport: AttestationTransport = { post: () => new Promise(() => undefined) }
    const endpoints = requireEndpoints(['https://a.example'], { allowLoopbackHttp: false })
    const pending = failure(createAttestationClient({ endpoints, transport, clock }).obtainToken(body, quiet()))
    await clock.advance(15_000)
    expect(await pending).toMatchObject({ facts: { network_code: 'EXCHANGE_TIMEOUT' } })
  })

  it('a handshake that does not come is left by the limit of the connection', async () => {
    const server = await peer(() => undefined)
    const secure = server.url.replace('http:', 'https:')
    const told = await failure(client([secure], new FakeClock(), { connectMs: 50 }).obtainToken(body, quiet()))
    expect(told).toMatchObject({ class: 'transport', facts: { network_code: 'UND_ERR_CONNECT_TIMEOUT' } })
  })

  it('of headers that do not end is the transport’s own', async () => {
    const server = await peer((socket) => socket.write('HTTP/1.1 200 x\r\n'))
    const told = await failure(client([server.url], new FakeClock(), { headersMs: 50 }).obtainToken(body, quiet()))
    expect(told).toMatchObject({ class: 'transport', facts: { network_code: 'UND_ERR_HEADERS_TIMEOUT' } })
  })
})

describe('an abort (SVC-13)', () => {
  it.each([
    ['before the answer', (): void => undefined],
    ['within the body', (socket: net.Socket) => socket.write('HTTP/1.1 200 x\r\ncontent-length: 26\r\n\r\ne')],
  ])('%s reaches the socket, is passed on as it is, and asks nobody else', async (_, act) => {
    const clock = new FakeClock()
    const [server, next] = [await peer((socket) => void act(socket)), await peer(answering(200, token))]
    const [stop, reason] = [new AbortController(), new Error('the caller has gone')]
    const pending = client([server.url, next.url], clock).obtainToken(body, stop.signal)
    const outcome = expect(pending).rejects.toBe(reason)
    await server.requests(1)
    stop.abort(reason)
    await outcome
    await closed(server.sockets[0])
    expect([next.sockets.length, clock.sleeping]).toEqual([0, 0])
  })

  it('that came before sends nothing', async () => {
    const server = await peer(answering(200, token))
    const reason = new Error('the caller has gone')
    await expect(client([server.url]).obtainToken(body, AbortSignal.abort(reason))).rejects.toBe(reason)
    expect(server.sockets).toHaveLength(0)
  })
})

describe('the certificate of the service', () => {
  it('is verified: one that nobody vouches for is a failure of its own kind, tried again after a minute', async () => {
    const { key, cert } = selfSigned()
    const server = await peer(answering(200, token), { key, cert })
    const told = await failure(client([server.url]).obtainToken(body, quiet()))
    expect(told).toMatchObject({ class: 'transport', retryAfterMs: 60_000, facts: { tls: true } })
    expect(server.received).toEqual([])
  })

  it('is verified against the configured authority', async () => {
    const { key, cert } = selfSigned()
    const server = await peer(answering(200, token), { key, cert })
    await expect(client([server.url], new FakeClock(), { ca: cert }).obtainToken(body, quiet())).resolves.toBe(token)
  })

  it('of another host is refused', async () => {
    const { key, cert } = selfSigned('127.0.0.2')
    const server = await peer(answering(200, token), { key, cert })
    const told = await failure(client([server.url], new FakeClock(), { ca: cert }).obtainToken(body, quiet()))
    expect(told).toMatchObject({ facts: { tls: true, network_code: 'ERR_TLS_CERT_ALTNAME_INVALID' } })
  })
})
