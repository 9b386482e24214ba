import { once } from 'node:events'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { type LoopbackConnection, loopbackConnection, uidInTable } from './loopback-caller.ts'
import { openPeerCredentials } from './peer-credentials.ts'

const connection: LoopbackConnection = {
  client: { address: '127.0.0.1', port: 0x1234 },
  server: { address: '127.0.0.1', port: 0x0050 },
}
const head = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n'
const entry = (local: string, remote: string, state: string, uid: string | number) =>
  `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000 ${String(uid).padStart(5)}        0 1 1 0 0 0\n`
const mapped = '0000000000000000FFFF0000'
const own = '0100007F:1234'
const theirs = '0100007F:0050'

describe('the uid of the client in the table (API-54)', () => {
  it.each([
    ['its own entry', entry(own, theirs, '01', 1000), 1000],
    ['the entry of the server, which is not asked', entry(theirs, own, '01', 0), null],
    ['both entries', entry(theirs, own, '01', 0) + entry(own, theirs, '01', 1000), 1000],
    ['an IPv6 socket with mapped addresses', entry(mapped + own, mapped + theirs, '01', 1001), 1001],
    ['a client that closed one side', entry(own, theirs, '04', 0), null],
    ['an older connection that waits to end', entry(own, theirs, '06', 0) + entry(own, theirs, '01', 1000), 1000],
    ['another port', entry('0100007F:1235', theirs, '01', 1000), null],
    ['another address', entry('0200007F:1234', theirs, '01', 1000), null],
    ['no number', entry(own, theirs, '01', 'root'), null],
    ['nothing', '', null],
  ])('with %s', (_what, lines, uid) => {
    expect(uidInTable(head + lines, connection)).toBe(uid)
  })

  it('over IPv6', () => {
    const six = { client: { address: '::1', port: 0x1234 }, server: { address: '::1', port: 0x0050 } }
    const one = `${'0'.repeat(24)}01000000`
    expect(uidInTable(head + entry(`${one}:1234`, `${one}:0050`, '01', 7), six)).toBe(7)
    expect(uidInTable(head + entry(own, theirs, '01', 7), six)).toBe(null)
  })
})

describe('the ends of a connection', () => {
  const socket = (remoteAddress: string | undefined) =>
    ({ remoteAddress, remotePort: 1, localAddress: '127.0.0.1', localPort: 2 }) as Socket

  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['127.8.9.1', '127.8.9.1'],
    ['::1', '::1'],
    ['::ffff:127.0.0.1', '127.0.0.1'],
    ['10.0.0.1', undefined],
    ['::ffff:10.0.0.1', undefined],
    ['fe80::1', undefined],
    [undefined, undefined],
  ])('of a peer at %s', (address, expected) => {
    expect(loopbackConnection(socket(address))?.client.address).toBe(expected)
  })
})

describe('a loopback caller', () => {
  let server: Server | undefined
  afterEach(() => {
    server?.close()
  })

  it.for(['127.0.0.1', '::1'])(
    'at %s is known by its uid while it is connected, and by nothing else',
    async (host, { skip }) => {
      server = createServer({ allowHalfOpen: true })
      server.listen(0, host)
      const refused = await Promise.race([once(server, 'listening').then(() => null), once(server, 'error')])
      if (refused) skip(`this machine has no ${host}`)
      const client = createConnection((server.address() as { port: number }).port, host)
      const [socket] = (await once(server, 'connection')) as [Socket]
      const credentials = openPeerCredentials()
      const peer = await credentials.identify(socket, 'tcp:metadata')
      expect(peer.caller).toEqual({
        identity: 'procfs',
        pid: 0,
        uid: process.getuid?.(),
        gid: null,
        groups: [],
        unit: null,
        slice: null,
        container: null,
        listener: 'tcp:metadata',
      })
      expect(await peer.check()).toBe('there')
      const ended = once(socket.resume(), 'end')
      client.end()
      await ended
      expect(await peer.check()).toBe('caller_gone')
      client.destroy()
      socket.destroy()
    },
  )
})
