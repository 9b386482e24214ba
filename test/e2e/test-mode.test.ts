import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AgentProcess, audience, partOf } from '../support/agent-process.ts'
import { makeMemoryFolder } from '../support/memory-folder.ts'
import { runAttestd } from '../support/run-command.ts'
import { eagerHome, logged, startAt } from '../support/td-agent.ts'
import { useTdMachine } from '../support/td-machine.ts'

/** An agent whose clocks others move, and what keeps it away from everything that matters (BRK-170, BRK-171). */

const shortLived = { issuer: ['url = "https://issuer.example"', 'lifetime = "5s"'] }
const options = ['--test-mode']

describe('test mode', () => {
  const { machine, folder } = useTdMachine()
  let agent: AgentProcess
  const root = makeMemoryFolder()
  const file = join(root, 'token')
  beforeAll(async () => {
    const sinks = ['[[sinks]]', 'name = "one"', `path = "${file}"`, `audience = "${audience}"`].join('\n')
    const lines = { ...shortLived, tokenFiles: [`roots = ["${root}"]`], sinks: [sinks] }
    agent = await startAt(eagerHome(join(folder, 'tested'), machine(), lines), { options })
  })
  afterAll(async () => {
    await agent?.stop()
    rmSync(root, { recursive: true })
  })

  const shift = (by: object) => agent.ask('/v1/admin/test/clock', { socket: 'admin', body: by })
  const payload = async () => partOf(await agent.token(), 'payload')

  it('has tokens of a few seconds, serves them to their last one, and all of them say what they are', async () => {
    const { iat, exp, attestd } = await payload()
    expect([Number(exp) - Number(iat), attestd]).toMatchObject([5, { simulated: true }])
    expect(logged(agent, 'test_mode')).toMatchObject([{ level: 40 }])
    expect(await agent.status()).toMatchObject({ testMode: true })
    const shown = await runAttestd(['status', '--socket', agent.home.path('admin.sock')])
    expect(shown.out).toMatch(/^.*\nTEST MODE/)
  })

  it('has clocks that administrators move: tokens end with either of them', async () => {
    const { iat, jti } = await payload()
    expect((await shift({ wall_ms: 3_600_000, mono_ms: 0, boot_ms: 3_600_000 })).status).toBe(200)
    const later = await payload()
    expect(later['jti']).not.toBe(jti)
    expect(Number(later['iat']) - Number(iat)).toBeGreaterThanOrEqual(3_600)
    // Of a token that lives five seconds, and in its file but for the last one (BRK-115).
    await agent.until(() => existsSync(file), 'writing its file')
    const { body } = await agent.ask('/metrics', { socket: 'admin' })
    expect(body).toContain('attestd_clock_jump_total{kind="suspend"} 1')
  })

  it.each([
    ['a member that is not known', { wall: 1 }, 400],
    ['no integer', { wall_ms: 1.5 }, 400],
    ['more than a century', { boot_ms: 4e12 }, 400],
    ['nothing', {}, 200],
  ])('takes a shift with %s: %s %i', async (_, by, status) => {
    expect((await shift(by)).status).toBe(status)
  })

  it('stays in force with its bounds when the configuration is read again', async () => {
    const { status } = await agent.ask('/v1/admin/reload', { socket: 'admin', method: 'POST' })
    expect([status, await payload()]).toMatchObject([200, { attestd: { simulated: true } }])
  })

  it('is not on the socket of workloads, and nowhere without the switch', async () => {
    expect((await agent.ask('/v1/admin/test/clock', { body: {} })).status).toBe(404)
    const plain = await startAt(eagerHome(join(folder, 'plain'), machine()))
    expect((await plain.ask('/v1/admin/test/clock', { socket: 'admin', body: {} })).status).toBe(404)
    expect(await plain.status()).toMatchObject({ testMode: false })
    await plain.stop()
  })

  it('is what tokens of a few seconds need, and a service manager cannot have', async () => {
    const home = eagerHome(join(folder, 'refused'), machine(), shortLived)
    const ends = async (started: Promise<AgentProcess>) => {
      const refused = await started
      const { code } = await refused.exited
      return [code, /"code":"([A-Z_]+)"|^([A-Z_]+):/m.exec(refused.log)?.slice(1).find(Boolean) ?? refused.log]
    }
    expect(await ends(AgentProcess.spawn(home))).toEqual([78, expect.stringContaining('AUDIENCE_POLICY_INVALID')])
    const environment = { INVOCATION_ID: 'd6b1f4c6d3e04f0b9f3d1c0a7e2b5f10' }
    expect(await ends(AgentProcess.spawn(home, { options, environment }))).toEqual([
      78,
      expect.stringContaining('TEST_MODE_IN_SERVICE'),
    ])
    home.configure({ tpm: ['use = "required"'] })
    expect(await ends(AgentProcess.spawn(home, { options }))).toEqual([
      78,
      expect.stringContaining('TEST_MODE_REAL_DEVICE'),
    ])
  })
})
