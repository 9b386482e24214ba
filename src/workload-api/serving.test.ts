import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FakeClock, settled } from '../../test/support/fake-clock.ts'
import { RawClient, rawRequest } from '../../test/support/raw-http.ts'
import {
  FakeIdentifier,
  FakeProvider,
  LogLines,
  openRules,
  policyFrom,
  request,
  tokenSettings,
} from '../../test/support/workload-room.ts'
import { TokenBuckets } from '../base/token-buckets.ts'
import { ConnectionLedger } from './connection-ledger.ts'
import { createHttpServer } from './http-server.ts'
import { defaultLimits } from './limits.ts'
import { probeRoutes } from './probe-routes.ts'
import { encodeProblem } from './problem.ts'
import { RateLimits } from './rate-limits.ts'
import { type ApiListenerOptions, serveWorkloads } from './workload-server.ts'

const probe = request('GET', '/livez')
const token = request('GET', '/v1/token')
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'attestd-serve-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function options() {
  const clock = new FakeClock()
  const provider = new FakeProvider(clock)
  const identifier = new FakeIdentifier()
  const all: ApiListenerOptions = {
    listener: 'api',
    identifier,
    provider,
    clock,
    policy: policyFrom(openRules),
    tokens: () => tokenSettings,
    jwks: async () => ({ keys: [] }),
    readiness: () => ({ ready: true, reasons: [] }),
    random: (size) => new Uint8Array(randomBytes(size)),
    log: new LogLines(),
  }
  return { all, clock, provider, identifier }
}

const listenAt = (path: string) => (server: Server) => new Promise<void>((resolve) => server.listen(path, resolve))

async function serving() {
  const room = options()
  const path = join(folder, 'api.sock')
  const stop = new AbortController()
  let listening: () => void = () => undefined
  const up = new Promise<void>((resolve) => {
    listening = resolve
  })
  const task = serveWorkloads(room.all, async (server) => {
    await listenAt(path)(server)
    listening()
  })
  const ended = task(stop.signal)
  await up
  return { ...room, path, stop: () => stop.abort(), ended }
}

describe('serving until told to stop', () => {
  it('ends idle connections at once and takes no new ones', async () => {
    const { path, stop, ended, clock } = await serving()
    const [quiet, used] = [new RawClient(path), new RawClient(path).write(probe)]
    await used.answers(1)
    stop()
    await Promise.all([quiet.closed, used.closed, ended])
    expect(clock.sleeping).toBe(0)
    const late = new RawClient(path)
    await late.closed
    expect(late.received).toBe('')
  })

  it('answers what is running, and closes with that answer', async () => {
    const { path, stop, ended, provider } = await serving()
    let release: () => void = () => undefined
    provider.answer = () => new Promise((resolve) => (release = () => resolve({})))
    const client = new RawClient(path).write(token)
    while (provider.asked.length === 0) await settled()
    stop()
    await settled()
    expect(client.received).toBe('')
    client.write(probe)
    release()
    const answers = await client.restAfter(1)
    expect(answers.map(({ status, headers }) => [status, headers['connection']])).toEqual([[200, 'close']])
    await ended
  })

  it('waits 5 s for what is running and not longer', async () => {
    const { path, stop, ended, provider, clock, identifier } = await serving()
    provider.answer = () => new Promise(() => undefined)
    const client = new RawClient(path).write(token)
    while (provider.asked.length === 0) await settled()
    stop()
    await clock.advance(4_999)
    expect([client.socket.readableEnded, provider.asked[0]?.signal.aborted]).toEqual([false, false])
    await clock.advance(1)
    await Promise.all([client.closed, ended])
    expect(client.received).toBe('')
    expect(provider.asked[0]?.signal.aborted).toBe(true)
    await settled()
    expect([identifier.open, clock.sleeping]).toEqual([0, 0])
  })

  it('ends also when told to before it listens, and when it cannot listen', async () => {
    const stopped = new AbortController()
    stopped.abort()
    await serveWorkloads(options().all, listenAt(join(folder, 'a.sock')))(stopped.signal)
    const failing = serveWorkloads(options().all, async () => {
      throw new Error('cannot bind')
    })
    await expect(failing(new AbortController().signal)).rejects.toThrow('cannot bind')
  })
})

describe('a TCP listener (API-29)', () => {
  it.each([
    ['127.0.0.1', 200],
    ['127.0.0.1:8006', 200],
    ['localhost', 200],
    ['localhost:1', 200],
    ['[::1]:80', 200],
    ['evil.example', 421],
    ['localhost.evil.example', 421],
    ['127.0.0.1.evil.example:80', 421],
    ['127.0.0.2', 421],
    ['', 421],
    ['localhost:', 421],
    ['LOCALHOST', 421],
  ])('answers to Host %j with %i', async (host, status) => {
    const path = await tcpLike()
    expect((await rawRequest(path, request('GET', '/livez', [`Host: ${host}`]))).status).toBe(status)
  })

  it('demands exactly one Host', async () => {
    const path = await tcpLike()
    expect((await rawRequest(path, probe)).status).toBe(421)
    const twice = await rawRequest(path, request('GET', '/livez', ['Host: localhost', 'Host: localhost']))
    expect([twice.status, JSON.parse(twice.body).code]).toEqual([421, 'misdirected'])
  })

  /** The class of the listener decides, not what it is bound to. */
  async function tcpLike(): Promise<string> {
    const path = join(folder, 'tcp.sock')
    const clock = new FakeClock()
    const { server } = await createHttpServer({
      listener: 'tcp:probe',
      identifier: null,
      ledger: new ConnectionLedger(defaultLimits),
      rates: new RateLimits(new TokenBuckets(clock), defaultLimits),
      clock,
      random: (size) => new Uint8Array(randomBytes(size)),
      limits: defaultLimits,
      log: new LogLines(),
      observe: () => undefined,
      encodeError: encodeProblem,
      routes: probeRoutes(() => ({ ready: true, reasons: [] })),
      requireRate: () => undefined,
    })
    server.unref()
    await listenAt(path)(server)
    return path
  }
})
