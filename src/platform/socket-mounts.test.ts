import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { findSocketMounts } from './socket-mounts.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-mounts-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const path = join(folder, 'probe-api.sock')
const canMount = spawnSync('unshare', ['-m', 'true']).status === 0

async function listen(): Promise<Server> {
  const server = createServer().listen(path)
  await once(server, 'listening')
  return server
}

const close = (server: Server) => new Promise((resolve) => server.close(resolve))

/** A process with mounts of its own, in which the socket lies at another place, as in a container. */
async function mounted(place: string): Promise<ChildProcess> {
  writeFileSync(place, '')
  const script = `mount --bind '${path}' '${place}' && echo there && exec sleep 60`
  const child = spawn('unshare', ['-m', 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout ?? child, 'data')
  return child
}

describe.skipIf(!canMount)('a socket that is mounted by itself (API-07)', () => {
  it('is found, and is stale once the socket was made anew', async () => {
    const place = join(folder, 'in-container.sock')
    const first = await listen()
    expect(await findSocketMounts(path)).toEqual([])
    const child = await mounted(place)
    try {
      expect(await findSocketMounts(path)).toEqual([{ pid: child.pid, place, stale: false }])
      await close(first)
      const second = await listen()
      expect(await findSocketMounts(path)).toEqual([{ pid: child.pid, place, stale: true }])
      await close(second)
      expect(await findSocketMounts(path)).toEqual([{ pid: child.pid, place, stale: true }])
    } finally {
      child.kill('SIGKILL')
      await once(child, 'close')
    }
    expect(await findSocketMounts(path)).toEqual([])
  })

  it('is not one whose directory is mounted', async () => {
    const server = await listen()
    const script = `mount --bind '${folder}' /mnt && echo there && exec sleep 60`
    const child = spawn('unshare', ['-m', 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout ?? child, 'data')
    expect(await findSocketMounts(path)).toEqual([])
    child.kill('SIGKILL')
    await once(child, 'close')
    await close(server)
  })
})
