import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import {
  AgentHome,
  AgentProcess,
  audience,
  type ConfigurationLines,
  freePort,
  problemOf,
} from '../support/agent-process.ts'
import { RawClient } from '../support/raw-http.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'

/** How a running agent ends (BRK-143), and that no signal opens it to others (BRK-144). */

const tokenLine = `GET /v1/token?audience=${encodeURIComponent(audience)} HTTP/1.1\r\n\r\n`

/** A machine of its own, and agents that end with their test. */
function useAgents() {
  const { machine, folder } = useTpmMachine()
  let home: AgentHome | undefined
  const started: AgentProcess[] = []
  afterEach(async () => {
    machine().thaw()
    await Promise.all(started.splice(0).map((agent) => agent.kill()))
    await machine().tap.flush()
  })
  return {
    machine,
    async start(lines: ConfigurationLines = {}): Promise<AgentProcess> {
      home ??= new AgentHome(join(folder, 'agent'), machine())
      home.configure({ issuer: [], ...lines })
      const agent = await AgentProcess.start(home)
      started.push(agent)
      return agent
    },
  }
}

const stopping = (agent: AgentProcess) => agent.until(() => agent.log.includes('"event":"stopping"'), 'stopping')
const waiters = (agent: AgentProcess, count: number) =>
  agent.until(async () => (await agent.status()).broker.waiters === count, 'waited for')

describe.skipIf(!haveSwtpm).concurrent('a signal', () => {
  const { start } = useAgents()

  it.sequential('SIGTERM ends an idle agent with 0, and its sockets are gone', async () => {
    const agent = await start()
    const idle = new RawClient(agent.home.path('api.sock')).write(tokenLine)
    await idle.answers(1)
    expect(await agent.stop()).toEqual({ code: 0, signal: null })
    await idle.closed
    for (const socket of ['api.sock', 'admin.sock']) expect(existsSync(agent.home.path(socket))).toBe(false)
  })

  it.sequential('SIGTERM leaves requests in flight their answer', async () => {
    const agent = await start()
    const waiting = Array.from({ length: 5 }, () => new RawClient(agent.home.path('api.sock')).write(tokenLine))
    await waiters(agent, waiting.length)
    agent.signal('SIGTERM')
    const answers = await Promise.all(waiting.map(async (client) => (await client.rest())[0]))
    expect(answers.map((answer) => answer?.status)).toEqual([200, 200, 200, 200, 200])
    expect(await agent.exited).toEqual({ code: 0, signal: null })
  })

  it.sequential('SIGTERM ends the agent although peers dawdle', async () => {
    const [host, port] = ['127.0.0.1', await freePort()]
    const address = `${host}:${port}`
    const issuer = [`url = "http://${address}"`, `listen = "${address}"`, 'allow_http_loopback = true']
    const agent = await start({ issuer })
    const half = 'GET /.well-known/openid-configuration HTTP/1.1\r\nHost: '
    const dawdlers = [connect({ host, port }), connect(agent.home.path('api.sock'))]
    await Promise.all(dawdlers.map((dawdler) => once(dawdler, 'connect')))
    for (const dawdler of dawdlers) dawdler.on('error', () => undefined).write(half)
    const at = performance.now()
    expect(await agent.stop()).toEqual({ code: 0, signal: null })
    expect(performance.now() - at).toBeLessThan(5_000)
    for (const dawdler of dawdlers) dawdler.destroy()
  })

  it.sequential('SIGUSR1 opens no inspector, it turns the details of the log on and off', async () => {
    const agent = await start()
    const details = () => agent.log.split('"msg":"request answered"').length - 1
    await agent.token()
    expect(details()).toBe(0)
    agent.signal('SIGUSR1')
    const tellingDetails = async () => {
      const before = details()
      await agent.token()
      await agent.token()
      return details() > before
    }
    await agent.until(tellingDetails, 'telling details')
    agent.signal('SIGUSR1')
    await agent.until(async () => !(await tellingDetails()), 'telling no details')
    expect(agent.log).not.toContain('Debugger listening')
  })
})

describe.skipIf(!haveSwtpm).concurrent('a signal while the TPM hangs', () => {
  const { machine, start } = useAgents()

  it.sequential('SIGTERM ends the agent within 10 s, and who waits is told', { timeout: 30_000 }, async () => {
    const agent = await start()
    const token = await agent.token()
    const connected = new RawClient(agent.home.path('api.sock')).write(tokenLine)
    await connected.answers(1)
    machine().freeze()
    const waiting = agent.askToken({ audience: `${audience}/waiting` })
    await waiters(agent, 1)
    const at = performance.now()
    agent.signal('SIGTERM')
    await stopping(agent)
    const [, cached] = await connected.write(tokenLine).answers(2)
    expect([cached?.status, cached?.body]).toEqual([200, token])
    const answer = await waiting
    expect([answer.status, problemOf(answer)['code']]).toEqual([503, 'draining'])
    expect(await agent.exited).toEqual({ code: 0, signal: null })
    expect(performance.now() - at).toBeLessThan(10_000)
  })

  it.sequential('SIGTERM a second time ends the agent at once', async () => {
    const agent = await start()
    machine().freeze()
    const waiting = agent.askToken().catch(() => undefined)
    await waiters(agent, 1)
    agent.signal('SIGTERM')
    await stopping(agent)
    const at = performance.now()
    agent.signal('SIGTERM')
    expect((await agent.exited).code).not.toBe(0)
    // One signal alone leaves 5 s to who waits.
    expect(performance.now() - at).toBeLessThan(4_000)
    await waiting
  })
})
