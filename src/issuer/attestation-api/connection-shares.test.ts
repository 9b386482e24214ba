import { EventEmitter, once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { RawClient } from '../../../test/support/raw-http.ts'
import { proxyTrust } from './client-address.ts'
import { shareConnections } from './connection-shares.ts'

let server: Server
let accepted: Socket[] = []
const opened: RawClient[] = []
afterEach(() => {
  for (const client of opened.splice(0)) client.destroy()
  server.close()
})

/** A server that greets; an address has two connections. */
async function serve(proxies: readonly string[] = []): Promise<() => RawClient> {
  accepted = []
  server = createServer((socket: Socket) => {
    accepted.push(socket)
    socket.on('error', () => undefined).write('+')
  })
  shareConnections(server, { most: 2, isProxy: proxyTrust(proxies) })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  return () => {
    const client = new RawClient({ host: '127.0.0.1', port })
    opened.push(client)
    return client
  }
}

const greeted = async ({ socket }: RawClient) => {
  await once(socket, 'data')
}

describe('an address that keeps connections open (SVC-43)', () => {
  it('has its share of them, and another one when it closes one', async () => {
    const connect = await serve()
    const [first, second] = [connect(), connect()]
    await Promise.all([greeted(first), greeted(second)])
    await connect().closed
    const ended = new Promise<void>((resolve) => accepted[0]?.once('close', () => resolve()))
    first.destroy()
    await ended
    await greeted(connect())
    expect(second.socket.destroyed).toBe(false)
  })

  it('may be a proxy, behind which everybody is', async () => {
    const connect = await serve(['127.0.0.1'])
    await Promise.all([1, 2, 3, 4].map(() => greeted(connect())))
    expect(opened).toHaveLength(4)
  })
})

/** A socket whose end the test decides: Node tells of it some time after it was destroyed. */
class Peer extends EventEmitter {
  readonly remoteAddress: string | undefined
  isCut = false

  constructor(remoteAddress: string | undefined) {
    super()
    this.remoteAddress = remoteAddress
  }

  destroy(): void {
    this.isCut = true
  }

  end(): void {
    this.emit('close')
  }
}

describe('connections of an address are counted (SVC-43)', () => {
  /** An address has two connections. */
  function room(proxies: readonly string[] = []) {
    const silent = createServer()
    shareConnections(silent, { most: 2, isProxy: proxyTrust(proxies) })
    return (address: string | undefined) => {
      const peer = new Peer(address)
      silent.emit('connection', peer)
      return peer
    }
  }
  const cutOf = (peers: readonly Peer[]) => peers.map(({ isCut }) => isCut)

  it('one for one: each that ends makes room for one', () => {
    const come = room()
    const [first, second] = [come('192.0.2.1'), come('192.0.2.1')]
    first.end()
    const later = [come('192.0.2.1'), come('192.0.2.1')]
    expect(cutOf([first, second, ...later])).toEqual([false, false, false, true])
  })

  it('down to none: who comes again and again has its whole share', () => {
    const come = room()
    for (let time = 0; time < 3; time++) {
      const both = [come('192.0.2.1'), come('192.0.2.1')]
      expect(cutOf(both)).toEqual([false, false])
      for (const peer of both) peer.end()
    }
  })

  it('without those that were cut, before their end is known and after it', () => {
    const come = room()
    const [first, second, third] = [come('192.0.2.1'), come('192.0.2.1'), come('192.0.2.1')]
    first.end()
    const fourth = come('192.0.2.1')
    third.end()
    const fifth = come('192.0.2.1')
    expect(cutOf([first, second, third, fourth, fifth])).toEqual([false, false, true, false, true])
  })

  it('together where one subscriber has them all, and apart for two', () => {
    const come = room()
    const one = ['2001:db8:1:2::1', '2001:db8:1:2::2', '2001:db8:1:2::3'].map(come)
    const mapped = ['::ffff:192.0.2.1', '192.0.2.1', '::ffff:192.0.2.1'].map(come)
    const other = ['2001:db8:1:3::1', '192.0.2.2'].map(come)
    expect([cutOf(one), cutOf(mapped), cutOf(other)]).toEqual([
      [false, false, true],
      [false, false, true],
      [false, false],
    ])
  })

  it.each([
    ['a proxy', '2001:db8::1'],
    ['a Unix socket', undefined],
  ])('of no one behind %s', (_, address) => {
    const come = room(['2001:db8::1'])
    expect(cutOf(Array.from({ length: 5 }, () => come(address)))).not.toContain(true)
    expect(cutOf(Array.from({ length: 3 }, () => come('2001:db8::2')))).toEqual([false, false, true])
  })
})
