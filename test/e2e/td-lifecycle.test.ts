import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { keepPki, rootFile } from '../../mocks/tdx/pki.ts'
import { teeTcbSvn } from '../../mocks/tdx/platform.ts'
import { parseStoredItem } from '../../src/endorser/tdx/stored-item.ts'
import { type AgentHome, AgentProcess, audience, type ConfigurationLines, problemOf } from '../support/agent-process.ts'
import { openServiceFor, remoteLines } from '../support/attestation-service.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { eagerHome, eagerRule, logged, startAt, startEager, told, toldAnew } from '../support/td-agent.ts'
import { useTdMachine } from '../support/td-machine.ts'

/** Starts, kills, stops and reloads of an agent in a TD. */

const seed = Date.now() >>> 0
const drawn = seededRandom(seed)
const draw = (below: number) => (Buffer.from(drawn(4)).readUInt32LE() / 2 ** 32) * below
const pause = (ms: number) => new Promise<void>((wake) => setTimeout(wake, ms))

/** Every item that is kept reads; what a kill left of a write has another name. */
function requireWhole(folder: string): void {
  for (const file of existsSync(folder) ? readdirSync(folder) : []) {
    if (file.startsWith('.tmp-')) continue
    expect(file).toMatch(/\.item$/)
    parseStoredItem(new Uint8Array(readFileSync(join(folder, file))), file.slice(0, -'.item'.length))
  }
}

describe(`an agent in a TD that is killed again and again (seed ${seed})`, () => {
  const { machine, folder } = useTdMachine()

  async function round(home: AgentHome, ms: number): Promise<void> {
    // Every round writes its collateral anew.
    rmSync(join(home.stateDirectory, 'collateral'), { recursive: true, force: true })
    const agent = await AgentProcess.spawn(home)
    const asking = agent.untilReady().then(
      () => Promise.allSettled([1, 2, 3].map((at) => agent.token({ audience: `${audience}/${at}` }))),
      () => undefined,
    )
    await pause(ms)
    await agent.kill()
    await asking
    requireWhole(join(home.stateDirectory, 'collateral'))
  }

  it('keeps no half of an item, and leaves no entry behind for longer than to its next start', async () => {
    await (await startEager(join(folder, 'first'), machine())).stop()
    const home = eagerHome(join(folder, 'agent'), machine())
    machine().kernel.files.quoteDelayMs = 100
    for (let at = 0; at < 20; at++) await round(home, draw(at % 2 === 0 ? 1200 : 600))
    machine().kernel.files.quoteDelayMs = 0
    await machine().kernel.files.mkdir('somebody-else')
    const agent = await startAt(home)
    expect(await machine().entries()).toEqual(['somebody-else'])
    await agent.token()
    expect(await machine().entries()).toEqual(['somebody-else'])
    await agent.stop()
    const kept = readdirSync(join(home.stateDirectory, 'collateral'))
    expect(kept.length).toBe(4)
    requireWhole(join(home.stateDirectory, 'collateral'))
  }, 60_000)
})

describe('an agent in a TD that is told to stop', () => {
  const { machine, folder } = useTdMachine()
  let homes = 0
  const started = (lines: ConfigurationLines = {}) => startEager(join(folder, `agent-${homes++}`), machine(), lines)
  const quoting = (agent: AgentProcess) =>
    agent.until(async () => (await agent.status()).td.quotes.inFlightMs !== null, 'quoting')

  it('ends the quote that somebody waits for, and leaves no entry', async () => {
    const agent = await started()
    machine().kernel.files.quoteDelayMs = 1000
    const asked = agent.askToken()
    await quoting(agent)
    const { code } = await agent.stop()
    expect(told(await asked)).toEqual([200])
    expect([code, await machine().entries()]).toEqual([0, []])
  })

  it('does not wait for a quote that does not come; the next agent removes what is left', async () => {
    const agent = await started()
    machine().kernel.files.quoteDelayMs = 15_000
    const asked = agent.askToken()
    await quoting(agent)
    const since = performance.now()
    const { code } = await agent.stop()
    expect(performance.now() - since).toBeLessThan(10_000)
    expect(code).toBe(0)
    const { status, body } = await asked
    expect([status, JSON.parse(body).code]).toEqual([503, 'draining'])
    expect((await machine().entries()).length).toBe(1)
    machine().kernel.files.quoteDelayMs = 0
    const next = await startAt(agent.home)
    // The first look of the next agent makes an entry of its own, and removes it.
    await expect.poll(() => machine().entries()).toEqual([])
    await next.stop()
  })
})

describe('SIGHUP in a TD', () => {
  const { machine, folder } = useTdMachine()
  let homes = 0
  let agent: AgentProcess
  const started = async (lines: ConfigurationLines = {}) => {
    agent = await startEager(join(folder, `agent-${homes++}`), machine(), lines)
    return agent
  }
  afterEach(async () => {
    machine().kernel.quoteOptions = {}
    machine().pccs.publish({})
    await agent?.stop()
  })
  async function reload(change: ConfigurationLines = {}): Promise<void> {
    const before = logged(agent, 'reloaded').length
    agent.home.configure(change)
    agent.signal('SIGHUP')
    await agent.until(() => logged(agent, 'reloaded').length === before + 1, 'reloaded')
  }
  const rejected = (...findings: string[]) => [502, 'issuer_rejected', 'EVIDENCE_NOT_AFFIRMED', findings.join(', ')]

  it('that accepts another TCB status, and takes that back, is in force for tokens at hand too', async () => {
    await started()
    machine().kernel.quoteOptions = { teeTcbSvn: teeTcbSvn({ platform: 'OutOfDate' }) }
    expect(await toldAnew(agent)).toEqual(rejected('tdx.policy.tcbStatus'))
    await reload({ verifier: ['tcb_statuses = ["UpToDate", "OutOfDate"]'] })
    expect(told(await agent.askToken())).toEqual([200])
    await reload({ verifier: ['tcb_statuses = ["UpToDate"]'] })
    expect(told(await agent.askToken())).toEqual(rejected('tdx.policy.tcbStatus'))
  })

  it('that accepts debug TDs, or does not any more', async () => {
    await started({ verifier: ['debug = true'] })
    machine().kernel.quoteOptions = { tdAttributes: Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0) }
    expect(told(await agent.askToken())).toEqual([200])
    await reload({ verifier: [] })
    expect(told(await agent.askToken())).toEqual(rejected('tdx.policy.debug'))
  })

  it('takes the anchors that the files hold now, for quotes and for collateral', async () => {
    const anchors = join(folder, 'anchors.pem')
    const other = join(folder, 'other')
    mkdirSync(other, { mode: 0o700 })
    keepPki(other, Date.now())
    copyFileSync(rootFile(other), anchors)
    await started({ verifier: [`tdx_anchors = ["${anchors}"]`] })
    expect(await toldAnew(agent)).toEqual([503, 'evidence_unavailable', 'collateral_unauthentic'])
    copyFileSync(machine().root, anchors)
    await reload()
    await agent.until(async () => (await toldAnew(agent))[0] === 200, 'trusting', 10_000)
    await agent.token()
    copyFileSync(rootFile(other), anchors)
    await reload()
    const [status, code, , findings] = told(await agent.askToken())
    expect([status, code]).toEqual([502, 'issuer_rejected'])
    expect(findings).toContain('tdx.pck.anchor')
  })

  it('grants expired collateral a grace, and takes it back', async () => {
    const hour = 3_600_000
    const period = { issued: Date.now() - 48 * hour, nextUpdate: Date.now() - hour }
    machine().pccs.publish({ periods: { tcbInfo: period } })
    await started()
    expect(await toldAnew(agent)).toEqual([503, 'evidence_unavailable', 'collateral_expired'])
    await reload({ verifier: ['collateral_grace = "2h"'] })
    await agent.until(async () => (await toldAnew(agent))[0] === 200, 'lenient', 10_000)
    await agent.token()
    await reload({ verifier: [] })
    expect(told(await agent.askToken({ timeout_ms: 3000 }))[0]).toBe(503)
  })

  it.each<[string, ConfigurationLines, RegExp]>([
    ['another socket of the TD', { tdx: ['simulator_socket = "/nowhere"'] }, /a change of tdx needs a restart/],
    ['another service', { collateral: ['pccs = ["https://pccs.example"]'] }, /a change of collateral needs a restart/],
    ['a TCB status that there is not', { verifier: ['tcb_statuses = ["Revoked"]'] }, /tcb_statuses/],
    ['anchors that cannot be read', { verifier: ['tdx_anchors = ["/nowhere.pem"]'] }, /\/nowhere\.pem/],
  ])('with %s leaves everything as it is', async (_, change, says) => {
    await started()
    const token = await agent.token()
    agent.home.configure(change)
    agent.signal('SIGHUP')
    await agent.until(async () => (await agent.status()).configurationError !== null, 'refused')
    expect((await agent.status()).configurationError).toMatch(says)
    expect(await agent.token()).toBe(token)
  })

  it('adds a remote verifier, and takes it away', async () => {
    const service = await openServiceFor(machine())
    const rules = [
      eagerRule.replace('audiences = [', `issuers = ["local", "alibaba"], audiences = ["${service.url}", `),
    ]
    await started({ rules })
    const asked = () => agent.askToken({ issuer: 'alibaba', audience: service.url })
    const unknown = await asked()
    expect([unknown.status, problemOf(unknown)['code']]).toEqual([400, 'invalid_request'])
    await reload({ remotes: [remoteLines(service.url)] })
    expect(told(await asked())).toEqual([200])
    await reload({ remotes: [] })
    expect((await asked()).status).toBe(400)
    await service.close()
  })
})
