import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ClientProcess, withClient } from '../support/client-process.ts'
import { haveEmptyNetworks } from '../support/empty-network.ts'

/** What the tests with real clients rest on: no client reaches another host than its double (RC-05). */

async function listen(): Promise<Server> {
  const server = createServer((socket) => socket.on('error', () => undefined).resume())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}
const portOf = (server: Server) => (server.address() as AddressInfo).port

describe('a client in a process of its own', () => {
  let double: Server
  let other: Server
  beforeAll(async () => {
    double = await listen()
    other = await listen()
  })
  afterAll(() => {
    double?.close()
    other?.close()
  })
  const environment = () => ({ DOUBLE: `http://127.0.0.1:${portOf(double)}/` })

  it('is noticed when it asks for another host, and its test fails (RC-05)', async () => {
    const client = await ClientProcess.start('reach', environment())
    expect(await client.ask('192.0.2.1 80')).toMatchObject({ ok: false, code: 'ENETUNREACH' })
    await expect(client.stop()).rejects.toThrow('asked for another host: 192.0.2.1')
  })

  describe.skipIf(!haveEmptyNetworks)('in a network namespace of its own', () => {
    it('reaches the double that its environment names, and no other server of this host (RC-05)', async () => {
      await withClient('reach', environment(), async (client) => {
        const reached = await client.ask(`127.0.0.1 ${portOf(double)}`)
        expect(reached).toEqual({ ok: true, value: { networks: ['lo'] } })
        const refused = await client.ask(`127.0.0.1 ${portOf(other)}`)
        expect(refused).toMatchObject({ ok: false, code: 'ECONNREFUSED' })
      })
    })

    it('finds the double at the address that it has built in, and nothing else there', async () => {
      const [address, port] = ['100.100.100.200', 80]
      const elsewhere = [{ address, port, to: portOf(double) }]
      await withClient(
        'reach',
        {},
        async (client) => {
          expect(await client.ask(`${address} ${port}`)).toMatchObject({ ok: true })
          expect(await client.ask(`${address} 443`)).toMatchObject({ ok: false, code: 'ECONNREFUSED' })
        },
        { elsewhere },
      )
    })
  })
})
