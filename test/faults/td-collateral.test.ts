import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { PccsFault } from '../../mocks/tdx/pccs-faults.ts'
import { type AgentHome, type AgentProcess, audience, partOf } from '../support/agent-process.ts'
import { askAnew, eagerHome, logged, readiness, startAt, startEager, toldAnew } from '../support/td-agent.ts'
import { TdMachine, useTdMachine } from '../support/td-machine.ts'

/** The service that speaks for the maker fails, lies, or is gone, before and while an agent runs (TDX-200 to TDX-215). */

const hour = 3_600_000
const missing = (cause: string) => [503, 'evidence_unavailable', cause]

const collateralOf = (token: string) =>
  (partOf(token, 'payload') as { tcb: { collateral: Record<string, string> } }).tcb.collateral

describe('a service of collateral that', () => {
  const { machine, folder } = useTdMachine()
  let agent: AgentProcess | undefined
  let homes = 0
  const home = (verifier: readonly string[] = []) =>
    eagerHome(join(folder, `agent-${homes++}`), machine(), { verifier })
  const started = async (of: AgentHome) => {
    agent = await startAt(of)
    return agent
  }
  afterEach(async () => {
    await agent?.stop()
    await machine().switchOnPccs()
    machine().pccs.faults.clear()
    machine().pccs.publish({})
  })

  it('does not answer when the agent starts, is asked again until it does', async () => {
    await machine().switchOffPccs()
    const running = await started(home())
    // A connection that is refused is tried again before the item is given up.
    expect(await toldAnew(running, { timeout_ms: 300 })).toEqual([504, 'deadline_exceeded'])
    expect(await toldAnew(running)).toEqual(missing('collateral_unavailable'))
    expect(await readiness(running)).toEqual({ status: 200, reasons: [] })
    expect(logged(running, 'collateral_source_failed')[0]).toMatchObject({ level: 40, code: 'collateral_unavailable' })
    await machine().switchOnPccs()
    await running.until(async () => (await toldAnew(running))[0] === 200, 'serving', 15_000)
    expect((await running.status()).td.collateral.length).toBe(4)
  })

  it('goes away later is not missed: not by the agent, and not by the one after it', async () => {
    const own = home()
    const running = await started(own)
    await running.token()
    await machine().switchOffPccs()
    expect(await toldAnew(running)).toEqual([200])
    await running.stop()
    const next = await started(own)
    expect(await toldAnew(next)).toEqual([200])
    expect(logged(next, 'collateral_obtained')).toEqual([])
    await machine().switchOnPccs()
  })

  it('is not there, and what was kept was changed on the disk: it is not used, and said', async () => {
    const own = home()
    await (await started(own)).token()
    await agent?.stop()
    const kept = join(own.stateDirectory, 'collateral')
    const file = join(kept, readdirSync(kept).find((name) => name.includes('tcb-info')) ?? '')
    writeFileSync(file, readFileSync(file, 'utf8').replace('OutOfDate', 'UpToDate_'), { mode: 0o600 })
    await machine().switchOffPccs()
    const running = await started(own)
    expect(await toldAnew(running)).toEqual(missing('collateral_unavailable'))
    expect(logged(running, 'collateral_stored_unusable').length).toBe(1)
    await machine().switchOnPccs()
    await running.until(async () => (await toldAnew(running))[0] === 200, 'serving', 15_000)
  })

  it('published expired collateral gives a token only within the grace, and the token says so', async () => {
    const period = { issued: Date.now() - 48 * hour, nextUpdate: Date.now() - hour }
    machine().pccs.publish({ periods: { tcbInfo: period } })
    expect(await toldAnew(await started(home()))).toEqual(missing('collateral_expired'))
    await agent?.stop()
    const lenient = await started(home(['collateral_grace = "2h"']))
    const { tdx } = partOf(await lenient.token(), 'payload') as { tdx: Record<string, unknown> }
    expect(tdx['collateral_expiration_status']).toBe('1')
    await lenient.stop()
    expect(await toldAnew(await started(home(['collateral_grace = "30m"'])))).toEqual(missing('collateral_expired'))
  })

  it('goes back to older collateral is not followed, also not by the next agent (TDX-212)', async () => {
    const own = home(['collateral_grace = "2h"'])
    const period = { issued: Date.now() - 48 * hour, nextUpdate: Date.now() - hour }
    machine().pccs.publish({ periods: { tcbInfo: period }, evaluationNumber: 19 })
    await (await started(own)).token()
    await agent?.stop()
    machine().pccs.publish({})
    const running = await started(own)
    const before = collateralOf(await running.token())
    expect(logged(running, 'collateral_rollback')[0]).toMatchObject({ level: 40 })
    machine().pccs.publish({ evaluationNumber: 20 })
    const follows = async () => {
      const answer = await askAnew(running)
      return answer.status === 200 && collateralOf(answer.body)['tcbInfo'] !== before['tcbInfo']
    }
    await running.until(follows, 'following', 15_000)
    expect(logged(running, 'collateral_raised')).not.toEqual([])
    expect((await running.status()).td.collateral).toContainEqual(
      expect.objectContaining({ item: 'tdx-tcb-info-51d0ac000000-standard', failures: 0 }),
    )
  })

  it('revokes the platform ends its tokens with the next agent', async () => {
    machine().pccs.publish({ revoked: ['pck'] })
    const running = await started(home())
    expect(await toldAnew(running)).toEqual([
      502,
      'issuer_rejected',
      'EVIDENCE_NOT_AFFIRMED',
      expect.stringContaining('tdx.pck.revocation'),
    ])
  })
})

describe('an answer that takes long', () => {
  const { machine, folder } = useTdMachine()
  let agent: AgentProcess
  beforeAll(async () => {
    agent = await startEager(join(folder, 'agent'), machine())
  })
  afterAll(() => agent?.stop())

  it('is waited for once, by all, and not by those who have less time', async () => {
    machine().pccs.faults.plan('tcbInfo', { kind: 'slow', ms: 1200 }, 1)
    const impatient = toldAnew(agent, { timeout_ms: 400 })
    const patient = Promise.all([1, 2, 3].map(() => toldAnew(agent, { timeout_ms: 8000 })))
    expect(await impatient).toEqual([504, 'deadline_exceeded'])
    expect(await patient).toEqual([[200], [200], [200]])
    expect(machine().pccs.requests.filter((target) => target.startsWith('/tdx/certification/v4/tcb?')).length).toBe(1)
  })
})

describe('a service of collateral', () => {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-pccs-'))
  let machines = 0
  beforeAll(async () => {
    const machine = await TdMachine.boot(join(folder, 'machine'))
    await (await startEager(join(folder, 'agent'), machine)).stop()
    await machine.end()
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.concurrent.each<[string, PccsFault, readonly unknown[]]>([
    ['answers with documents of a forger', { kind: 'forged' }, missing('collateral_unauthentic')],
    ['answers with half a document', { kind: 'garbage' }, missing('collateral_answer_invalid')],
    ['breaks off', { kind: 'truncated' }, missing('collateral_unavailable')],
    ['answers without end', { kind: 'oversized', bytes: 9_000_000 }, missing('collateral_unavailable')],
    ['leaves the chain out', { kind: 'chainless' }, missing('collateral_answer_invalid')],
    [
      'sends the agent elsewhere',
      { kind: 'redirect', to: 'http://127.0.0.1:9/' },
      missing('collateral_answer_invalid'),
    ],
    ['has no such platform', { kind: 'status', status: 404 }, missing('collateral_unknown_platform')],
    ['is overloaded', { kind: 'status', status: 503 }, missing('collateral_unavailable')],
  ])(
    '%s gives no token, and costs nobody more than the time that it lasts',
    async (_, fault, expected) => {
      const at = machines++
      const machine = await TdMachine.boot(join(folder, `machine-${at}`))
      try {
        machine.pccs.faults.plan('tcbInfo', fault)
        const agent = await startEager(join(folder, `agent-${at}`), machine)
        const request = { audience: `${audience}/same` }
        expect(await toldAnew(agent, request)).toEqual(expected)
        const { code, cause = code } = logged(agent, 'no_token')[0] ?? {}
        expect(cause).toBe(expected[2])
        const kept = readdirSync(join(agent.home.stateDirectory, 'collateral'))
        expect(kept.filter((name) => name.includes('tcb-info'))).toEqual([])
        machine.pccs.faults.clear()
        // What a server does not know it is asked for again after five minutes only (TDX-200).
        if (expected[2] === 'collateral_unknown_platform') return
        await agent.until(async () => (await agent.askToken(request)).status === 200, 'served', 40_000)
      } finally {
        await machine.end()
      }
    },
    90_000,
  )
})
