import { once } from 'node:events'
import { chmodSync, chownSync, closeSync, existsSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openLibrary } from '../../native/ffi.ts'
import { loadLibc, socketConstants } from '../../native/libc.ts'
import { type ActivationOptions, takeActivatedSockets } from './activated-sockets.ts'
import { notifyAddress } from './service-manager.ts'

const libc = loadLibc()
const dup2 = openLibrary(null).bind('dup2', 'i32', ['i32', 'i32'])
const bind = openLibrary(null).bind('bind', 'i32', ['i32', 'buffer', 'u32'])
const listen = openLibrary(null).bind('listen', 'i32', ['i32', 'i32'])
const fcntl = openLibrary(null).bind('fcntl', 'i32', ['i32', 'i32', 'i32'])
const firstDescriptor = 700

let folder = ''
let passed: number[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'attestd-activation-'))
})
afterEach(() => {
  for (const fd of passed.splice(0)) libc.close(fd)
  rmSync(folder, { recursive: true })
})

/** Passes a descriptor as the next one of the protocol, as a service manager would: it is inherited. */
function pass(fd: number): void {
  const target = firstDescriptor + passed.length
  dup2(fd, target)
  passed.push(target)
}

/** A listening socket that only its descriptor keeps, as the service manager makes it. */
function passListener(name: string): string {
  const path = join(folder, name)
  const address = notifyAddress(path) ?? new Uint8Array()
  const fd = libc.socket(socketConstants.AF_UNIX, socketConstants.SOCK_STREAM, 0).value
  expect([bind(fd, address, address.length), listen(fd, 16)]).toEqual([0, 0])
  pass(fd)
  libc.close(fd)
  return path
}

/** A listening TCP socket; without a call of bind(2) the kernel chooses a port, and every address. */
function listeningTcp(family: number): number {
  const fd = libc.socket(family, socketConstants.SOCK_STREAM, 0).value
  expect(listen(fd, 16)).toBe(0)
  return fd
}

const take = (environment: Record<string, string | undefined>, more: Partial<ActivationOptions> = {}) =>
  takeActivatedSockets({ environment, pid: 42, libc, names: ['api', 'admin', 'cred'], firstDescriptor, ...more })

describe('sockets of the service manager (SYS-11)', () => {
  it('are assigned by name, whatever their order, and the variables are taken out', async () => {
    passListener('admin.sock')
    passListener('api.sock')
    const environment = { LISTEN_PID: '42', LISTEN_FDS: '2', LISTEN_FDNAMES: 'admin:api', PATH: '/bin' }
    expect(take(environment)).toEqual(
      new Map([
        ['admin', 700],
        ['api', 701],
      ]),
    )
    expect(environment).toEqual({ PATH: '/bin' })
    expect(passed.map((fd) => fcntl(fd, 1, 0))).toEqual([1, 1])
  })

  it('serve, and closing the server leaves the path (SYS-12)', async () => {
    const path = passListener('api.sock')
    const fd = take({ LISTEN_PID: '42', LISTEN_FDS: '1', LISTEN_FDNAMES: 'api' }).get('api')
    const server = createServer((socket) => socket.end('hello'))
    server.listen({ fd })
    await once(server, 'listening')
    passed = []
    const client = createConnection(path)
    expect(String((await once(client, 'data'))[0])).toBe('hello')
    server.close()
    await once(server, 'close')
    expect(existsSync(path)).toBe(true)
  })

  it.each([
    {},
    { LISTEN_FDS: '1', LISTEN_FDNAMES: 'api' },
    { LISTEN_PID: '43', LISTEN_FDS: '1', LISTEN_FDNAMES: 'api' },
    { LISTEN_PID: '42' },
    { LISTEN_PID: '042', LISTEN_FDS: '1', LISTEN_FDNAMES: 'api' },
  ])('are none with %o, and the variables are still taken out', (environment: Record<string, string>) => {
    expect(take(environment)).toEqual(new Map())
    expect(environment).toEqual({})
  })

  it.each([
    ['an unknown name', { LISTEN_FDS: '1', LISTEN_FDNAMES: 'other' }, "'other'"],
    ['the name of a socket that has none', { LISTEN_FDS: '1', LISTEN_FDNAMES: 'unknown' }, "'unknown'"],
    ['too few names', { LISTEN_FDS: '2', LISTEN_FDNAMES: 'api' }, '2 sockets were passed with 1 names'],
    ['too many names', { LISTEN_FDS: '1', LISTEN_FDNAMES: 'api:admin' }, '1 sockets were passed with 2 names'],
    ['no names', { LISTEN_FDS: '1' }, '1 sockets were passed with 0 names'],
    ['a name twice', { LISTEN_FDS: '2', LISTEN_FDNAMES: 'api:api' }, 'two sockets'],
    ['no number', { LISTEN_FDS: 'x', LISTEN_FDNAMES: 'api' }, 'LISTEN_FDS'],
    ['the number 0', { LISTEN_FDS: '0', LISTEN_FDNAMES: '' }, 'LISTEN_FDS'],
    ['65 sockets', { LISTEN_FDS: '65', LISTEN_FDNAMES: 'api' }, 'LISTEN_FDS'],
    ['a descriptor that is not open', { LISTEN_FDS: '2', LISTEN_FDNAMES: 'api:admin' }, 'descriptor 701'],
  ])('with %s are a start-up error', async (_what, environment, says) => {
    passListener('api.sock')
    expect(() => take({ LISTEN_PID: '42', ...environment })).toThrow(
      expect.objectContaining({ code: 'SOCKET_ACTIVATION', exitCode: 78, message: expect.stringContaining(says) }),
    )
  })

  const wrongKinds: readonly (readonly [string, () => number, string])[] = [
    ['a file', () => openSync('/dev/null', 'r'), 'not a socket'],
    [
      'a datagram socket',
      () => libc.socket(socketConstants.AF_UNIX, socketConstants.SOCK_DGRAM, 0).value,
      'not a stream',
    ],
    ['a socket that does not listen', () => libc.socket(socketConstants.AF_UNIX, 1, 0).value, 'does not listen'],
    ['open to the network (IPv4)', () => listeningTcp(2), 'not a Unix socket'],
    ['open to the network (IPv6)', () => listeningTcp(10), 'not a Unix socket'],
  ]
  it.each(wrongKinds)('that are %s are refused', (_what, open, says) => {
    const fd = open()
    pass(fd)
    closeSync(fd)
    expect(() => take({ LISTEN_PID: '42', LISTEN_FDS: '1', LISTEN_FDNAMES: 'api' })).toThrow(says)
  })

  describe('that only the owner may open', () => {
    const admin = () =>
      take({ LISTEN_PID: '42', LISTEN_FDS: '1', LISTEN_FDNAMES: 'admin' }, { ownerOnly: ['admin', 'cred'] })

    it.each([0o600, 0o700, 0o755, 0o644])('are taken with mode %o', (mode) => {
      chmodSync(passListener('admin.sock'), mode)
      expect(admin()).toEqual(new Map([['admin', 700]]))
    })

    it.each([0o666, 0o660, 0o602, 0o620])('are refused with mode %o (SYS-10)', (mode) => {
      const path = passListener('admin.sock')
      chmodSync(path, mode)
      expect(admin).toThrow(`others may connect to ${path} (mode ${mode.toString(8)})`)
    })

    it.skipIf(process.geteuid?.() !== 0)('are refused where they belong to another user (API-02)', () => {
      const path = passListener('admin.sock')
      chmodSync(path, 0o600)
      chownSync(path, 65_534, 0)
      expect(admin).toThrow(`${path} belongs to user 65534`)
    })

    it('are found by their path, also one with blanks', () => {
      chmodSync(passListener('  admin of the agent.sock'), 0o600)
      expect(admin()).toEqual(new Map([['admin', 700]]))
    })

    it('are refused without a file', () => {
      rmSync(passListener('admin.sock'))
      expect(admin).toThrow('cannot be looked at (ENOENT)')
    })

    it.each(['@attestd-test-abstract', undefined])('are refused where no file guards them (%s)', (name) => {
      const fd = libc.socket(socketConstants.AF_UNIX, socketConstants.SOCK_STREAM, 0).value
      const address =
        name === undefined ? Buffer.from([1, 0]) : (notifyAddress(`${name}-${process.pid}`) ?? Buffer.alloc(0))
      expect([bind(fd, address, address.length), listen(fd, 16)]).toEqual([0, 0])
      pass(fd)
      libc.close(fd)
      expect(admin).toThrow('is no file whose mode says who may connect')
    })

    it('leave the others to their mode', () => {
      chmodSync(passListener('api.sock'), 0o666)
      const api = { LISTEN_PID: '42', LISTEN_FDS: '1', LISTEN_FDNAMES: 'api' }
      expect(take(api, { ownerOnly: ['admin'] })).toEqual(new Map([['api', 700]]))
    })
  })

  it('without native code are still told from files', async () => {
    passListener('api.sock')
    const one = { LISTEN_PID: '42', LISTEN_FDS: '1', LISTEN_FDNAMES: 'api' }
    expect(take({ ...one }, { libc: null })).toEqual(new Map([['api', 700]]))
    const file = openSync('/dev/null', 'r')
    dup2(file, 700)
    closeSync(file)
    expect(() => take({ ...one }, { libc: null })).toThrow('not a socket')
  })
})
