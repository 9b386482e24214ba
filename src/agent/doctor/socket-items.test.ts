import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { socketItems } from './socket-items.ts'

const isRoot = process.getuid?.() === 0
const canMount = isRoot && spawnSync('unshare', ['-m', 'true']).status === 0
let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'attestd-sockets-'))
  chmodSync(folder, 0o755)
  path = join(folder, 'looked-at.sock')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function listen(): Promise<Server> {
  const server = createServer().listen(path)
  await once(server, 'listening')
  return server
}

const close = (server: Server) => new Promise((resolve) => server.close(resolve))
const states = async () => (await socketItems('socket.api', path)).map(({ id, state }) => `${id} ${state}`)

describe.skipIf(!isRoot)('the directory of a socket of root (API-08)', () => {
  it.each<[string, () => void, readonly string[]]>([
    ['of root alone', () => undefined, []],
    ['that a group may write', () => chmodSync(folder, 0o775), ['socket.api.directory problem']],
    ['that everybody may write', () => chmodSync(folder, 0o757), ['socket.api.directory problem']],
    ['of another user', () => chownSync(folder, 65_532, 0), ['socket.api.directory problem']],
    ['of another user, as the socket is', () => void [folder, path].map((one) => chownSync(one, 65_532, 0)), []],
  ])('%s', async (_, change, more) => {
    const server = await listen()
    change()
    expect(await states()).toEqual(['socket.api ok', ...more])
    await close(server)
  })
})

describe.skipIf(!canMount)('a socket that is mounted by itself (API-07)', () => {
  /** A process with mounts of its own, as in a container. */
  async function mounted(what: string, place: string): Promise<ChildProcess> {
    const script = `mount --bind '${what}' '${place}' && echo there && exec sleep 60`
    const child = spawn('unshare', ['-m', 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout ?? child, 'data')
    return child
  }

  async function gone(child: ChildProcess): Promise<void> {
    child.kill('SIGKILL')
    await once(child, 'close')
  }

  it('is warned of, and once it was made anew as one that leads to nobody', async () => {
    const place = join(folder, 'in-container.sock')
    writeFileSync(place, '')
    const first = await listen()
    const child = await mounted(path, place)
    const said = async () => (await socketItems('socket.api', path))[1]
    expect(await said()).toMatchObject({ state: 'warning', says: expect.stringContaining('it will lead to nobody') })
    await close(first)
    const second = await listen()
    expect(await said()).toMatchObject({
      id: 'socket.api.mount',
      says: `${path} is mounted by itself at ${place}, as process ${child.pid} sees it, and is not the socket that is there now`,
      remedy: expect.stringContaining(folder),
    })
    await gone(child)
    expect(await said()).toBeUndefined()
    await close(second)
  })

  it('is not warned of where its directory is mounted', async () => {
    const server = await listen()
    const other = mkdtempSync(join(tmpdir(), 'attestd-other-'))
    const child = await mounted(folder, other)
    expect(await states()).toEqual(['socket.api ok'])
    await gone(child)
    await close(server)
    rmSync(other, { recursive: true, force: true })
  })
})
