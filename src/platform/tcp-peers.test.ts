import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { loadLibc } from '../../native/libc.ts'
import { startTcpCaller, type TcpCaller } from '../../test/support/tcp-caller.ts'
import { canChangeUser } from '../../test/support/unix-caller.ts'
import { tcpCaller } from '../policies/caller-identity.ts'
import { listenLoopback, parseLoopbackAddress } from './loopback-listener.ts'
import { openTcpPeers } from './tcp-peers.ts'
import { TcpTables } from './tcp-table.ts'

const hosts = ['127.0.0.1', '::1']
const written = (host: string) => (host === '::1' ? '[::1]' : host)
const libc = loadLibc()

describe.skipIf(!canChangeUser)('callers over loopback TCP (API-54)', () => {
  const servers: Server[] = []
  const callers: TcpCaller[] = []
  const sockets: Socket[] = []
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy()
    for (const server of servers.splice(0)) server.close()
    for (const caller of callers.splice(0)) await caller.kill()
  })

  async function open(host: string) {
    const server = createServer({ allowHalfOpen: true })
    await listenLoopback(server, `${written(host)}:0`)
    servers.push(server)
    return { server, port: (server.address() as { port: number }).port }
  }

  async function connect(
    server: Server,
    options: Parameters<typeof startTcpCaller>[0],
    peers = openTcpPeers({ libc }),
  ) {
    const accepted = once(server, 'connection').then(([socket]: Socket[]) => {
      if (socket === undefined) throw new Error('no socket')
      sockets.push(socket.on('error', () => undefined))
      return { socket, peer: peers.identify(socket, 'tcp:github') }
    })
    const caller = await startTcpCaller(options)
    callers.push(caller)
    const { socket, peer } = await accepted
    return { caller, socket, peer: await peer }
  }

  it.each(hosts.flatMap((host) => [0, 1234, 65_532].map((uid) => [host, uid] as const)))(
    'at %s of user %i are known by that number and by nothing else',
    async (host, uid) => {
      const { server, port } = await open(host)
      const { peer } = await connect(server, { host, port, uid })
      expect(peer.caller).toEqual(tcpCaller(uid, 'tcp:github'))
      expect(await peer.check()).toBe('there')
    },
  )

  it('are known through an IPv6 socket with a mapped address too', async () => {
    const { server, port } = await open('127.0.0.1')
    const { peer } = await connect(server, { host: '::ffff:127.0.0.1', port, uid: 1234 })
    expect(peer.caller.uid).toBe(1234)
    expect(await peer.check()).toBe('there')
  })

  it.each(['half', 'end', 'reset'])('of root that %s are nobody, and not root', async (word) => {
    const { server, port } = await open('127.0.0.1')
    const { peer, caller, socket } = await connect(server, { host: '127.0.0.1', port, uid: 0 })
    expect(await peer.check()).toBe('there')
    const over = new Promise((resolve) => socket.resume().once(word === 'reset' ? 'close' : 'end', resolve))
    await caller.tell(word)
    await over
    const state = await peer.check().catch(({ code }) => code)
    expect(state).toBe(word === 'reset' ? 'caller_gone' : 'caller_unidentified')
  })

  it.each([0, 1234])('of user %i that have closed one side before they are looked up are nobody', async (uid) => {
    const { server, port } = await open('127.0.0.1')
    const accepted = once(server, 'connection') as Promise<[Socket]>
    const caller = await startTcpCaller({ host: '127.0.0.1', port, uid })
    callers.push(caller)
    const [socket] = await accepted
    sockets.push(socket)
    const ended = once(socket.resume(), 'end')
    await caller.tell('half')
    await ended
    const peer = await openTcpPeers({ libc }).identify(socket, 'tcp:github')
    expect(peer.caller.uid).toBe(null)
    expect(await peer.check()).toBe('caller_unidentified')
  })

  it('that left their port to another user during the look-up do not get its name', async () => {
    const { server, port } = await open('127.0.0.1')
    const accepted = once(server, 'connection') as Promise<[Socket]>
    const attacker = await startTcpCaller({ host: '127.0.0.1', port, uid: 65_532 })
    const [socket] = await accepted
    sockets.push(socket.on('error', () => undefined))
    const seen: (number | null)[] = []
    const tables: Pick<TcpTables, 'uidOfClient'> = {
      async uidOfClient(connection) {
        await attacker.tell('reset')
        const { port: from } = connection.client
        callers.push(attacker, await startTcpCaller({ host: '127.0.0.1', port, from, uid: 65_531 }))
        seen.push(await new TcpTables().uidOfClient(connection))
        return seen[0] ?? null
      },
    }
    const outcome = openTcpPeers({ libc, tables }).identify(socket, 'tcp:github')
    const uid = await outcome.then(({ caller }) => caller.uid).catch(({ code }) => code)
    expect(seen).toEqual([65_531])
    expect([null, 'caller_gone']).toContain(uid)
  })

  it('are not believed to be root on one reading', async () => {
    const { server, port } = await open('127.0.0.1')
    const answers = [0, 1234]
    const tables = { uidOfClient: async () => answers.shift() ?? null }
    const peers = openTcpPeers({ libc, tables })
    const { peer } = await connect(server, { host: '127.0.0.1', port, uid: 1234 }, peers)
    expect(peer.caller.uid).toBe(1234)
    answers.push(0, 0)
    const root = await connect(server, { host: '127.0.0.1', port, uid: 1234 }, peers)
    expect([root.peer.caller.uid, answers]).toEqual([0, []])
  })

  it('whose end has another owner now are somebody else', async () => {
    const { server, port } = await open('127.0.0.1')
    const answers = [1234, 1235]
    const peers = openTcpPeers({ libc, tables: { uidOfClient: async () => answers.shift() ?? null } })
    const { peer } = await connect(server, { host: '127.0.0.1', port, uid: 1234 }, peers)
    expect(await peer.check()).toBe('caller_unidentified')
  })

  it('are nobody without native code (API-55)', async () => {
    const { server, port } = await open('127.0.0.1')
    const { peer } = await connect(server, { host: '127.0.0.1', port, uid: 1234 }, openTcpPeers({ libc: null }))
    expect([peer.caller.uid, await peer.check()]).toEqual([null, 'caller_unidentified'])
  })

  it('are told apart among many connections', async () => {
    const peers = openTcpPeers({ libc })
    const found = await Promise.all(
      [1301, 1302, 1303, 1304, 1305].map(async (uid) => {
        const { server, port } = await open('127.0.0.1')
        const { peer } = await connect(server, { host: '127.0.0.1', port, uid }, peers)
        return [uid, peer.caller.uid]
      }),
    )
    for (const [uid, seen] of found) expect(seen).toBe(uid)
  })
})

describe('addresses to listen at (API-09)', () => {
  const refused = [
    '0.0.0.0:8006',
    '[::]:8006',
    '*:8006',
    ':8006',
    '8006',
    'localhost:8006',
    '127.0.0.2:8006',
    '127.1:8006',
    '2130706433:8006',
    '0127.0.0.1:8006',
    '169.254.169.254:80',
    '[::ffff:127.0.0.1]:8006',
    '[0:0:0:0:0:0:0:1]:8006',
    '::1:8006',
    '[fe80::1%lo]:8006',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:65536',
    '127.0.0.1:08006',
    '127.0.0.1:-1',
    '127.0.0.1:80 ',
    '127.0.0.1:80\n',
    '',
  ]

  it.each(refused)('refuse %j, whatever the system would make of it', async (address) => {
    expect(parseLoopbackAddress(address)).toBe(null)
    const server = createServer()
    await expect(listenLoopback(server, address)).rejects.toMatchObject({
      code: 'LISTEN_ADDRESS',
      kind: 'configuration',
    })
    expect(server.listening).toBe(false)
  })

  it.each([
    ['127.0.0.1:65535', '127.0.0.1', 65_535],
    ['127.0.0.1:1', '127.0.0.1', 1],
    ['[::1]:8006', '::1', 8006],
  ])('take %s', (address, host, port) => {
    expect(parseLoopbackAddress(address)).toEqual({ host, port })
  })

  it.each(hosts)('bind %s alone, and say when the port is taken', async (host) => {
    const [first, second] = [createServer(), createServer()]
    await listenLoopback(first, `${written(host)}:0`)
    const { address, port } = first.address() as { address: string; port: number }
    expect(address).toBe(host)
    await expect(listenLoopback(second, `${written(host)}:${port}`)).rejects.toMatchObject({ code: 'SOCKET_IN_USE' })
    first.close()
  })
})
