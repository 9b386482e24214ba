import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AgentAnswer, AgentHome, AgentProcess, audience, partOf, problemOf } from '../support/agent-process.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'
import { commandCodes } from '../support/tpm-tap.ts'

/** The TPM of a running agent goes away, hangs, loses its power or is another one. */

describe.skipIf(!haveSwtpm)('when the TPM', () => {
  const { machine, folder } = useTpmMachine()
  let agent: AgentProcess
  let audiences = 0
  const anotherAudience = () => `${audience}/${++audiences}`
  const quotes = () => machine().tap.count(commandCodes.quote)

  beforeAll(async () => {
    const home = new AgentHome(join(folder, 'agent'), machine(), { tpm: ['timeout = "2s"'] })
    agent = await AgentProcess.start(home)
  })
  afterAll(() => agent?.stop())

  const ready = async () => {
    const { status, body } = await agent.ask('/readyz')
    return { status, ...(JSON.parse(body) as { ready: boolean; reasons?: string[] }) }
  }
  function expectUnavailable(answer: AgentAnswer): void {
    expect(answer.status, answer.body).toBe(503)
    expect(problemOf(answer)).toMatchObject({ code: 'evidence_unavailable', retryable: true })
    expect(String(problemOf(answer)['cause_code'])).toMatch(/^TPM_/)
    expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1)
  }

  it('is switched off: the token at hand is served, others are 503, and readiness says why', async () => {
    const token = await agent.token()
    await machine().powerOff()
    expectUnavailable(await agent.askToken({ audience: anotherAudience(), timeout_ms: 3000 }))
    expect(await agent.token()).toBe(token)
    const { status, reasons } = await ready()
    expect([status, reasons]).toEqual([503, [expect.stringMatching(/^tpm:TPM_/)]])
    await agent.until(() => /"event":"tpm_failed","tpm":"[^"]+","code":"TPM_/.test(agent.log), 'saying so in the log')
  })

  it('is back: the agent notices without being asked', { timeout: 100_000 }, async () => {
    await machine().powerOn()
    await agent.until(async () => (await ready()).status === 200, 'ready again', 95_000)
    expect(partOf(await agent.token({ audience: anotherAudience() }), 'payload')).toMatchObject({ tee: 'tpm' })
  })

  it('hangs: who waits is told in time, the token at hand is served meanwhile, and work goes on later', async () => {
    const token = await agent.token()
    machine().freeze()
    const started = performance.now()
    const waiting = agent.askToken({ audience: anotherAudience(), timeout_ms: 1000 })
    expect(await agent.token()).toBe(token)
    const { status, body } = await waiting
    expect([status, JSON.parse(body).code]).toEqual([504, 'deadline_exceeded'])
    expect(performance.now() - started).toBeLessThan(5000)
    machine().thaw()
    await agent.until(async () => (await agent.askToken({ audience: anotherAudience() })).status === 200, 'issuing')
  })

  it('lost its power and nothing was measured: evidence is refused, and the token at hand goes', async () => {
    await agent.token()
    const before = quotes()
    await machine().tap.powerCycle()
    const refused = await agent.askToken({ audience: anotherAudience() })
    expect(refused.status, refused.body).toBe(502)
    expect(problemOf(refused)).toMatchObject({ code: 'issuer_rejected', retryable: false })
    expect(String(problemOf(refused)['findings'])).toMatch(/^tpm\.[\w.-]+(?:, tpm\.[\w.-]+)*$/)
    expect(quotes()).toBeGreaterThan(before)
    await agent.ask('/v1/admin/refresh', { socket: 'admin', body: { audience } })
    await agent.until(async () => (await agent.askToken()).status === 502, 'evicted')
    const { affirmed, findings } = (await agent.status()).appraisals.evidence
    expect(affirmed).toBe(false)
    expect(findings.some(({ outcome }: { outcome: string }) => outcome === 'failed')).toBe(true)
  })

  it('has been measured since: the new boot is affirmed with new evidence', async () => {
    await machine().measure()
    const before = quotes()
    await agent.ask('/v1/admin/refresh', { socket: 'admin', body: { all: true } })
    await agent.until(async () => (await agent.askToken()).status === 200, 'issuing')
    expect(quotes()).toBeGreaterThan(before)
  })

  it('was switched off and on with its machine: the counters of the new boot are taken', async () => {
    const ofTpm = (token: string) => partOf(token, 'payload')['tpm'] as { reset_count: number; new_boot: boolean }
    const before = ofTpm(await agent.token({ fresh: true }))
    expect(before.new_boot).toBe(false)
    await machine().powerOff()
    await machine().powerOn()
    let answer = await agent.askToken({ fresh: true })
    await agent.until(async () => {
      if (answer.status !== 200) answer = await agent.askToken({ fresh: true })
      return answer.status === 200
    }, 'issuing')
    expect(ofTpm(answer.body)).toMatchObject({ reset_count: before.reset_count + 1, new_boot: true })
    expect(ofTpm(await agent.token({ fresh: true }))).toMatchObject({ new_boot: false })
  })

  it('is not there at the start: the agent runs and says so, and serves as soon as it comes', async () => {
    await agent.stop()
    await machine().powerOff()
    agent = await AgentProcess.start(agent.home)
    await agent.until(async () => (await ready()).status === 503, 'not ready')
    expect((await ready()).reasons).toEqual([expect.stringMatching(/^tpm:TPM_/)])
    expectUnavailable(await agent.askToken({ timeout_ms: 1000 }))
    await machine().powerOn()
    await agent.until(async () => (await ready()).status === 200, 'ready')
    await agent.until(async () => (await agent.askToken()).status === 200, 'issuing')
  })

  it('is another one: that is said, and no key is made for it', async () => {
    const file = join(agent.home.stateDirectory, 'ak')
    const kept = readFileSync(file)
    await machine().exchangeTpm()
    const told = async () => {
      let answer = await agent.askToken({ audience: anotherAudience() })
      await agent.until(async () => {
        if (problemOf(answer)['cause_code'] !== 'AK_LOST')
          answer = await agent.askToken({ audience: anotherAudience() })
        return problemOf(answer)['cause_code'] === 'AK_LOST'
      }, 'told')
      return [answer.status, problemOf(answer)['code']]
    }
    expect(await told()).toEqual([503, 'evidence_unavailable'])
    expect(machine().tap.count(commandCodes.create)).toBe(0)
    expect(readFileSync(file)).toEqual(kept)
    await agent.stop()
    agent = await AgentProcess.start(agent.home)
    expect(await told()).toEqual([503, 'evidence_unavailable'])
    expect(machine().tap.count(commandCodes.create)).toBe(0)
    expect(readFileSync(file)).toEqual(kept)
  })
})
