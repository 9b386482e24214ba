import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { SimulatedKernel } from '../../mocks/tdx/kernel.ts'
import { serveKernel } from '../../mocks/tdx/kernel-server.ts'
import { type PccsOptions, startPccs } from '../../mocks/tdx/pccs.ts'
import type { PccsFault } from '../../mocks/tdx/pccs-faults.ts'
import { createPki } from '../../mocks/tdx/pki.ts'
import { teeTcbSvn } from '../../mocks/tdx/platform.ts'
import { createSimulator } from '../../mocks/tdx/simulator.ts'
import { createTdxAttester, type TdxAttester } from '../../src/attester/tdx/tdx-attester.ts'
import { createTsmQuotePath } from '../../src/attester/tdx/tsm-quote.ts'
import type { Clock } from '../../src/base/clock.ts'
import type { Collateral } from '../../src/endorsements/tdx/collateral.ts'
import { createCollateralSource } from '../../src/endorser/tdx/collateral-source.ts'
import { createCollateralTransport } from '../../src/endorser/tdx/collateral-transport.ts'
import { parsePccsBase } from '../../src/endorser/tdx/pccs-base.ts'
import { createPccsSource } from '../../src/endorser/tdx/pccs-source.ts'
import type { CollateralEvent } from '../../src/endorser/tdx/ports.ts'
import { TsmSimulator } from '../../src/platform/tsm-simulator.ts'
import { appraiseTdx } from '../../src/verifier/tdx/appraise-tdx.ts'
import { authenticateCollateralItem } from '../../src/verifier/tdx/authenticate-collateral-item.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { codeOf, compareLog, knownProcesses } from '../support/tdx-guest-rig.ts'

const start = Date.UTC(2026, 5, 1)
const pki = createPki(start)
const day = 86_400_000

/**
 * Pauses between repetitions pass at once, time limits never, or, for an impatient clock, at once too when the rest of
 * the machine is idle. The wall stands where the test puts it.
 */
class HurriedClock implements Clock {
  wall = start
  impatient = false

  now(): number {
    return this.wall
  }

  monotonic(): number {
    return this.wall
  }

  boottime(): number {
    return this.wall
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (ms <= 5_000) return
    if (this.impatient) return new Promise((resolve) => setTimeout(resolve, 20))
    await new Promise((_resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
  }
}

const opened: AsyncDisposable[] = []
const folders: string[] = []
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one[Symbol.asyncDispose]()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

/** A guest whose kernel is behind the socket of the simulator, and the attester in it. */
async function guest(clock: HurriedClock) {
  const sim = createSimulator({ clock, pki })
  const kernel = new SimulatedKernel({ sim, clock, boot: { commandLine: 'root=/dev/vda1 ro quiet' } })
  const folder = mkdtempSync(join(tmpdir(), 'attestd-guest-'))
  folders.push(folder)
  const served = await serveKernel(kernel, join(folder, 'kernel.sock'))
  const simulator = new TsmSimulator(served.path)
  opened.push(served, simulator)
  const { files, registers, bootLog, runtimeLog } = simulator
  const random = seededRandom(3)
  const path = createTsmQuotePath({ files, processes: knownProcesses(), clock, random })
  const ports = { paths: [path], registers, bootLog, runtimeLog, compareLog, clock }
  return { kernel, attester: createTdxAttester({ ...ports, simulated: true }) }
}

/** The maker's service on loopback, and a source of collateral that asks it. */
async function maker(clock: HurriedClock, options: Partial<PccsOptions> = {}) {
  const pccs = await startPccs({ pki, clock, ...options })
  opened.push(pccs)
  const lifetime = new AbortController()
  opened.push({ [Symbol.asyncDispose]: async () => lifetime.abort(new Error('the test is over')) })
  const random = seededRandom(5)
  const base = parsePccsBase(`${pccs.url}/sgx/certification/v4/`, { insecure: true })
  const events: CollateralEvent[] = []
  const source = createCollateralSource({
    sources: [createPccsSource({ base, clock, random, transport: createCollateralTransport() })],
    authenticate: (item, { now }) => authenticateCollateralItem(item, { now, trustAnchors: [pki.anchor] }),
    store: null,
    clock,
    random,
    lifetime: lifetime.signal,
    report: (event) => events.push(event),
  })
  const query = { tee: 'tdx', fmspc: pki.platform.fmspc, ca: 'platform', update: 'standard' } as const
  return { pccs, events, obtain: () => source.collateralFor(query, lifetime.signal), source, query }
}

const reportData = Uint8Array.from({ length: 64 }, (_, at) => at ^ 0x55)

async function appraised(attester: TdxAttester, collateral: Collateral, now: number) {
  const evidence = await attester.collect(reportData)
  const inputs = { collateral, now, trustAnchors: [pki.anchor], reportData, simulator: true }
  return { evidence, appraisal: appraiseTdx(evidence, { ...inputs, eventLog: { requirement: 'required' } }) }
}

const failedOf = ({ findings }: { readonly findings: readonly { id: string; outcome: string }[] }) =>
  findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)

describe('a simulated TD, its kernel behind a socket and its maker behind HTTP', () => {
  it('attests: quote, log and collateral agree, and say that they are simulated', async () => {
    const clock = new HurriedClock()
    const { attester } = await guest(clock)
    const { obtain } = await maker(clock)
    const { evidence, appraisal } = await appraised(attester, await obtain(), clock.now())
    expect(failedOf(appraisal)).toEqual([])
    expect(appraisal).toMatchObject({ affirmed: true, verified: true, simulated: true, debug: false })
    expect(appraisal.tcb).toMatchObject({ status: 'UpToDate', evaluationNumber: 17 })
    expect(evidence).toMatchObject({ simulated: true, quotePath: 'configfs-tsm', logMatches: true })
    const log = JSON.stringify(appraisal.claims)
    expect(log).toContain('root=/dev/vda1 ro quiet')
    expect(log).toContain('attestd.simulator')
  })

  it('still attests after the guest has measured something, and shows it', async () => {
    const clock = new HurriedClock()
    const { attester } = await guest(clock)
    const { obtain } = await maker(clock)
    await attester.extend({ domain: 'workload', operation: 'load', content: 'model 7' })
    const { appraisal } = await appraised(attester, await obtain(), clock.now())
    expect(failedOf(appraisal)).toEqual([])
    expect(JSON.stringify(appraisal.claims)).toContain('model 7')
  })

  it('does not attest a log from which a measurement is missing', async () => {
    const clock = new HurriedClock()
    const { attester, kernel } = await guest(clock)
    const { obtain } = await maker(clock)
    kernel.rtmrs.extend(2, new Uint8Array(48).fill(1))
    const { evidence, appraisal } = await appraised(attester, await obtain(), clock.now())
    expect(evidence).toMatchObject({ logMatches: false, differingRegisters: [2] })
    expect(failedOf(appraisal)).toEqual(['tdx.eventlog.replay'])
    expect(appraisal.affirmed).toBe(false)
  })

  it('is waited for while its host is busy, and starts over when somebody else writes', async () => {
    const clock = new HurriedClock()
    const { attester, kernel } = await guest(clock)
    const { obtain } = await maker(clock)
    kernel.faults.inject('outblob', 'EBUSY', 'EBUSY', 'EINTR', 'ETIMEDOUT')
    let meddled = 0
    kernel.files.interference = (name, when) => {
      if (when === 'quoted' && meddled++ === 0) kernel.files.overwrite(name, new Uint8Array(64))
    }
    const { appraisal } = await appraised(attester, await obtain(), clock.now())
    expect(appraisal.affirmed).toBe(true)
    expect(meddled).toBe(2)
    expect(await kernel.files.list()).toEqual([])
  })

  it('has no quote on a host that makes empty ones', async () => {
    const clock = new HurriedClock()
    const { attester, kernel } = await guest(clock)
    kernel.emptyQuotes = 1
    expect(await attester.collect(reportData).catch(codeOf)).toBe('quote_empty')
  })

  it('is refused when it falls behind, and when its maker revokes it', async () => {
    const clock = new HurriedClock()
    const { attester, kernel } = await guest(clock)
    const { obtain, pccs, source, query } = await maker(clock)
    kernel.quoteOptions = { teeTcbSvn: teeTcbSvn({ module: 'OutOfDate' }) }
    const behind = await appraised(attester, await obtain(), clock.now())
    expect(behind.appraisal).toMatchObject({ verified: true, affirmed: false })
    expect(failedOf(behind.appraisal)).toEqual(['tdx.policy.tcbStatus'])
    kernel.quoteOptions = {}
    pccs.publish({ revoked: ['pck'] })
    clock.wall += 31 * day
    const collateral = await source.collateralFor(query, new AbortController().signal)
    const revoked = await appraised(attester, collateral, clock.now())
    expect(revoked.appraisal).toMatchObject({ verified: false, class: 'revoked', affirmed: false })
  })
})

describe('the source of collateral against a service that misbehaves (TDX-285)', () => {
  it.each<[PccsFault, string]>([
    [{ kind: 'status', status: 400 }, 'collateral_request_refused'],
    [{ kind: 'status', status: 404 }, 'collateral_unknown_platform'],
    [{ kind: 'status', status: 461 }, 'collateral_platform_uncached'],
    [{ kind: 'status', status: 429 }, 'collateral_unavailable'],
    [{ kind: 'status', status: 429, retryAfterSeconds: 3600 }, 'collateral_unavailable'],
    [{ kind: 'status', status: 500 }, 'collateral_unavailable'],
    [{ kind: 'redirect', to: 'http://127.0.0.1:9/' }, 'collateral_answer_invalid'],
    [{ kind: 'garbage' }, 'collateral_answer_invalid'],
    [{ kind: 'chainless' }, 'collateral_answer_invalid'],
    [{ kind: 'forged' }, 'collateral_unauthentic'],
    [{ kind: 'truncated' }, 'collateral_unavailable'],
    [{ kind: 'oversized', bytes: 1_048_577 }, 'collateral_unavailable'],
    [{ kind: 'oversized-headers', bytes: 65_536 }, 'collateral_unavailable'],
    [{ kind: 'silent' }, 'collateral_unavailable'],
  ])('%j', async (fault, code) => {
    const clock = new HurriedClock()
    const { obtain, pccs } = await maker(clock)
    clock.impatient = fault.kind === 'silent'
    pccs.faults.plan('tcbInfo', fault)
    expect(await obtain().catch(codeOf)).toBe(code)
    pccs.faults.clear()
  })

  it('takes a body of exactly the limit', async () => {
    const { obtain, pccs } = await maker(new HurriedClock())
    pccs.faults.plan('tcbInfo', { kind: 'oversized', bytes: 1_048_576 })
    expect((await obtain()).tcbInfo).toContain('"id":"TDX"')
  })

  it('repeats while the service is down, and takes what comes then', async () => {
    const { obtain, pccs } = await maker(new HurriedClock())
    pccs.faults.plan('all', { kind: 'status', status: 503 }, 2)
    expect((await obtain()).tcbInfo).toContain('"id":"TDX"')
  })

  it('keeps the newer item when an older, authentic one is served (TDX-212)', async () => {
    const clock = new HurriedClock()
    const { obtain, pccs, events, source } = await maker(clock, { clock: new HurriedClock() })
    const before = await obtain()
    pccs.faults.plan('all', { kind: 'rollback' })
    clock.wall += 2 * day
    const stop = new AbortController()
    const keeping = source.keepCurrent(stop.signal)
    const rolledBack = () => events.flatMap((event) => (event.event === 'collateral_rollback' ? [event.item] : []))
    await expect.poll(() => new Set(rolledBack()).size, { interval: 1 }).toBe(4)
    stop.abort()
    await keeping
    expect(await obtain()).toEqual(before)
  })

  it.each(['der', 'pem', 'hex'] as const)('takes revocation lists as %s', async (crlForm) => {
    const { obtain } = await maker(new HurriedClock(), { crlForm })
    expect((await obtain()).pckCrl[0]).toBe(0x30)
  })

  it('asks a service again that knows capital letters only', async () => {
    const { obtain, pccs } = await maker(new HurriedClock(), { upperCaseOnly: true })
    await obtain()
    const asked = pccs.requests.filter((target) => target.includes('/tcb?'))
    expect(asked.map((target) => /fmspc=([0-9A-Fa-f]+)/.exec(target)?.[1])).toEqual(['51d0ac000000', '51D0AC000000'])
  })
})
