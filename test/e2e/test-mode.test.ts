import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AgentProcess, audience, partOf, problemOf } from '../support/agent-process.ts'
import { makeMemoryFolder } from '../support/memory-folder.ts'
import { runAttestd } from '../support/run-command.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { eagerHome, logged, readiness, startAt, toldAnew } from '../support/td-agent.ts'
import { useTdMachine } from '../support/td-machine.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'

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

  it.each([
    [['--test-seed', '7'], 78, '--test-seed needs --test-mode'],
    [['--test-mode', '--test-seed', '-1'], 64, 'must be a whole number'],
    [['--test-mode', '--test-seed', '9007199254740992'], 64, 'must be a whole number'],
    [['--test-mode', '--test-seed', '07'], 64, 'must be a whole number'],
  ])('refuses a seed with %j', async (more, code, says) => {
    const refused = await runAttestd(['run', '--config', agent.home.configurationFile, '--allow-root', ...more])
    expect(refused).toMatchObject({ code, err: expect.stringContaining(says) })
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

  const inject = (fault: object) => agent.ask('/v1/admin/test/fault', { socket: 'admin', body: fault })

  it.each([
    ['no step', { kind: 'EBUSY' }, 'step'],
    ['a step that is none', { step: 'reboot', kind: 'EBUSY' }, 'step'],
    ['a kind that is none', { step: 'outblob', kind: 'EWHAT' }, 'kind'],
    ['a kind of another step', { step: 'mkdir', kind: 'empty' }, 'kind'],
    ['no delay', { step: 'outblob', kind: 'slow' }, 'latency_ms'],
    ['more than ten minutes', { step: 'outblob', kind: 'slow', latency_ms: 600_001 }, 'latency_ms'],
    ['never', { step: 'outblob', kind: 'EBUSY', times: 0 }, 'times'],
    ['a member that is not known', { step: 'outblob', kind: 'EBUSY', code: 1 }, 'code'],
  ])('takes no fault with %s (BRK-170)', async (_, fault, field) => {
    const answer = await inject(fault)
    expect([answer.status, problemOf(answer)]).toMatchObject([400, { code: 'invalid_request', field }])
  })

  it('stays in force with its bounds when the configuration is read again', async () => {
    const { status } = await agent.ask('/v1/admin/reload', { socket: 'admin', method: 'POST' })
    expect([status, await payload()]).toMatchObject([200, { attestd: { simulated: true } }])
  })

  it('is not on the socket of workloads, and nowhere without the switch', async () => {
    const fault = { step: 'outblob', kind: 'EBUSY' }
    expect((await agent.ask('/v1/admin/test/clock', { body: {} })).status).toBe(404)
    expect((await agent.ask('/v1/admin/test/fault', { body: fault })).status).toBe(404)
    const plain = await startAt(eagerHome(join(folder, 'plain'), machine()))
    expect((await plain.ask('/v1/admin/test/clock', { socket: 'admin', body: {} })).status).toBe(404)
    expect((await plain.ask('/v1/admin/test/fault', { socket: 'admin', body: fault })).status).toBe(404)
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

describe('a workload beside devices with scripted faults (BRK-170)', () => {
  const { machine, folder } = useTdMachine()
  let agent: AgentProcess
  beforeAll(async () => {
    const home = eagerHome(join(folder, 'faulty'), machine(), { tdx: ['timeout = "3s"'] })
    agent = await startAt(home, { options })
    await agent.token()
  })
  afterAll(() => agent?.stop())

  const inject = async (fault: object) => {
    expect((await agent.ask('/v1/admin/test/fault', { socket: 'admin', body: fault })).status).toBe(200)
  }
  const unavailable = (cause: string) => [503, 'evidence_unavailable', cause]

  it.each([
    ['is busy beyond its time', { step: 'outblob', kind: 'EBUSY', times: 1000 }, 'quote_timeout'],
    ['gives no bytes', { step: 'outblob', kind: 'empty', times: 1000 }, 'quote_empty'],
    ['quotes other report data', { step: 'inblob', kind: 'other_report_data', times: 1000 }, 'quote_echo_mismatch'],
    ['is not there', { step: 'mkdir', kind: 'ENOENT', times: 1000 }, 'tsm_absent'],
  ])('is told when the TD %s, has the token at hand meanwhile, and a new one afterwards', async (_, fault, cause) => {
    const token = await agent.token()
    await inject(fault)
    expect(await toldAnew(agent, { timeout_ms: 20_000 })).toEqual(unavailable(cause))
    expect(await agent.token()).toBe(token)
    await agent.until(async () => (await readiness(agent)).reasons.includes(`tdx:${cause}`), 'not ready')
    await inject({ step: fault.step, kind: 'none' })
    await agent.until(async () => (await toldAnew(agent))[0] === 200, 'serving anew')
    expect((await readiness(agent)).status).toBe(200)
  })

  it('waits for a TD that is busy for a moment, and for a slow one within its own deadline', async () => {
    await inject({ step: 'outblob', kind: 'EBUSY', times: 2 })
    expect(await toldAnew(agent, { timeout_ms: 20_000 })).toEqual([200])
    await inject({ step: 'outblob', kind: 'slow', latency_ms: 1_500 })
    expect(await toldAnew(agent, { timeout_ms: 100 })).toEqual([504, 'deadline_exceeded'])
    expect(await toldAnew(agent, { timeout_ms: 20_000 })).toEqual([200])
  })

  it('has a TD that is stuck: no other quote begins until it answers', async () => {
    const { length } = machine().quoted
    await inject({ step: 'outblob', kind: 'slow', latency_ms: 600_000 })
    expect(await toldAnew(agent, { timeout_ms: 20_000 })).toEqual(unavailable('quote_stuck'))
    expect((await readiness(agent)).reasons).toEqual(['tdx:quote_stuck'])
    expect((await toldAnew(agent, { timeout_ms: 20_000 }))[0]).toBe(503)
    expect(machine().quoted).toHaveLength(length)
    // Ten minutes pass for the device; tokens that are over meanwhile are asked for anew.
    const by = { wall_ms: 600_000, mono_ms: 600_000, boot_ms: 600_000 }
    expect((await agent.ask('/v1/admin/test/clock', { socket: 'admin', body: by })).status).toBe(200)
    await agent.until(async () => (await toldAnew(agent))[0] === 200, 'serving anew')
  })
})

describe.skipIf(!haveSwtpm)('a workload beside a TPM with scripted faults (BRK-170)', () => {
  const { machine, folder } = useTpmMachine()

  it('is told when commands to the TPM fail, and has a token when they do not any more', async () => {
    const home = eagerHome(join(folder, 'faulty'), machine())
    const agent = await startAt(home, { options })
    const inject = (kind: string) =>
      agent.ask('/v1/admin/test/fault', { socket: 'admin', body: { step: 'tpm', kind, times: 1000 } })
    await agent.token()
    await inject('EIO')
    expect(await toldAnew(agent, { timeout_ms: 20_000 })).toEqual([
      503,
      'evidence_unavailable',
      expect.stringMatching(/^TPM_/),
    ])
    await inject('none')
    await agent.until(async () => (await toldAnew(agent))[0] === 200, 'serving anew', 20_000)
    await agent.stop()
  })
})
