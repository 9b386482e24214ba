import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { canChangeUser } from '../../test/support/unix-caller.ts'
import { openRoom } from '../../test/support/workload-room.ts'
import { AttestdError } from '../base/errors.ts'
import { createClient } from './index.ts'
import { processClock } from './process-clock.ts'
import { askSocket, openSocketPool, type SocketRequest } from './socket-request.ts'

const audience = 'https://a.example'
const clock = { ...processClock, boottime: () => performance.now() }

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-client-'))
  chmodSync(folder, 0o755)
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return folder
}

/** A server that says `text` to whoever has sent something, and counts its connections. */
async function saying(text: string, then: 'end' | 'stay' = 'end') {
  const socket = join(newFolder(), 's')
  const seen = { connections: 0 }
  const server = net.createServer((peer) => {
    seen.connections++
    peer.on('error', () => undefined)
    peer.on('data', () => (then === 'end' ? peer.end(text) : peer.write(text)))
  })
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  onTestFinished(() => void server.close())
  return { socket, seen }
}

const get = (socket: string, more: Partial<SocketRequest> = {}): SocketRequest => ({
  socket,
  method: 'GET',
  path: '/livez',
  timeoutMs: 5000,
  ...more,
})

const failure = async (promise: Promise<unknown>) => {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (!(error instanceof AttestdError)) throw error ?? new Error('no error')
  return error
}

const head = (fields: string) => `HTTP/1.1 200 OK\r\n${fields}\r\n\r\n`

describe('a client of a real server', () => {
  it('keeps one connection for many requests', async () => {
    const room = await openRoom({ clock })
    const client = createClient({ socket: room.path })
    onTestFinished(() => client.close())
    for (let n = 0; n < 20; n++) await client.fetchToken({ audience, fresh: n < 3 })
    await client.fetchToken({ audience: 'urn:x:1' })
    expect(room.identifier.identified).toBe(1)
  })

  it('goes on when the server ends a connection by its age in requests (API-24)', async () => {
    const room = await openRoom({ clock, limits: { connectionRequests: 3 } })
    const client = createClient({ socket: room.path })
    onTestFinished(() => client.close())
    for (let n = 0; n < 10; n++) await client.fetchToken({ audience: `urn:x:${n}` })
    expect(room.provider.asked).toHaveLength(10)
    expect(room.identifier.identified).toBe(4)
  })

  it('has at most four connections open', async () => {
    const room = await openRoom({ clock })
    const client = createClient({ socket: room.path })
    onTestFinished(() => client.close())
    await Promise.all(Array.from({ length: 40 }, (_, n) => client.fetchToken({ audience: `urn:x:${n}` })))
    expect(room.identifier.identified).toBeLessThanOrEqual(4)
  })

  it('names the request as the log of the agent does', async () => {
    const room = await openRoom({ clock })
    const client = createClient({ socket: room.path })
    onTestFinished(() => client.close())
    const error = await failure(client.fetchToken({ audience: 'https://b.example' }))
    expect(error).toMatchObject({ code: 'policy_denied', retryable: false, facts: { dimension: 'audience' } })
    expect(error.facts['request_id']).toMatch(/^[a-z2-7]{26}$/)
    expect(room.log.lines.join('\n')).toContain(String(error.facts['request_id']))
  })

  it('ends the wait at the agent when its caller gives up (API-34)', async () => {
    const room = await openRoom({ clock })
    const client = createClient({ socket: room.path })
    onTestFinished(() => client.close())
    const asked = new Promise<AbortSignal>((resolve) => {
      room.provider.answer = (_, signal) => {
        resolve(signal)
        return new Promise(() => undefined)
      }
    })
    const giving = new AbortController()
    const call = client.fetchToken({ audience, signal: giving.signal }).catch((reason: unknown) => reason)
    const signal = await asked
    giving.abort('enough')
    expect(await call).toBe('enough')
    if (!signal.aborted) await once(signal, 'abort')
  })
})

describe('a socket', () => {
  it('that is not there says how to get one', async () => {
    const error = await failure(askSocket(get(join(newFolder(), 'api.sock')), null))
    expect(error).toMatchObject({ code: 'AGENT_NOT_REACHED', retryable: true, exitCode: 75 })
    expect(error.message).toMatch(/api\.sock: ENOENT$/)
    expect(error.remedy).toContain('mount the folder')
  })

  it('on which nobody listens says so', async () => {
    const path = join(newFolder(), 'api.sock')
    const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
    await once(spawn(process.execPath, ['-e', script], { stdio: 'ignore' }), 'exit')
    const error = await failure(askSocket(get(path), null))
    expect([error.code, error.message]).toEqual(['AGENT_NOT_REACHED', `${path}: ECONNREFUSED`])
  })

  it('that is a file, a path that is too long: AGENT_NOT_REACHED', async () => {
    const file = join(newFolder(), 'file')
    writeFileSync(file, '')
    expect((await failure(askSocket(get(file), null))).code).toBe('AGENT_NOT_REACHED')
    expect((await failure(askSocket(get(`/${'a'.repeat(200)}`), null))).code).toBe('AGENT_NOT_REACHED')
  })

  it.skipIf(!canChangeUser)('that the user may not open names the group that helps', async () => {
    const room = await openRoom({ clock })
    chmodSync(room.path, 0o660)
    chmodSync(join(room.path, '..'), 0o755)
    const index = join(import.meta.dirname, '../../dist/src/client/index.js')
    const script = `process.setgroups([]); process.setgid(60017); process.setuid(60017)
      import(${JSON.stringify(index)}).then((client) => client.createClient({ socket: ${JSON.stringify(room.path)} }).fetchToken())
        .catch(({ code, retryable, remedy, exitCode }) => console.log(JSON.stringify({ code, retryable, remedy, exitCode })))`
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [out] = await once(child.stdout, 'data')
    expect(JSON.parse(String(out))).toEqual({
      code: 'SOCKET_FORBIDDEN',
      retryable: false,
      exitCode: 77,
      remedy: expect.stringContaining('SupplementaryGroups=attest-clients'),
    })
  })
})

describe('an answer', () => {
  it.each([
    ['is no HTTP', 'SSH-2.0-OpenSSH_9.9\r\n', 'AGENT_ANSWER'],
    ['is a head without end', 'HTTP/1.1 200 OK\r\n', 'AGENT_NOT_REACHED'],
    ['has too long a head', head(`x: ${'a'.repeat(20_000)}`), 'AGENT_ANSWER'],
    ['is shorter than it says', `${head('content-length: 10')}123`, 'AGENT_NOT_REACHED'],
    ['is nothing', '', 'AGENT_NOT_REACHED'],
  ])('that %s is %s', async (_, text, code) => {
    const { socket } = await saying(text)
    expect((await failure(askSocket(get(socket), null))).code).toBe(code)
  })

  it('is taken up to its longest, and not a byte more, whatever length it names', async () => {
    const whole = await saying(`${head('connection: close')}${'a'.repeat(1000)}`)
    expect((await askSocket(get(whole.socket, { longestBody: 1000 }), null)).body).toHaveLength(1000)
    const error = await failure(askSocket(get(whole.socket, { longestBody: 999 }), null))
    expect(error.message).toBe('the answer is longer than 999 bytes')
    const endless = await saying(`${head('connection: close')}${'a'.repeat(5000)}`, 'stay')
    expect((await failure(askSocket(get(endless.socket, { longestBody: 999 }), null))).code).toBe('AGENT_ANSWER')
  })

  it.each([
    ['that never begins', ''],
    ['that never ends', `${head('content-length: 10')}1`],
  ])('%s is waited for no longer than was granted', async (_, text) => {
    const { socket } = await saying(text, 'stay')
    const error = await failure(askSocket(get(socket, { timeoutMs: 50 }), null))
    expect([error.code, error.retryable]).toEqual(['AGENT_TOO_SLOW', true])
  })

  it('that never ends is left when the signal says so', async () => {
    const { socket } = await saying(`${head('content-length: 10')}1`, 'stay')
    const giving = new AbortController()
    setTimeout(() => giving.abort('enough'), 20)
    await expect(askSocket(get(socket, { signal: giving.signal }), null)).rejects.toBe('enough')
  })

  it('is not asked for again where a new connection was cut: the request may have been carried out', async () => {
    const socket = join(newFolder(), 's')
    let connections = 0
    const server = net.createServer((peer) => {
      connections++
      peer.on('error', () => undefined)
      peer.on('data', () => peer.destroy())
    })
    await new Promise<void>((resolve) => server.listen(socket, resolve))
    onTestFinished(() => void server.close())
    const pool = openSocketPool()
    onTestFinished(() => pool.close())
    expect((await failure(askSocket(get(socket), pool))).code).toBe('AGENT_NOT_REACHED')
    expect(connections).toBe(1)
  })

  it('is asked for once more where a kept connection turns out to be closed', async () => {
    const socket = join(newFolder(), 's')
    let connections = 0
    const server = net.createServer((peer) => {
      let requests = 0
      connections++
      peer.on('error', () => undefined)
      peer.on('data', () => {
        if (++requests > 1) peer.destroy()
        else peer.write(`${head('content-length: 2')}ok`)
      })
    })
    await new Promise<void>((resolve) => server.listen(socket, resolve))
    onTestFinished(() => void server.close())
    const pool = openSocketPool()
    onTestFinished(() => pool.close())
    for (let n = 0; n < 3; n++) expect((await askSocket(get(socket), pool)).body).toBe('ok')
    expect(connections).toBe(3)
  })
})

describe('a process', () => {
  it('ends by itself with a kept connection open, and finds the socket in ATTESTD_SOCKET', async () => {
    const room = await openRoom({ clock })
    const index = join(import.meta.dirname, '../../dist/src/client/index.js')
    const script = `import(${JSON.stringify(index)}).then(async ({ fetchToken }) => {
      const [one, two] = await Promise.all([fetchToken({ audience: '${audience}' }), fetchToken({ audience: '${audience}' })])
      console.log(one === two && one.token.split('.').length)
    })`
    const env = { ...process.env, ATTESTD_SOCKET: room.path }
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'], env })
    const [out] = await once(child.stdout, 'data')
    const [code] = await once(child, 'exit')
    expect([String(out), code, room.provider.asked.length]).toEqual(['3\n', 0, 1])
  })
})
