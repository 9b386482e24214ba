import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AgentHome, AgentProcess, audience, freePort, partOf } from '../support/agent-process.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { tokensIn } from '../support/tokens-in.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'

/** What an agent lets out besides the tokens that it is asked for: nothing (API-110). */

/** Forms in which a text could be written down. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret)
  return [
    secret,
    bytes.toString('hex'),
    bytes.toString('base64'),
    bytes.toString('base64url'),
    encodeURIComponent(secret),
  ]
}

/** Texts of the state directory that are secret: members of private keys, and the private area of the TPM key. */
function keptSecrets(stateDirectory: string): string[] {
  const keys: unknown = JSON.parse(readFileSync(join(stateDirectory, 'issuer-keys.json'), 'utf8'))
  const texts: string[] = []
  const walk = (value: unknown) => {
    if (typeof value === 'string') texts.push(value)
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(walk)
  }
  walk(keys)
  const ak = readFileSync(join(stateDirectory, 'ak'))
  return [
    ...texts.filter((text) => text.length >= 80),
    ak.toString('hex').slice(40, 140),
    ak.toString('base64').slice(40, 140),
  ]
}

describe.skipIf(!haveSwtpm).concurrent('an agent that logs every detail', () => {
  const { machine, folder } = useTpmMachine()
  let agent: AgentProcess
  const secrets = new Set<string>()
  const nonces = Array.from({ length: 3 }, () => randomBytes(24).toString('base64url'))
  beforeAll(async () => {
    const issuer = `127.0.0.1:${await freePort()}`
    const home = new AgentHome(join(folder, 'agent'), machine(), {
      agent: ['log_level = "debug"'],
      issuer: [`url = "http://${issuer}"`, `listen = "${issuer}"`, 'allow_http_loopback = true'],
      broker: [`warm = ["${audience}/warm"]`],
    })
    agent = await AgentProcess.start(home)
  })
  afterAll(() => agent?.stop())

  function noteToken(token: string): void {
    const [header = '', payload = '', signature = ''] = token.split('.')
    for (const secret of [token, `${header}.${payload}`, payload, signature]) secrets.add(secret)
  }

  it('writes no token, nonce, signature or key, whatever happens', async () => {
    for (const name of [audience, `${audience}/warm`, `${audience}/other`])
      noteToken(await agent.token({ audience: name }))
    noteToken(await agent.token({ nonces }))
    noteToken(await agent.token({ fresh: true }))
    // What fails is logged more often than what works.
    const failing = [
      agent.askToken({ nonces: [`${nonces[0]}\u0000`] }),
      agent.askToken({ nonces: nonces.slice(0, 1), audience: 'https://forbidden.example' }),
      agent.ask(`/v1/token?audience=${nonces[1]}&nonces=${nonces[1]}`),
      agent.ask(`/v1/${nonces[2]}`),
      agent.askToken({ min_valid_s: 86_400 }),
      agent.askToken({ unknown: nonces[2] }),
    ]
    for (const { status } of await Promise.all(failing)) expect(status).toBeGreaterThanOrEqual(400)
    agent.signal('SIGHUP')
    await agent.ask('/v1/admin/refresh', { socket: 'admin', body: { all: true } })
    await agent.until(
      async () => (await agent.status()).broker.entries.every((entry: { generation: number }) => entry.generation > 1),
      'refreshed',
    )
    noteToken(await agent.token())
    await machine().powerOff()
    expect((await agent.askToken({ nonces, timeout_ms: 1000 })).status).toBe(503)
    const status = JSON.stringify(await agent.status())
    const state = keptSecrets(agent.home.stateDirectory)
    expect(state.length).toBeGreaterThan(2)
    await agent.stop()
    for (const secret of [...nonces, ...state]) secrets.add(secret)
    expect(agent.log.split('"msg":"request answered"').length).toBeGreaterThan(10)
    for (const secret of secrets) {
      for (const form of formsOf(secret))
        expect([agent.log.includes(form), status.includes(form)]).toEqual([false, false])
    }
    expect(tokensIn(agent.log)).toEqual([])
    expect(agent.log).not.toContain('PRIVATE')
  })
})

describe.skipIf(!haveSwtpm).concurrent('tokens of a short life', () => {
  const { machine, folder } = useTpmMachine()
  let agent: AgentProcess
  beforeAll(async () => {
    const issuer = ['url = "https://issuer.example"', 'lifetime = "60s"']
    agent = await AgentProcess.start(new AgentHome(join(folder, 'agent'), machine(), { issuer }))
  })
  afterAll(() => agent?.stop())

  it('never have less left than was asked for', async () => {
    const seen = new Set<unknown>()
    const end = performance.now() + 20_000
    while (performance.now() < end && seen.size < 2) {
      const askedS = Date.now() / 1000
      const { exp, iat, jti } = partOf(await agent.token({ min_valid_s: 55 }), 'payload') as Record<string, number>
      expect((exp ?? 0) - (iat ?? 0)).toBe(60)
      expect((exp ?? 0) - askedS).toBeGreaterThanOrEqual(55)
      seen.add(jti)
      await new Promise((wake) => setTimeout(wake, 50))
    }
    // After five seconds the first one was too old, and another was issued in its place.
    expect(seen.size).toBe(2)
    const { status, body } = await agent.askToken({ audience: `${audience}/other`, min_valid_s: 56 })
    expect([status, JSON.parse(body)]).toMatchObject([409, { code: 'min_valid_unattainable', max_valid_s: 55 }])
  })
})
