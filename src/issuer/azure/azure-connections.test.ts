import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { administratorToken, type FacadeSpec, makeAzureFacade } from '../../../test/support/azure-facade.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { type ServeAzureOptions, serveAzure } from './azure-server.ts'

const opened: Socket[] = []
afterEach(() => {
  for (const socket of opened.splice(0)) socket.destroy()
})

/** A façade that is served, and what ends it. */
async function served(serving: Pick<ServeAzureOptions, 'grace'> = {}, spec: FacadeSpec = {}) {
  const facade = await makeAzureFacade(spec)
  const ending = new AbortController()
  const port = Number(new URL(facade.issuer).port)
  // The body is listened to in the same turn.
  const reading = new Promise<void>((resolve) => {
    facade.app.addHook('preParsing', async () => void setImmediate(resolve))
  })
  let ended: Promise<void> = Promise.resolve()
  await new Promise<void>((resolve, reject) => {
    const listen = { host: '127.0.0.1', port }
    ended = serveAzure(() => facade.app, { listen, ...serving, onListening: () => resolve() })(ending.signal)
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

/** What of it is a policy is the matter of whoever keeps policies. */
const whole = half.replace('Content-Length: 100', 'Content-Length: 4').replace(/ey$/, 'ey..')

/** Policies of which one is being set until it is told to go on. */
function slowlySet() {
  let [begun, goOn] = [() => {}, () => {}]
  const [hasBegun, mayGoOn] = [new Promise<void>((r) => (begun = r)), new Promise<void>((r) => (goOn = r))]
  const set = async () => {
    begun()
    await mayGoOn
    return { loaded: true, version: { policyTokenHash: 'h' }, signer: null } as const
  }
  return { policies: { active: async () => null, reset: async () => false, set }, hasBegun, goOn }
}

/** Everything that comes until the other end closes. */
function heardFrom(socket: Socket): Promise<string> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  return once(socket, 'close').then(() => Buffer.concat(chunks).toString('latin1'))
}

describe('a façade that stops', () => {
  it('answers whoever sets a policy, within its grace, and cuts handshakes and takes nobody new at once', async () => {
    const { policies, hasBegun, goOn } = slowlySet()
    const clock = new FakeClock()
    const facade = await served({ grace: { ms: 60_000, clock } }, { policies })
    const greeting = await facade.silent()
    const setting = await facade.secure()
    const heard = heardFrom(setting)
    setting.write(whole)
    await hasBegun
    const cut = once(greeting.resume(), 'close')
    const ended = facade.end()
    await cut
    await expect(facade.silent().then((late) => once(late.resume(), 'close'))).rejects.toThrow('ECONNREFUSED')
    goOn()
    // Its connection would be good for the next request, and must not hold the server.
    expect(await heard).toMatch(/^HTTP\/1\.1 200 .*connection: close.*\{"token":"/s)
    await ended
    expect([facade.bugs, clock.sleeping]).toEqual([[], 0])
  })

  it('cuts what takes longer than its grace', async () => {
    const { policies, hasBegun } = slowlySet()
    const clock = new FakeClock()
    const facade = await served({ grace: { ms: 5_000, clock } }, { policies })
    const setting = await facade.secure()
    const heard = heardFrom(setting)
    setting.write(whole)
    await hasBegun
    const ended = facade.end()
    await clock.advance(4_999)
    expect(setting.closed).toBe(false)
    await clock.advance(1)
    expect(await heard).toBe('')
    await ended
  })
})

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
