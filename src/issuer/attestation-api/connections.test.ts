import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type RawAddress, RawClient, rawRequest } from '../../../test/support/raw-http.ts'
import { evidenceText, makeVerifierRig, type VerifierRig } from '../../../test/support/verifier-rig.ts'
import { toBase64url } from '../../base/bytes.ts'
import type { TdVerifier } from './ports.ts'
import { type ServeVerifierOptions, serveVerifier } from './verifier-server.ts'

const reportData = new Uint8Array(64).fill(3)
let rig: VerifierRig
const running: { readonly stop: AbortController; readonly ended: Promise<void> }[] = []

beforeAll(async () => {
  rig = await makeVerifierRig()
})
afterEach(async () => {
  for (const { stop, ended } of running.splice(0)) {
    stop.abort()
    await ended
  }
  rig.events.splice(0)
  rig.bugs.splice(0)
})

/** Until the test ends. */
function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-verifier-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return folder
}

const anyPort = { host: '127.0.0.1', port: 0 }

/** Serves until the test ends; gives where. */
async function serve(change: Partial<ServeVerifierOptions> = {}): Promise<RawAddress> {
  const stop = new AbortController()
  const { listen = anyPort } = change
  return new Promise((resolve, reject) => {
    const onListening = (address: string) => {
      const { hostname: host, port } = 'path' in listen ? { hostname: '', port: '' } : new URL(address)
      resolve('path' in listen ? listen.path : { host, port: Number(port) })
    }
    const ended = serveVerifier({ ...rig.options(change), listen, onListening })(stop.signal)
    ended.catch(reject)
    running.push({ stop, ended })
  })
}

function bodyOf(): string {
  const quote = rig.simulator.quote({ reportData })
  return JSON.stringify({ tee: 'tdx', evidence: evidenceText(quote), runtime_data: { raw: toBase64url(reportData) } })
}

const head = (length: number | string, more = '') =>
  `POST /v1/attestation HTTP/1.1\r\nHost: v\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n${more}\r\n`

/** A verifier that never answers, and whether it was told to stop. */
function stuck() {
  let begun = () => {}
  let aborted = () => {}
  const [hasBegun, wasAborted] = [new Promise<void>((r) => (begun = r)), new Promise<void>((r) => (aborted = r))]
  const verifier = {
    verify: (_: unknown, signal: AbortSignal) => {
      signal.addEventListener('abort', () => aborted(), { once: true })
      begun()
      return new Promise<never>(() => {})
    },
  }
  return { verifier, hasBegun, wasAborted }
}

function never(): never {
  throw new Error('nothing is served')
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

describe('a verifier that is served', () => {
  it('answers on TCP and on a Unix socket, until its signal aborts', async () => {
    const path = join(temporaryFolder(), 'v.sock')
    for (const to of [await serve(), await serve({ listen: { path } })]) {
      const body = bodyOf()
      const answer = await rawRequest(to, head(body.length) + body)
      expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/jwt'])
    }
  })

  it('does not begin where it cannot listen', async () => {
    const stop = new AbortController()
    const listen = { path: '/nowhere/at/all.sock' }
    const ended = serveVerifier({ ...rig.options(), listen })(stop.signal)
    await expect(ended).rejects.toMatchObject({ code: 'ISSUER_LISTEN_FAILED' })
  })
})

describe('a verifier that stops', () => {
  it('ends what it appraises', async () => {
    const { verifier, hasBegun, wasAborted } = stuck()
    const client = new RawClient(await serve({ verifier }))
    const body = bodyOf()
    client.write(head(body.length) + body)
    await hasBegun
    for (const { stop, ended } of running.splice(0)) {
      stop.abort()
      await ended
    }
    await wasAborted
    await client.closed
  })

  it.each([
    ['an address', false],
    ['a Unix socket', true],
  ])('answers who waits, within its grace: %s', async (_, isUnix) => {
    let goOn = () => {}
    let begun = () => {}
    const [mayGoOn, hasBegun] = [new Promise<void>((r) => (goOn = r)), new Promise<void>((r) => (begun = r))]
    const verifier: TdVerifier = {
      verify: async (request, signal) => {
        begun()
        await mayGoOn
        return rig.verifier.verify(request, signal)
      },
    }
    const listen = isUnix ? { listen: { path: join(temporaryFolder(), 'v.sock') } } : {}
    const client = new RawClient(await serve({ verifier, grace: { ms: 60_000, clock: rig.clock }, ...listen }))
    const body = bodyOf()
    client.write(head(body.length) + body)
    await hasBegun
    const [{ stop, ended } = never()] = running.splice(0)
    stop.abort()
    await new Promise((resolve) => setImmediate(resolve))
    goOn()
    expect((await client.answers(1))[0]?.status).toBe(200)
    // Its connection would be good for the next request, and must not hold the server.
    await ended
    await client.closed
  })
})

describe('a verifier that stops, within its grace', () => {
  const grace = () => ({ grace: { ms: 60_000, clock: rig.clock } })

  it('does not wait for a connection on which nothing is asked', async () => {
    const client = new RawClient(await serve(grace()))
    client.write('GET /healthz HTTP/1.1\r\nHost: v\r\n\r\n')
    await client.answers(1)
    const [{ stop, ended } = never()] = running.splice(0)
    stop.abort()
    await ended
    await client.closed
  })

  it('answers what has begun with what it would have answered', async () => {
    const client = new RawClient(await serve(grace()))
    const [text, body] = [head(2), '{}']
    client.write(text.slice(0, 20))
    const other = new RawClient(await serve(grace()))
    other.write('GET /healthz HTTP/1.1\r\nHost: v\r\n\r\n')
    // Connections are taken in their order, by each server; a beginning of a head is no answer to wait for.
    await other.answers(1)
    const stopping = running.splice(0)
    for (const { stop } of stopping) stop.abort()
    await new Promise((resolve) => setImmediate(resolve))
    client.write(text.slice(20) + body)
    expect((await client.answers(1))[0]).toMatchObject({ status: 400, headers: { connection: 'close' } })
    await Promise.all(stopping.map(({ ended }) => ended))
  })
})

describe('who hangs up', () => {
  it('stops the appraisal, and the log says so', async () => {
    const { verifier, hasBegun, wasAborted } = stuck()
    const client = new RawClient(await serve({ verifier }))
    const body = bodyOf()
    client.write(head(body.length) + body)
    await hasBegun
    client.destroy()
    await wasAborted
    await until(() => rig.events.length > 0)
    expect(rig.events).toMatchObject([{ route: '/v1/attestation', status: 499, code: null }])
    expect(rig.bugs).toEqual([])
  })

  it('in the middle of a body leaves nothing behind', async () => {
    const client = new RawClient(await serve())
    client.write(`${head(1000)}{`)
    await until(() => rig.clock.sleeping > 0)
    client.destroy()
    await until(() => rig.events.length > 0)
    await until(() => rig.clock.sleeping === 0)
    expect([rig.events.length, rig.events[0]?.status, rig.bugs]).toEqual([1, 499, []])
  })
})

describe('limits of time (SVC-42)', () => {
  it('an appraisal ends after 30 s, and the verifier hears it', async () => {
    const { verifier, hasBegun, wasAborted } = stuck()
    const client = new RawClient(await serve({ verifier }))
    const body = bodyOf()
    client.write(head(body.length) + body)
    await hasBegun
    await rig.clock.advance(29_999)
    expect(client.received).toBe('')
    await rig.clock.advance(1)
    const [answer] = await client.answers(1)
    await wasAborted
    expect([answer?.status, JSON.parse(answer?.body ?? '').code]).toEqual([503, 'AS.SERVICE.OVERLOADED'])
    expect(answer?.headers['retry-after']).toBe('5')
    client.destroy()
  })

  it('a body comes within 30 s or not at all', async () => {
    const client = new RawClient(await serve())
    client.write(`${head(1000)}{`)
    await until(() => rig.clock.sleeping > 0)
    await rig.clock.advance(30_000)
    const [answer] = await client.restAfter(1)
    expect([answer?.status, JSON.parse(answer?.body ?? '').code]).toEqual([408, 'AS.REQUEST.TIMEOUT'])
  })
})

describe('a body that is too long (SVC-40)', () => {
  it('is refused by what its header says, before it is sent', async () => {
    const client = new RawClient(await serve())
    client.write(head(4 * 1024 * 1024 + 1))
    const [answer] = await client.restAfter(1)
    expect([answer?.status, JSON.parse(answer?.body ?? '').code]).toEqual([413, 'AS.REQUEST.TOO_LARGE'])
  })

  it('is refused likewise where a challenge is asked for', async () => {
    const client = new RawClient(await serve())
    client.write('POST /challenge HTTP/1.1\r\nHost: v\r\nContent-Length: 65537\r\n\r\n')
    const [answer] = await client.restAfter(1)
    expect(answer?.status).toBe(413)
  })

  it('is counted while it is read where nothing says its length', async () => {
    const client = new RawClient(await serve())
    client.write('POST /challenge HTTP/1.1\r\nHost: v\r\nTransfer-Encoding: chunked\r\n\r\n')
    const chunk = ' '.repeat(0x8000)
    for (const _ of [1, 2, 3]) client.write(`8000\r\n${chunk}\r\n`)
    const [answer] = await client.restAfter(1)
    expect([answer?.status, JSON.parse(answer?.body ?? '').code]).toEqual([413, 'AS.REQUEST.TOO_LARGE'])
  })
})

describe('the memory for bodies', () => {
  it('is shared: who sends too much while others hold it comes again, and what has ended holds nothing', async () => {
    const to = await serve({ mostBodyBytes: 240_000, rate: { perS: 1e6, burst: 1e6 } })
    const waiting = new RawClient(to)
    waiting.write(`${head(50_000)}${' '.repeat(40_000)}`)
    const body = bodyOf().padEnd(30_000)
    const ask = () => rawRequest(to, head(body.length) + body)
    let answer = await ask()
    // Until the server has read what the other one sent.
    while (answer.status === 200) answer = await ask()
    expect([answer.status, JSON.parse(answer.body).code]).toEqual([503, 'AS.SERVICE.OVERLOADED'])
    waiting.destroy()
    await until(() => rig.events.some(({ status }) => status === 499))
    for (const _ of [1, 2, 3]) expect((await ask()).status).toBe(200)
  })
})

describe('an address', () => {
  const opened: RawClient[] = []
  afterEach(() => {
    for (const client of opened.splice(0)) client.destroy()
  })

  /** Whether one connection more than an address may have is taken. */
  async function isOneMoreTaken(trustedProxies: readonly string[]): Promise<boolean> {
    const to = await serve({ trustedProxies })
    const connect = () => {
      const client = new RawClient(to)
      opened.push(client)
      return client.write('GET /healthz HTTP/1.1\r\nHost: v\r\n\r\n')
    }
    await Promise.all(Array.from({ length: 256 }, () => connect().answers(1)))
    return connect()
      .answers(1)
      .then(
        () => true,
        () => false,
      )
  }

  it.each([
    [[], false],
    [['127.0.0.1'], true],
  ])('has 256 connections, unless it is one of these proxies: %j (SVC-43)', async (proxies, expected) => {
    expect(await isOneMoreTaken(proxies)).toBe(expected)
  })

  it('holds 32 MiB of bodies, unless the service is told otherwise', async () => {
    const to = await serve()
    const body = ' '.repeat(4 * 1024 * 1024 - 1)
    // Each waits for its last byte.
    for (let held = 0; held < 8; held++) {
      const client = new RawClient(to)
      opened.push(client.write(head(body.length + 1) + body))
    }
    const ask = () => rawRequest(to, `${head(1_000)}${' '.repeat(1_000)}`)
    let answer = await ask()
    while (answer.status === 400) {
      await rig.clock.advance(50)
      answer = await ask()
    }
    expect([answer.status, JSON.parse(answer.body).detail]).toEqual([503, expect.stringContaining('this address')])
  })
})

describe('a proxy on the Unix socket', () => {
  it.each([
    [['unix'], [200, 200, 200]],
    [[], [200, 200, 429]],
  ])('is believed if it is listed: %j (SVC-43)', async (trustedProxies, expected) => {
    const path = join(temporaryFolder(), 'v.sock')
    const to = await serve({ listen: { path }, trustedProxies, rate: { perS: 1, burst: 2 } })
    const statuses: number[] = []
    for (const last of [1, 2, 3]) {
      const forwarded = `X-Forwarded-For: 192.0.2.${last}\r\n`
      const { status } = await rawRequest(
        to,
        `POST /challenge HTTP/1.1\r\nHost: v\r\n${forwarded}Content-Length: 0\r\n\r\n`,
      )
      statuses.push(status)
    }
    expect(statuses).toEqual(expected)
  })
})

describe('what is no HTTP (ERR-01)', () => {
  it.each([
    ['nonsense', 'nonsense\r\n\r\n', 400, 'AS.REQUEST.INVALID_ARGUMENT'],
    ['two lengths', `${head(1, 'Content-Length: 2\r\n')}{`, 400, 'AS.REQUEST.INVALID_ARGUMENT'],
    ['an endless header', `GET / HTTP/1.1\r\nHost: v\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 413, 'AS.REQUEST.TOO_LARGE'],
  ])('%s is answered with a problem', async (_, text, status, code) => {
    const client = new RawClient(await serve())
    client.write(text)
    const [answer] = await client.restAfter(1)
    const problem = JSON.parse(answer?.body ?? '')
    expect([answer?.status, problem.status, problem.code]).toEqual([status, status, code])
    expect(answer?.headers['content-type']).toBe('application/problem+json')
  })
})

describe('a connection', () => {
  it('goes on after a refusal whose body was read, and ends after one whose body was not', async () => {
    const client = new RawClient(await serve())
    client.write(`${head(2)}{}`)
    await client.answers(1)
    const body = bodyOf()
    client.write(head(body.length) + body)
    const [refused, served] = await client.answers(2)
    expect([refused?.status, served?.status]).toEqual([400, 200])
    client.write('POST /nowhere HTTP/1.1\r\nHost: v\r\nContent-Length: 5\r\n\r\n')
    const last = (await client.restAfter(3)).at(-1)
    expect(last?.status).toBe(404)
  })
})
