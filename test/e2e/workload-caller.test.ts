import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync } from 'node:fs'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openPeerCredentials } from '../../src/platform/peer-credentials.ts'
import { SystemClock } from '../../src/platform/system-clock.ts'
import { FakeProvider, LogLines, listenOn, policyFrom, request, tokenSettings } from '../support/workload-room.ts'

const credentials = openPeerCredentials()
const ourselves = process.geteuid?.() ?? -1

/** The API with the kernel's word for who is calling, and a provider that answers when it is let. */
async function openApi() {
  const clock = new SystemClock(null)
  const provider = new FakeProvider(clock)
  const allow = { methods: ['token', 'explain'], audiences: ['https://a.example'] }
  const path = await listenOn({
    listener: 'api',
    identifier: credentials,
    provider,
    clock,
    policy: policyFrom([{ id: 'us', match: { uid: ourselves }, allow }]),
    tokens: () => tokenSettings,
    jwks: async () => ({ keys: [] }),
    readiness: () => ({ ready: true, reasons: [] }),
    random: (size) => new Uint8Array(randomBytes(size)),
    log: new LogLines(),
  })
  return { path, provider }
}

function run(script: string, ...args: string[]): { child: ChildProcess; lines: AsyncIterator<string> } {
  const child = spawn(process.execPath, ['-e', script, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  if (!child.stdout) throw new Error('no standard output')
  return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() }
}

const next = async (lines: AsyncIterator<string>) => (await lines.next()).value as string

const ask = JSON.stringify(request('GET', '/v1/token'))

/** Prints the status of each answer that arrives on `socket`. */
const printing = `socket.on('error', () => {})
socket.on('data', (data) => {
  for (const [, status] of String(data).matchAll(/HTTP\\/1\\.1 (\\d+)/g)) console.log(status)
})
socket.on('close', () => { console.log('closed'); process.exit() })`

const caller = `const socket = require('node:net').connect(process.argv[1]);
${printing}
socket.write(${ask})`

/** Holds the connection of its parent as descriptor 3, and asks once while the parent lives. */
const heir = `const socket = new (require('node:net').Socket)({ fd: 3, readable: true, writable: true })
const parent = Number(process.argv[1])
${printing}
socket.write(${ask})`

/** Asks once more after the parent's end. */
const persistentHeir = `${heir}
const watch = setInterval(() => {
  try { process.kill(parent, 0) } catch { clearInterval(watch); socket.write(${ask}) }
}, 5)`

/** Connects, never reads, leaves the connection to a child of its own, and ends when its standard input does. */
const testator = `const socket = require('node:net').connect(process.argv[1]).pause()
socket.on('connect', () => {
  require('node:child_process').spawn(process.execPath, ['-e', process.argv[2], String(process.pid)], {
    stdio: ['ignore', 'inherit', 'inherit', socket], detached: true,
  })
  process.stdin.on('end', () => process.exit()).resume()
})`

describe.skipIf(credentials.identity === 'socket')('callers that the kernel names', () => {
  it('a process of ours gets its token', async () => {
    const { path, provider } = await openApi()
    const { lines } = run(caller, path)
    expect(await next(lines)).toBe('200')
    expect(provider.asked[0]?.demand.caller).toMatch(/^(?:unit:.|uid:)/)
  })

  it('a process that is killed while it waits ends its waiter', async () => {
    const { path, provider } = await openApi()
    const aborted = new Promise<void>((resolve) => {
      provider.answer = (_, signal) => {
        signal.addEventListener('abort', () => resolve())
        child.kill('SIGKILL')
        return new Promise(() => undefined)
      }
    })
    const { child } = run(caller, path)
    await aborted
    expect(provider.asked).toHaveLength(1)
  })

  it('a connection that was handed on is good while who connected lives, and dies with it (API-47)', async () => {
    const { path, provider } = await openApi()
    const { child, lines } = run(testator, path, persistentHeir)
    expect(await next(lines)).toBe('200')
    child.stdin?.end()
    expect(await next(lines)).toBe('401')
    expect(await next(lines)).toBe('closed')
    expect(provider.asked).toHaveLength(1)
  })

  it('who connected may end while its heir waits: no token is written', async () => {
    const { path, provider } = await openApi()
    let release: () => void = () => undefined
    const asked = new Promise<void>((resolve) => {
      provider.answer = () =>
        new Promise((done) => {
          release = () => done({})
          resolve()
        })
    })
    const { child, lines } = run(testator, path, heir)
    await asked
    child.stdin?.end()
    await once(child, 'exit')
    release()
    expect(await next(lines)).toBe('401')
  })

  it.skipIf(ourselves !== 0)('another user gets nothing', async () => {
    const { path, provider } = await openApi()
    chmodSync(dirname(path), 0o755)
    chmodSync(path, 0o777)
    const script = `process.setgroups([]); process.setgid(4243); process.setuid(4242); ${caller}`
    const { lines } = run(script, path)
    expect(await next(lines)).toBe('403')
    expect(provider.asked).toEqual([])
  })
})
