import { once } from 'node:events'
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
