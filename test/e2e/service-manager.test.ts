import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { notifyAddress } from '../../src/platform/service-manager.ts'
import { AgentHome, AgentProcess, type StartOptions } from '../support/agent-process.ts'
import { bindReceiver, type DatagramReceiver } from '../support/datagram-receiver.ts'
import { type ListeningSocket, listenOnly } from '../support/listening-socket.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'

/** The agent below a service manager: the sockets that it is given, and what it tells. */

/** Becomes the agent, and says whom the descriptors are for, as the manager does. */
const asManager = ['sh', '-c', 'export LISTEN_PID=$$; exec "$@"', 'sh']

describe.skipIf(!haveSwtpm)('below a service manager', () => {
  const { machine, folder } = useTpmMachine()
  let home: AgentHome
  const agents: AgentProcess[] = []
  const sockets: ListeningSocket[] = []
  let receiver: DatagramReceiver | null = null
  beforeEach(() => {
    home = new AgentHome(join(folder, 'agent'), machine())
    for (const name of ['api.sock', 'admin.sock']) rmSync(home.path(name), { force: true })
  })
  afterEach(async () => {
    await Promise.all(agents.splice(0).map((agent) => agent.kill()))
    for (const socket of sockets.splice(0)) socket.close()
    receiver?.close()
    receiver = null
  })

  async function start(options: StartOptions): Promise<AgentProcess> {
    const agent = await AgentProcess.start(home, options)
    agents.push(agent)
    return agent
  }

  /** Options of a start with these sockets, which stay with the manager when the agent ends. */
  function passing(...names: readonly string[]): StartOptions {
    sockets.push(...names.map((name) => listenOnly(home.path(`${name}.sock`))))
    const environment = { LISTEN_FDS: String(names.length), LISTEN_FDNAMES: names.join(':') }
    return { wrapper: asManager, descriptors: sockets.map(({ fd }) => fd), environment }
  }

  it('serves the sockets that it is given, by name, and leaves them where they are', async () => {
    const agent = await start(passing('admin', 'api'))
    await agent.token()
    expect((await agent.status()).pid).toBe(agent.pid)
    expect((await agent.ask('/v1/admin/status')).status).toBe(404)
    expect(await agent.stop()).toEqual({ code: 0, signal: null })
    expect(['api.sock', 'admin.sock'].map((name) => existsSync(home.path(name)))).toEqual([true, true])
  })

  it('loses no caller between two instances', async () => {
    const options = passing('api', 'admin')
    const first = await start(options)
    await first.token()
    await first.stop()
    const between = first.askToken()
    const second = await start(options)
    expect((await between).status).toBe(200)
    expect((await second.status()).broker.counts.started).toBe(1)
  })

  it('binds for itself what it is not given', async () => {
    const agent = await start(passing('api'))
    await agent.token()
    expect((await agent.status()).pid).toBe(agent.pid)
    await agent.stop()
    expect(['api.sock', 'admin.sock'].map((name) => existsSync(home.path(name)))).toEqual([true, false])
  })

  it('refuses a socket that it has no use for', async () => {
    const agent = await AgentProcess.spawn(home, passing('api', 'metrics'))
    expect(await agent.exited).toEqual({ code: 78, signal: null })
    expect(agent.log).toContain('SOCKET_ACTIVATION')
  })

  it('says when it is ready, reloads, lives and stops', async () => {
    const path = home.path('notify')
    receiver = bindReceiver(notifyAddress(path) ?? new Uint8Array())
    const told: string[] = []
    const tells = (agent: AgentProcess, start: string) =>
      agent.until(() => {
        for (let next = receiver?.receive(); next; next = receiver?.receive()) told.push(next)
        return told.some((message) => message.startsWith(start))
      }, `telling ${start}`)
    const agent = await AgentProcess.spawn(home, { environment: { NOTIFY_SOCKET: path, WATCHDOG_USEC: '300000' } })
    agents.push(agent)
    await tells(agent, 'READY=1')
    expect((await agent.ask('/livez')).status).toBe(200)
    expect((await agent.status()).pid).toBe(agent.pid)
    await tells(agent, 'WATCHDOG=1')
    told.length = 0
    agent.signal('SIGHUP')
    await tells(agent, 'RELOADING=1\nMONOTONIC_USEC=')
    await tells(agent, 'READY=1')
    home.configure({ rules: ['nonsense'] })
    told.length = 0
    agent.signal('SIGHUP')
    await tells(agent, 'READY=1\nSTATUS=reload failed: ')
    agent.signal('SIGTERM')
    await tells(agent, 'STOPPING=1').catch(() => undefined)
    await agent.exited
    for (let next = receiver.receive(); next; next = receiver.receive()) told.push(next)
    expect(told).toContain('STOPPING=1')
  })
})
