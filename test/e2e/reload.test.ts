import { existsSync } from 'node:fs'
import { Agent as HttpAgent } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  AgentHome,
  AgentProcess,
  audience,
  type ConfigurationLines,
  callerRule,
  ownRule,
  problemOf,
} from '../support/agent-process.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'

/** SIGHUP: the new configuration as a whole, or the former one (BRK-142). */

const other = 'https://other.example'
const more = callerRule('more', `uid = ${process.getuid?.()}`, [other])
const standard: ConfigurationLines = { agent: [], tpm: [], issuer: [], rules: [ownRule] }

describe.skipIf(!haveSwtpm)('SIGHUP', () => {
  const { machine, folder } = useTpmMachine()
  let agent: AgentProcess
  beforeAll(async () => {
    agent = await AgentProcess.start(new AgentHome(join(folder, 'agent'), machine()))
  })
  afterAll(() => agent?.stop())

  const reloads = () => agent.log.split('"event":"reloaded"').length - 1
  async function reload(change: ConfigurationLines): Promise<void> {
    const before = reloads()
    agent.home.configure(change)
    agent.signal('SIGHUP')
    await agent.until(() => reloads() === before + 1, 'reloaded')
  }

  it('during the start is heard afterwards', async () => {
    await agent.stop()
    agent = await AgentProcess.spawn(agent.home)
    await agent.until(() => existsSync(`/proc/${agent.pid}`) && agent.log !== '', 'begun').catch(() => undefined)
    agent.signal('SIGHUP')
    await agent.untilReady()
    await agent.until(() => reloads() === 1, 'reloaded')
  })

  it('takes a new rule into force, and connections stay', async () => {
    const keepAlive = new HttpAgent({ keepAlive: true, maxSockets: 1 })
    const ask = (name: string) => agent.ask(`/v1/token?audience=${encodeURIComponent(name)}`, { keepAlive })
    expect((await ask(other)).status).toBe(403)
    const token = (await ask(audience)).body
    const [socket] = Object.values(keepAlive.freeSockets).flat()
    await reload({ rules: [ownRule, more] })
    expect((await ask(other)).status).toBe(200)
    expect((await ask(audience)).body).toBe(token)
    expect(Object.values(keepAlive.freeSockets).flat()).toEqual([socket])
    await reload(standard)
    expect((await ask(other)).status).toBe(403)
    keepAlive.destroy()
  })

  it('of an issuer with another lifetime drops the tokens of the former one', async () => {
    const token = await agent.token()
    await reload({ issuer: ['url = "https://issuer.example"', 'lifetime = "5m"'] })
    expect(await agent.token()).not.toBe(token)
    await reload(standard)
  })

  it.each<[string, ConfigurationLines, RegExp]>([
    [
      'an unknown key',
      { agent: ['log_levle = "debug"'] },
      /attestd\.toml:3: agent\.log_levle .*did you mean log_level/,
    ],
    [
      'a rule that is not valid',
      { rules: [callerRule('bad', 'uid = "nobody-here"', [audience])] },
      /attestd\.toml:\d+: callers\.rules\[0\]\.match\.uid .*nobody-here/,
    ],
    ['text that is no TOML', { rules: ['[[callers.rules'] }, /attestd\.toml:\d+:\d+: /],
    ['another TPM', { tpm: ['tcti = "swtpm:path=/nowhere"'] }, /a change of tpm needs a restart/],
    ['another issuer', { issuer: ['url = "https://elsewhere.example"'] }, /a change of issuer\.url needs a restart/],
  ])('with %s keeps the former configuration, and status says so', async (_, change, says) => {
    const token = await agent.token()
    const before = reloads()
    agent.home.configure(change)
    agent.signal('SIGHUP')
    await agent.until(async () => (await agent.status()).configurationError !== null, 'refused')
    expect((await agent.status()).configurationError).toMatch(says)
    expect(reloads()).toBe(before)
    expect(await agent.token()).toBe(token)
    const asked = await agent.ask('/v1/admin/reload', { socket: 'admin', method: 'POST' })
    expect([asked.status, problemOf(asked)['errors']]).toEqual([422, [expect.stringMatching(says)]])
    await reload(standard)
    expect((await agent.status()).configurationError).toBe(null)
  })

  it('in a storm ends nothing, and the file that was written last is in force', async () => {
    for (let round = 0; round < 40; round++) {
      agent.home.configure({ rules: round % 2 === 0 ? [ownRule] : [ownRule, more] })
      agent.signal('SIGHUP')
      expect((await agent.askToken()).status).toBe(200)
    }
    await agent.until(async () => (await agent.askToken({ audience: other })).status === 200, 'in force')
    await agent.until(async () => (await agent.status()).configurationError === null, 'sound')
    expect((await agent.askToken({ audience: other })).status).toBe(200)
  })
})
