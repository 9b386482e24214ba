import { once } from 'node:events'
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createConnection, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openLibrary } from '../../native/ffi.ts'
import { loadLibc, socketConstants } from '../../native/libc.ts'
import { bindReceiver } from '../../test/support/datagram-receiver.ts'
import { notifyAddress } from './service-manager.ts'
import { listenUnix } from './unix-listener.ts'

const libc = loadLibc()
let folder = ''
let path = ''
const servers: Server[] = []
const server = () => {
  const made = createServer((socket) => socket.on('error', () => undefined).end('hello'))
  servers.push(made)
  return made
}
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'attestd-listen-'))
  path = join(folder, 'api.sock')
})
afterEach(() => {
  for (const made of servers.splice(0)) made.close()
  rmSync(folder, { recursive: true, force: true })
})

const greeting = async () => String((await once(createConnection(path), 'data'))[0])

/** Leaves a socket behind that nobody listens on, as a process that was killed does. */
function leaveDeadSocket(): void {
  const bind = openLibrary(null).bind('bind', 'i32', ['i32', 'buffer', 'u32'])
  const fd = libc.socket(socketConstants.AF_UNIX, socketConstants.SOCK_STREAM, 0).value
  const address = notifyAddress(path) ?? new Uint8Array()
  bind(fd, address, address.length)
  libc.close(fd)
}

describe('binding (API-05)', () => {
  it.each([0o660, 0o600] as const)(
    'gives the socket mode %o from its first moment, whatever the umask',
    async (mode) => {
      const before = process.umask(0)
      const made = server()
      let seen = 0
      const listen = made.listen.bind(made)
      // Looked at in the very call that binds: a mode that is corrected later would show here.
      made.listen = ((...values: unknown[]) => {
        const result = (listen as (...all: unknown[]) => Server)(...values)
        seen = statSync(path).mode & 0o777
        return result
      }) as typeof made.listen
      await listenUnix(made, path, mode)
      expect([seen, statSync(path).mode & 0o777, process.umask(before)]).toEqual([mode, mode, 0])
      expect(await greeting()).toBe('hello')
    },
  )

  it('puts the umask back when binding fails, and says why', async () => {
    const before = process.umask()
    await expect(listenUnix(server(), join(folder, 'none', 'api.sock'), 0o660)).rejects.toMatchObject({
      code: 'SOCKET_PATH',
      exitCode: 78,
    })
    expect(process.umask()).toBe(before)
  })

  it('a closed server removes its path', async () => {
    const made = server()
    await listenUnix(made, path, 0o600)
    made.close()
    await once(made, 'close')
    expect(existsSync(path)).toBe(false)
  })
})

describe('what is there already (API-06)', () => {
  it('a dead socket of ours is replaced', async () => {
    leaveDeadSocket()
    await listenUnix(server(), path, 0o600)
    expect(await greeting()).toBe('hello')
  })

  it('a live one is left alone', async () => {
    await listenUnix(server(), path, 0o600)
    const { ino } = statSync(path)
    await expect(listenUnix(server(), path, 0o600)).rejects.toMatchObject({ code: 'SOCKET_IN_USE' })
    expect([statSync(path).ino, await greeting()]).toEqual([ino, 'hello'])
  })

  it.skipIf(process.getuid?.() !== 0)('a dead socket of another user is left alone', async () => {
    leaveDeadSocket()
    chownSync(path, 30_001, 30_001)
    await expect(listenUnix(server(), path, 0o600)).rejects.toMatchObject({ code: 'SOCKET_PATH' })
    expect(existsSync(path)).toBe(true)
  })

  it.each([
    ['a file', () => writeFileSync(path, 'precious')],
    ['a folder', () => mkdirSync(path)],
    [
      'a symbolic link to a file',
      () => {
        writeFileSync(join(folder, 'precious'), 'precious')
        symlinkSync(join(folder, 'precious'), path)
      },
    ],
    ['a dangling symbolic link', () => symlinkSync(join(folder, 'nowhere'), path)],
  ])('%s is left alone', async (_what, prepare) => {
    prepare()
    await expect(listenUnix(server(), path, 0o600)).rejects.toMatchObject({ code: 'SOCKET_PATH', facts: { path } })
    if (existsSync(join(folder, 'precious'))) expect(readFileSync(join(folder, 'precious'), 'latin1')).toBe('precious')
  })

  it('a datagram socket that somebody reads is left alone', async () => {
    const receiver = bindReceiver(notifyAddress(path) ?? new Uint8Array())
    await expect(listenUnix(server(), path, 0o600)).rejects.toMatchObject({ code: 'SOCKET_PATH' })
    expect(existsSync(path)).toBe(true)
    receiver.close()
  })
})
