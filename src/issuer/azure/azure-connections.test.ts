import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { administratorToken, makeAzureFacade } from '../../../test/support/azure-facade.ts'
import { serveAzure } from './azure-server.ts'

const opened: Socket[] = []
afterEach(() => {
  for (const socket of opened.splice(0)) socket.destroy()
})

/** A façade that is served, and what ends it. */
async function served() {
  const facade = await makeAzureFacade()
  const ending = new AbortController()
  const port = Number(new URL(facade.issuer).port)
  // The body is listened to in the same turn.
  const reading = new Promise<void>((resolve) => {
    facade.app.addHook('preParsing', async () => void setImmediate(resolve))
  })
  let ended: Promise<void> = Promise.resolve()
  await new Promise<void>((resolve, reject) => {
    ended = serveAzure(
      () => facade.app,
      { host: '127.0.0.1', port },
      () => resolve(),
    )(ending.signal)
    ended.catch(reject)
  })
  const open = async (socket: Socket, event: string) => {
    opened.push(socket.on('error', () => undefined))
    await once(socket, event)
    return socket
  }
  return {
    ...facade,
    reading,
    end: () => {
      ending.abort()
      return ended
    },
    silent: () => open(connect(port, '127.0.0.1'), 'connect'),
    secure: () => open(connectTls({ host: '127.0.0.1', port, ca: facade.ca }), 'secureConnect'),
  }
}

const half = [
  'PUT /policies/TdxVm?api-version=2020-10-01 HTTP/1.1',
  ...['Host: v', `Authorization: Bearer ${administratorToken}`, 'Content-Type: text/plain', 'Content-Length: 100'],
  ...['', 'ey'],
].join('\r\n')

describe('connections of a façade', () => {
  it('that say nothing, before their handshake or after it, do not hold up its end', async () => {
    const facade = await served()
    const sockets = [await facade.silent(), await facade.secure()]
    // Node has both: the second one would be taken after the first.
    const closed = sockets.map((socket) => once(socket.resume(), 'close'))
    const begun = performance.now()
    await facade.end()
    await Promise.all(closed)
    // A handshake may take 10 s.
    expect(performance.now() - begun).toBeLessThan(8_000)
  })

  it('that end in the middle of a body are no bug of ours, and set nothing', async () => {
    const facade = await served()
    const socket = await facade.secure()
    const gone = once(socket.resume(), 'close')
    socket.write(half)
    await facade.reading
    socket.destroy()
    await gone
    await facade.end()
    expect(facade.bugs).toEqual([])
    expect(facade.changes).toEqual([])
  })
})
