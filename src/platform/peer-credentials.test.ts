import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { createServer as createHttpServer, get } from 'node:http'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { nativeErrors } from '../../native/errors.ts'
import {
  errnoOf,
  type Libc,
  layouts,
  loadLibc,
  PIDFD_GET_INFO,
  pidfdInfoMask,
  socketConstants,
} from '../../native/libc.ts'
import { canMakeControlGroups, makeControlGroup, removeEmptied } from '../../test/support/control-group.ts'
import { withDescriptorsLeft } from '../../test/support/descriptor-shortage.ts'
import { kernels } from '../../test/support/older-kernels.ts'
import { type CallerOptions, canChangeUser, startCaller, type UnixCaller } from '../../test/support/unix-caller.ts'
import { CgroupReader } from './cgroup-reader.ts'
import { openPeerCredentials, type PeerCredentials, type PeerIdentity } from './peer-credentials.ts'
import { descriptorOf, readPeer } from './peer-socket.ts'

const libc = loadLibc()

let folder = ''
let server: Server
const callers: UnixCaller[] = []
const identities: PeerIdentity[] = []

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'attestd-peer-'))
  chmodSync(folder, 0o755)
  server = createServer((socket) => socket.on('error', () => undefined).resume())
  server.listen(join(folder, 'socket'))
  await once(server, 'listening')
  chmodSync(join(folder, 'socket'), 0o666)
})
afterEach(async () => {
  vi.restoreAllMocks()
  for (const identity of identities.splice(0)) identity.close()
  await Promise.all(callers.splice(0).map((caller) => caller.kill()))
  server.close()
  rmSync(folder, { recursive: true, force: true })
})

/** In the event that accepted the connection, as it must be; a refusal comes as a rejection. */
const identified = async (credentials: PeerCredentials, socket: Socket) => credentials.identify(socket, 'api')

/** Connects a process of its own and identifies it at accept; `before` runs between accept and look-up. */
async function identifyCaller(credentials: PeerCredentials, options: CallerOptions = {}) {
  const accepted = new Promise<{ identity: PeerIdentity; socket: Socket }>((resolve, reject) =>
    server.once('connection', (socket) => {
      identified(credentials, socket).then((identity) => resolve({ identity, socket }), reject)
    }),
  )
  const caller = await startCaller(join(folder, 'socket'), options)
  callers.push(caller)
  const { identity, socket } = await accepted
  identities.push(identity)
  return { caller, identity, socket }
}

const openDescriptors = () => readdirSync('/proc/self/fd').length

describe.each(Object.keys(kernels))('on a kernel %s', (kernel) => {
  const credentials = openPeerCredentials(kernels[kernel])
  const identity = kernel === 'without pidfds' ? 'procfs' : 'pidfd'

  it('the self-test passes, tells how callers are identified, and keeps no descriptor', () => {
    expect([credentials.identity, credentials.degraded]).toEqual([identity, null])
    const before = openDescriptors()
    for (let round = 0; round < 3; round++) openPeerCredentials(kernels[kernel])
    expect(openDescriptors()).toBe(before)
  })

  it('a caller of our own user is there until it ends (API-40, API-47)', async () => {
    const { caller, identity: peer } = await identifyCaller(credentials)
    expect(peer.caller).toMatchObject({
      identity,
      pid: caller.pid,
      uid: process.geteuid?.(),
      gid: process.getegid?.(),
      listener: 'api',
    })
    expect([await peer.check(), await peer.check()]).toEqual(['there', 'there'])
    await caller.kill()
    expect(await peer.check()).toBe('caller_gone')
  })

  it('a zombie is gone, although its files are still there (API-45)', async () => {
    const { caller, identity: peer } = await identifyCaller(credentials)
    process.kill(caller.pid, 'SIGSTOP')
    expect(await peer.check()).toBe('there')
    process.kill(caller.pid, 'SIGKILL')
    // Nothing is awaited until here, so Node has not yet waited for its child.
    for (let reads = 0; !isZombie(caller.pid); reads++) expect(reads).toBeLessThan(1_000_000)
    expect(await peer.check()).toBe('caller_gone')
  })

  it.skipIf(!canChangeUser)('another user with 40 groups, more than one page of room holds (NAT-212)', async () => {
    const groups = Array.from({ length: 90 }, (_, at) => 20_000 + at)
    const few = await identifyCaller(credentials, { uid: 30_001, gid: 30_002, groups: groups.slice(0, 40) })
    expect(few.identity.caller).toMatchObject({ uid: 30_001, gid: 30_002, groups: groups.slice(0, 40) })
    const many = await identifyCaller(credentials, { uid: 30_001, gid: 30_002, groups })
    expect(many.identity.caller.groups).toEqual(groups)
    expect(await many.identity.check()).toBe('there')
  })

  it.skipIf(!canChangeUser)('uid 65534 is told as it is: the policy knows what it means (API-49)', async () => {
    const { identity: peer } = await identifyCaller(credentials, { uid: 65_534, gid: 65_534 })
    expect(peer.caller).toMatchObject({ uid: 65_534, gid: 65_534, groups: [] })
  })

  it.skipIf(!canChangeUser)('a process that changes its user is refused from then on (API-46)', async () => {
    const { caller, identity: peer } = await identifyCaller(credentials)
    expect(await peer.check()).toBe('there')
    await caller.tell('uid 30001')
    expect(await peer.check()).toBe('caller_changed')
    await caller.tell('uid 0')
    expect(await peer.check()).toBe('there')
  })

  it('a socket handed to a child dies with the process that connected (API-47)', async () => {
    const { caller, identity: peer, socket } = await identifyCaller(credentials)
    const written = once(socket, 'data')
    await caller.tell('hand-over')
    await written
    expect(await peer.check()).toBe('there')
    await caller.tell('exit')
    await caller.kill()
    expect(await peer.check()).toBe('caller_gone')
    expect(socket.destroyed).toBe(false)
  })

  it.each(['x) R 1 1 1', 'a\nb) Z (', '))))', 'Uid:\t7\t7\t7\t7'])(
    'a process named %j is told like any other (API-44)',
    async (name) => {
      const { identity: peer } = await identifyCaller(credentials, { name })
      expect(peer.caller.uid).toBe(process.geteuid?.())
      expect(await peer.check()).toBe('there')
    },
  )

  it('a caller that ends while it is looked up is gone: what was read of it does not count (API-41, API-43)', async () => {
    const accepted = once(server, 'connection')
    const caller = await startCaller(join(folder, 'socket'))
    const [socket] = (await accepted) as [Socket]
    const written = once(socket, 'data')
    await caller.tell('hand-over')
    await written
    process.kill(caller.pid, 'SIGSTOP')
    const lookUp = credentials.identify(socket, 'api')
    // The files of the process are open, and the reading has begun: nothing is awaited until it is dead.
    process.kill(caller.pid, 'SIGKILL')
    for (let reads = 0; !isZombie(caller.pid); reads++) expect(reads).toBeLessThan(1_000_000)
    await expect(lookUp).rejects.toMatchObject({ code: 'caller_gone' })
    await caller.kill()
  })

  it('a caller that ended between connect and look-up is gone', async () => {
    const accepted = once(server, 'connection')
    const caller = await startCaller(join(folder, 'socket'))
    const [socket] = (await accepted) as [Socket]
    // A child keeps the connection open: closed ones are refused before anybody is looked for.
    const written = once(socket, 'data')
    await caller.tell('hand-over')
    await written
    await caller.tell('exit')
    await caller.kill()
    const before = openDescriptors()
    await expect(identified(credentials, socket)).rejects.toMatchObject({ code: 'caller_gone', status: 401 })
    expect([socket.destroyed, openDescriptors()]).toEqual([false, before])
  })

  it('a connection that was closed before the look-up has no identity', async () => {
    const accepted = once(server, 'connection')
    createConnection(join(folder, 'socket')).on('error', () => undefined)
    const [socket] = (await accepted) as [Socket]
    socket.destroy()
    await expect(identified(credentials, socket)).rejects.toMatchObject({ code: 'caller_gone' })
  })

  it('a TCP socket has no credentials, although the kernel answers (NAT-61)', async () => {
    const tcp = createServer()
    tcp.listen(0, '127.0.0.1')
    await once(tcp, 'listening')
    const client = createConnection((tcp.address() as { port: number }).port, '127.0.0.1')
    const [socket] = (await once(tcp, 'connection')) as [Socket]
    expect(readPeer(libc, descriptorOf(socket))).toEqual({ pid: 0, uid: null, gid: null, groups: [], pidfd: null })
    expect(credentials.peerUid(socket)).toBe(null)
    client.destroy()
    tcp.close()
  })

  it('after close it counts as gone, and closing twice closes nothing else', async () => {
    const { identity: peer } = await identifyCaller(credentials)
    peer.close()
    const before = openDescriptors()
    peer.close()
    expect([await peer.check(), openDescriptors()]).toEqual(['caller_gone', before])
  })

  it.each([0, 1])('a look-up for which descriptors run out keeps none of them (%i left)', async (left) => {
    const accepted = once(server, 'connection')
    const client = createConnection(join(folder, 'socket'))
    const [socket] = (await accepted) as [Socket]
    const before = openDescriptors()
    const lookUp = withDescriptorsLeft(left, () => identified(credentials, socket))
    await expect(lookUp).rejects.toThrow(/EMFILE|errno 24/)
    expect(openDescriptors()).toBe(before)
    const peer = await identified(credentials, socket)
    expect(await peer.check()).toBe('there')
    peer.close()
    client.destroy()
  })

  it('300 connections, half of which vanish before the answer, leave no descriptor (NAT-206)', async () => {
    const connectOnce = async (vanish: boolean) => {
      const accepted = once(server, 'connection')
      const client = createConnection(join(folder, 'socket')).on('error', () => undefined)
      const [socket] = (await accepted) as [Socket]
      const closed = once(socket, 'close')
      if (vanish) client.destroy()
      const peer = await identified(credentials, socket).catch(() => undefined)
      await peer?.check()
      peer?.close()
      client.destroy()
      await closed
    }
    await connectOnce(false)
    const before = openDescriptors()
    for (let round = 0; round < 300; round++) await connectOnce(round % 2 === 0)
    // A read that the pool had no time for ends, and closes its file, behind the look-up that did not wait for it.
    await expect.poll(openDescriptors, { timeout: 10_000 }).toBeLessThanOrEqual(before)
  })
})

describe('PIDFD_GET_INFO (API-42)', () => {
  /** A kernel of our making: says that the effective uid is `euid`, or that the process is not there. */
  const saying = (euid: () => number | null): Libc => ({
    ...libc,
    ioctl: (fd, request, argument) => {
      if (request !== PIDFD_GET_INFO) return libc.ioctl(fd, request, argument)
      const said = euid()
      if (said === null) return { value: -1, errno: errnoOf.ESRCH }
      const [info, { pidfdInfo }] = [argument as Buffer, layouts]
      info.writeBigUInt64LE(pidfdInfoMask.credentials, pidfdInfo.mask)
      info.writeUInt32LE(said, pidfdInfo.euid)
      return { value: 0, errno: 0 }
    },
  })
  const own = process.geteuid?.() ?? -1

  it.skipIf(openPeerCredentials().identity !== 'pidfd')(
    'is believed in place of /proc, of which no file is held',
    async () => {
      let euid = own
      const { identity } = await identifyCaller(openPeerCredentials(() => saying(() => euid)))
      expect(filesOfProcesses()).toEqual([])
      expect(identity.check()).toBe('there')
      euid = own + 1
      expect(identity.check()).toBe('caller_changed')
    },
  )

  it.skipIf(openPeerCredentials().identity !== 'pidfd' || !canMakeControlGroups())(
    'a caller of a known group that changed before it was looked at is refused at once, and nothing of it is kept',
    async () => {
      let euid = own
      const kernel = saying(() => euid)
      const { cgroup } = pidfdInfoMask
      const credentials = openPeerCredentials(() => ({
        ...kernel,
        ioctl: (fd, request, argument) => {
          const result = kernel.ioctl(fd, request, argument)
          const [info, { pidfdInfo }] = [argument as Buffer, layouts]
          info.writeBigUInt64LE(info.readBigUInt64LE(pidfdInfo.mask) | cgroup, pidfdInfo.mask)
          info.writeBigUInt64LE(1n, pidfdInfo.cgroup)
          return result
        },
      }))
      vi.spyOn(CgroupReader.prototype, 'read').mockResolvedValue('0::/\n')
      await identifyCaller(credentials)
      const accepted = once(server, 'connection')
      callers.push(await startCaller(join(folder, 'socket')))
      const [socket] = (await accepted) as [Socket]
      const before = openDescriptors()
      euid = own + 1
      expect(() => credentials.identify(socket, 'api')).toThrow(expect.objectContaining({ code: 'caller_changed' }))
      expect(openDescriptors()).toBe(before)
      euid = own
      const known = credentials.identify(socket, 'api')
      expect(known).not.toBeInstanceOf(Promise)
      identities.push(await known)
    },
  )

  it.skipIf(openPeerCredentials().identity !== 'pidfd')('is not needed: the kernels before it have /proc', async () => {
    const { identity, caller } = await identifyCaller(openPeerCredentials(kernels['without PIDFD_GET_INFO']))
    expect(filesOfProcesses()).toEqual([`/proc/${caller.pid}/status`])
    expect(identity.check()).toBe('there')
  })
})

/** Files of other processes that this one has open. */
function filesOfProcesses(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`)
      return /^\/proc\/\d+\/(?:stat|status)$/.test(path) ? [path] : []
    } catch {
      return []
    }
  })
}

/** True once the last thread has ended, and nobody has waited for the process yet. */
function isZombie(pid: number): boolean {
  const threads = readdirSync(`/proc/${pid}/task`).length
  return threads === 1 && /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
}

/** By its version, not by what it answers: an answer that is not understood must fail, and not be left out. */
const [major = 0, minor = 0] = release().split('.').map(Number)
const saysGroups = major > 6 || (major === 6 && minor >= 13)

describe('the unit', () => {
  it.skipIf(!canMakeControlGroups() || !saysGroups)(
    'of a caller whose group was seen is told without a wait (API-42)',
    async () => {
      const accepted = once(server, 'connection')
      const caller = await startCaller(join(folder, 'socket'))
      callers.push(caller)
      const [socket] = (await accepted) as [Socket]
      const group = makeControlGroup('attestd-known.slice/known.service')
      onTestFinished(() => removeEmptied(group))
      group.take(caller.pid)
      const credentials = openPeerCredentials()
      const unit = { unit: 'known.service', slice: 'attestd-known.slice' }
      const first = await credentials.identify(socket, 'api')
      const second = credentials.identify(socket, 'api')
      identities.push(first, await second)
      expect(second).not.toBeInstanceOf(Promise)
      expect([first.caller, (await second).caller]).toMatchObject([unit, unit])
    },
  )

  it('is that of the control group of the caller', async () => {
    const { caller, identity } = await identifyCaller(openPeerCredentials())
    const cgroups = (await new CgroupReader().read(caller.pid)) ?? ''
    expect(cgroups).toContain(':')
    expect(identity.caller.unit === null || cgroups.includes(identity.caller.unit)).toBe(true)
  })
})

describe('the socket of an HTTP request is the one that was accepted (NAT-60)', () => {
  it('and has a descriptor', async () => {
    const credentials = openPeerCredentials()
    const path = join(folder, 'http')
    const http = createHttpServer((request, response) => {
      response.end(String(credentials.peerUid(request.socket)))
    })
    let accepted: Socket | undefined
    http.on('connection', (socket: Socket) => {
      accepted = socket
    })
    http.on('request', (request) => expect(request.socket).toBe(accepted))
    http.listen(path)
    await once(http, 'listening')
    const body = await new Promise((resolve) =>
      get({ socketPath: path, path: '/' }, (response) => response.on('data', (chunk) => resolve(String(chunk)))),
    )
    expect(body).toBe(String(process.geteuid?.()))
    http.close()
  })
})

describe('without native code (API-55)', () => {
  it.each([
    [
      'that is not installed',
      () => {
        throw nativeErrors.error('NATIVE_UNAVAILABLE', 'no koffi')
      },
      'NATIVE_UNAVAILABLE',
    ],
    [
      'that gives another pid',
      (): Libc => ({
        ...libc,
        getsockopt: (fd, level, name, value, length) => {
          const result = libc.getsockopt(fd, level, name, value, length)
          if (name === socketConstants.SO_PEERCRED) (value as Buffer).writeInt32LE(process.pid + 1, 0)
          return result
        },
      }),
      'NATIVE_SELFTEST',
    ],
    [
      'that refuses socket pairs',
      (): Libc => ({ ...libc, socketpair: () => ({ value: -1, errno: 1 }) }),
      'NATIVE_SELFTEST',
    ],
  ] as const)('%s only the listener is known', async (_what, load, code) => {
    const before = openDescriptors()
    const credentials = openPeerCredentials(load)
    expect([credentials.identity, credentials.degraded?.code]).toEqual(['socket', code])
    const { identity } = await identifyCaller(credentials)
    expect(identity.caller).toEqual({
      identity: 'socket',
      pid: 0,
      uid: null,
      gid: null,
      groups: [],
      unit: null,
      slice: null,
      container: null,
      listener: 'api',
    })
    expect([await identity.check(), openDescriptors() - before]).toEqual(['there', expect.any(Number)])
  })

  it('a bug in the native layer is not hidden', () => {
    expect(() =>
      openPeerCredentials(() => {
        throw new TypeError('bug')
      }),
    ).toThrow(TypeError)
  })
})
