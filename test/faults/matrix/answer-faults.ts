import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { encodePem } from '../../../src/base/pki/pem.ts'
import { makeSelfIssuedCertificate } from '../../../src/base/pki/self-issued-certificate.ts'
import { createAttestationClient } from '../../../src/passport/remote/attestation-client.ts'
import { createAttestationTransport } from '../../../src/passport/remote/undici-transport.ts'
import { SystemClock } from '../../../src/platform/system-clock.ts'
import { tokenRequest } from '../../support/fake-token-source.ts'
import type { Probe, SimulatedFault } from './fault.ts'
import { FaultRoom } from './fault-room.ts'
import { type ScriptedAnswer, ScriptedIssuer } from './scripted-issuer.ts'

const rp = tokenRequest()

/** The refresh of a valid token meets `answer`, and meets it again when it comes back: gives the pause between, in ms. */
async function pauseAfter(probe: Probe, answer: ScriptedAnswer | Error): Promise<number> {
  const issuers: ScriptedIssuer[] = []
  const makeSource: ConstructorParameters<typeof FaultRoom>[1] = {
    warm: [rp],
    makeSource: (clock, about) => {
      const made = new ScriptedIssuer(clock, about)
      issuers.push(made)
      return made
    },
  }
  const room = new FaultRoom(probe, makeSource).keepFresh()
  const [issuer] = issuers
  if (issuer === undefined) throw new TypeError('no issuer was made')
  await room.clock.advance(2_500)
  issuer.answer = answer
  const before = issuer.posts
  room.broker.invalidate({ all: true, hard: false })
  while (issuer.posts === before) await room.clock.advance(250)
  const [from, posts] = [room.clock.monotonic(), issuer.posts]
  for (let waited = 0; issuer.posts === posts && waited < 400_000; waited += 250) await room.clock.advance(250)
  const pause = room.clock.monotonic() - from
  const kept = await room.read()
  probe.expect(kept.served !== undefined, `${JSON.stringify(answer)}: the valid token was not kept`)
  await room.stop()
  return pause
}

/** The clock goes in quarters of a second. */
const between = (ms: number, least: number, most: number) => ms >= least - 500 && ms <= most + 500

async function requirePause(probe: Probe, answer: ScriptedAnswer | Error, least: number, most: number): Promise<void> {
  const pause = await pauseAfter(probe, answer)
  probe.expect(between(pause, least, most), `${JSON.stringify(answer)}: tried again after ${pause} ms`)
}

const rarely = [240_000, Number.POSITIVE_INFINITY] as const
const byBackoff = [30_000, 60_000] as const

async function retryAfter(probe: Probe): Promise<void> {
  const date = new Date(Date.UTC(2026, 0, 1) + 60_000).toUTCString()
  const busy = (header: string) => ({ status: 429, retryAfter: header })
  await requirePause(probe, busy('30'), 30_000, 30_000)
  await requirePause(probe, busy('3600'), 120_000, 120_000)
  await requirePause(probe, busy(date), 50_000, 60_000)
  await requirePause(probe, busy('soon'), ...byBackoff)
}

const problem = (status: number, code: string, retryable?: boolean): ScriptedAnswer => ({
  status,
  contentType: 'application/problem+json',
  body: JSON.stringify({ status, code, ...(retryable === undefined ? {} : { retryable }) }),
})

async function classes(probe: Probe): Promise<void> {
  for (const status of [408, 425, 500, 502, 503, 504]) await requirePause(probe, { status }, ...byBackoff)
  await requirePause(probe, problem(503, 'AS.SERVICE.OVERLOADED', true), ...byBackoff)
  await requirePause(probe, problem(503, 'AS.SERVICE.OVERLOADED', false), ...rarely)
  for (const status of [302, 400, 404, 418]) await requirePause(probe, { status }, ...rarely)
  await requirePause(probe, { status: 200, contentType: 'text/html', body: '<html>sign in</html>' }, ...rarely)
}

type Act = (socket: net.Socket) => void

interface Told {
  readonly code: string
  readonly network: string
  readonly ms: number
}

/** What the client of remote verifiers makes of a peer that speaks in bytes. */
async function askPeer(act: Act, secure?: tls.TlsOptions): Promise<Told> {
  const sockets = new Set<net.Socket>()
  const take = (socket: net.Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('data', () => act(socket))
  }
  const server = secure === undefined ? net.createServer(take) : tls.createServer(secure, take)
  server.on('tlsClientError', () => undefined)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as net.AddressInfo
  try {
    return await askUrl(`${secure ? 'https' : 'http'}://127.0.0.1:${port}/`)
  } finally {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
}

async function askUrl(url: string): Promise<Told> {
  const transport = createAttestationTransport({ connectMs: 400, headersMs: 400 })
  const client = createAttestationClient({
    ...{ endpoints: [new URL(url)], transport, clock: new SystemClock(null), exchangeMs: 700 },
  })
  const begun = performance.now()
  try {
    await client.obtainToken(new Uint8Array(2), new AbortController().signal)
    return { code: 'a token', network: '', ms: performance.now() - begun }
  } catch (error) {
    const { code, facts } = error as { code: string; facts: Record<string, unknown> }
    return { code, network: String(facts['network_code'] ?? ''), ms: performance.now() - begun }
  }
}

function drip(socket: net.Socket, first: string): void {
  socket.write(first)
  const timer = setInterval(() => (socket.writable ? socket.write('x') : clearInterval(timer)), 50)
  socket.once('close', () => clearInterval(timer))
}

const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/jwt\r\n'
const brokenPeers: Readonly<Record<string, Act>> = {
  reset: (socket) => void socket.resetAndDestroy(),
  'truncated body': (socket) => void socket.end(`${head}content-length: 100\r\n\r\neyJ`),
  'oversize body': (socket) => void socket.write(`${head}content-length: 2000000\r\n\r\n${'a'.repeat(2_000_000)}`),
  'slow-drip head': (socket) => drip(socket, 'HTTP/1.1 200 OK'),
  'slow-drip body': (socket) => drip(socket, `${head}content-length: 1000\r\n\r\n`),
  silence: () => undefined,
}

async function brokenAnswers(probe: Probe): Promise<void> {
  for (const status of [500, 502, 503, 504]) await requirePause(probe, { status }, ...byBackoff)
  for (const [name, act] of Object.entries(brokenPeers)) {
    const { code, ms } = await askPeer(act)
    probe.expect(code === 'issuer_unavailable', `${name}: ${code}`)
    probe.expect(ms < 5_000, `${name}: ${Math.round(ms)} ms`)
  }
}

/** A server that nobody but itself vouches for. */
function untrusted(): tls.TlsOptions {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const certificate = makeSelfIssuedCertificate('127.0.0.1', privateKey)
  return { key: privateKey.export({ format: 'pem', type: 'pkcs8' }), cert: encodePem(certificate, 'CERTIFICATE') }
}

async function networks(probe: Probe): Promise<void> {
  const unnamed = await askUrl('http://issuer.invalid:1/')
  probe.expect(unnamed.code === 'issuer_unavailable', `a name that does not resolve: ${unnamed.code}`)
  const { code, network } = await askPeer(() => undefined, untrusted())
  probe.expect(code === 'issuer_unavailable' && network !== '', `certificate: ${code} ${network}`)
  const expired = Object.assign(new Error('expired'), { code: 'CERT_HAS_EXPIRED' })
  await requirePause(probe, expired, 60_000, Number.POSITIVE_INFINITY)
}

export const answerFaults: readonly SimulatedFault[] = [
  {
    id: 'F03',
    fault: '429 with `Retry-After`',
    done: '30: honoured; 3600: 120 s; a date: honoured; garbage: backoff; the valid token is kept',
    run: retryAfter,
  },
  {
    id: 'F04',
    fault: '5xx, reset, truncated, oversize, slow-drip',
    done: '500, 502, 503, 504 tried again by backoff; real peers that reset, cut, flood, drip head or body, or are silent: unavailable within the limits of the exchange',
    run: brokenAnswers,
  },
  {
    id: 'F05',
    fault: 'problem+json retryable true/false, unknown 4xx, 3xx',
    done: '5xx, 408, 425: backoff; 302, 400, 404, 418, a sign-in page, 503 with `retryable: false`: one attempt in 4 min or more; the valid token is kept',
    run: classes,
  },
  {
    id: 'F06',
    fault: '401 challenge invalid',
    done: 'always: misconfiguration, one attempt in 4 min or more, the valid token is kept',
    notRun: 'once, with a new challenge: no dialect of this version has challenges of the service',
    run: (probe) => requirePause(probe, problem(401, 'AS.CHALLENGE.INVALID_TOKEN'), ...rarely),
  },
  {
    id: 'F29',
    fault: 'DNS wrong, TLS certificate, proxy',
    done: 'a name that does not resolve, an untrusted and an expired certificate: unavailable, the latter tried again after a minute or more',
    notRun: 'IPv6 black hole and slow DNS need a network of their own; proxies cannot be configured in this version',
    run: networks,
  },
]
