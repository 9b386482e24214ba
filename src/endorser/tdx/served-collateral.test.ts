import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type RunningPccs, startPccs } from '../../../mocks/tdx/pccs.ts'
import type { PccsFault } from '../../../mocks/tdx/pccs-faults.ts'
import { rigNow, rigPki, rigQuery } from '../../../test/support/collateral-rig.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { seededRandom } from '../../../test/support/seeded-random.ts'
import type { Clock } from '../../base/clock.ts'
import { authenticateCollateralItem } from '../../verifier/tdx/authenticate-collateral-item.ts'
import { createCollateralSource } from './collateral-source.ts'
import { createCollateralTransport } from './collateral-transport.ts'
import { parsePccsBase } from './pccs-base.ts'
import { createPccsSource } from './pccs-source.ts'
import type { CollateralEvent } from './ports.ts'

/** The real transport, the real judgement and a real server; eight times as fast as life. */
class HastyClock implements Clock {
  wall = rigNow
  #start = performance.now()

  now(): number {
    return this.wall
  }

  monotonic(): number {
    return (performance.now() - this.#start) * 8
  }

  boottime(): number {
    return this.monotonic()
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, ms / 8)
      signal?.addEventListener('abort', () => {
        clearTimeout(timer)
        reject(signal.reason)
      })
    })
  }
}

const serverClock = new FakeClock(rigNow)
const trustAnchors = [rigPki.anchor]
const transport = createCollateralTransport()
/** A caller that waits for as long as it takes. */
const unending = () => new AbortController().signal
let first: RunningPccs
let second: RunningPccs
let clock: HastyClock
let events: CollateralEvent[]

beforeAll(async () => {
  first = await startPccs({ pki: rigPki, clock: serverClock, crlForm: 'hex' })
  second = await startPccs({ pki: rigPki, clock: serverClock })
})
afterAll(async () => {
  await first.close()
  await second.close()
})
beforeEach(() => {
  first.faults.clear()
  second.faults.clear()
  first.publish({})
  second.publish({})
  clock = new HastyClock()
  events = []
})

function open(...servers: RunningPccs[]) {
  const random = seededRandom(11)
  const sources = servers.map(({ url }) =>
    createPccsSource({ base: parsePccsBase(url, { insecure: true }), transport, clock, random }),
  )
  return createCollateralSource({
    sources,
    authenticate: (item, { now }) => authenticateCollateralItem(item, { now, trustAnchors }),
    store: null,
    clock,
    random,
    lifetime: unending(),
    report: (event) => void events.push(event),
  })
}

const failures = (url: string) =>
  events.flatMap((event) =>
    event.event === 'collateral_source_failed' && event.source === url ? [event.error.code] : [],
  )

describe('a provisioning service that is well', () => {
  it.each(['tdx', 'sgx'] as const)('gives what %s needs, in any form of a list', async (tee) => {
    const collateral = await open(first).collateralFor({ ...rigQuery, tee }, unending())
    const again = await open(second).collateralFor({ ...rigQuery, tee }, unending())
    expect(JSON.parse(collateral.tcbInfo).id).toBe(tee.toUpperCase())
    expect(collateral.rootCaCrl[0]).toBe(0x30)
    expect(again.rootCaCrl[0]).toBe(0x30)
    expect(events.map(({ event }) => event)).toEqual(Array.from({ length: 8 }, () => 'collateral_obtained'))
  })

  it('that knows the FMSPC in upper case only (TDX-204)', async () => {
    await using shouting = await startPccs({ pki: rigPki, clock: serverClock, upperCaseOnly: true })
    await expect(open(shouting).collateralFor(rigQuery, unending())).resolves.toHaveProperty('tcbInfo')
  })
})

const faults: readonly (readonly [PccsFault, string])[] = [
  [{ kind: 'status', status: 404 }, 'collateral_unknown_platform'],
  [{ kind: 'status', status: 461 }, 'collateral_platform_uncached'],
  [{ kind: 'status', status: 462 }, 'collateral_tcb_uncertified'],
  [{ kind: 'status', status: 429 }, 'collateral_unavailable'],
  [{ kind: 'status', status: 429, retryAfterSeconds: 3_600 }, 'collateral_unavailable'],
  [{ kind: 'status', status: 500 }, 'collateral_unavailable'],
  [{ kind: 'status', status: 503 }, 'collateral_unavailable'],
  [{ kind: 'status', status: 403 }, 'collateral_answer_invalid'],
  [{ kind: 'silent' }, 'collateral_unavailable'],
  [{ kind: 'truncated' }, 'collateral_unavailable'],
  [{ kind: 'oversized', bytes: 1_048_577 }, 'collateral_unavailable'],
  [{ kind: 'oversized-headers', bytes: 70_000 }, 'collateral_unavailable'],
  [{ kind: 'redirect', to: 'http://127.0.0.1:1/' }, 'collateral_answer_invalid'],
  [{ kind: 'garbage' }, 'collateral_answer_invalid'],
  [{ kind: 'chainless' }, 'collateral_answer_invalid'],
  [{ kind: 'forged' }, 'collateral_unauthentic'],
]

describe('a provisioning service that fails', () => {
  it.each(faults)('with %j: %s, and the next one serves', async (fault, code) => {
    first.faults.plan('tcbInfo', fault)
    const source = open(first, second)
    await expect(source.collateralFor(rigQuery, unending())).resolves.toHaveProperty('tcbInfo')
    expect(failures(first.url)).toEqual([code])
    expect(source.state().find(({ key }) => key.kind === 'tcb-info')?.source).toBe(second.url)
  })

  it.each(faults)('alone with %j: %s', async (fault, code) => {
    first.faults.plan('qeIdentity', fault)
    await expect(open(first).collateralFor(rigQuery, unending())).rejects.toMatchObject({ code })
  })

  it('now and then is asked again (TDX-208)', async () => {
    first.faults.plan('all', { kind: 'status', status: 503 }, 3)
    await expect(open(first).collateralFor(rigQuery, unending())).resolves.toHaveProperty('tcbInfo')
    expect(events.filter(({ event }) => event === 'collateral_source_failed')).toEqual([])
  })

  it('by refusing the request ends the search: the same request would be refused elsewhere', async () => {
    first.faults.plan('tcbInfo', { kind: 'status', status: 400 })
    await expect(open(first, second).collateralFor(rigQuery, unending())).rejects.toMatchObject({
      code: 'collateral_request_refused',
    })
  })

  it('by going back is ignored, for lists and documents alike (TDX-212)', async () => {
    const source = open(first)
    const held = await source.collateralFor(rigQuery, unending())
    first.faults.plan('all', { kind: 'rollback' })
    clock.wall = rigNow + 29 * 86_400_000
    await expect(source.collateralFor(rigQuery, unending())).resolves.toEqual(held)
    clock.wall = rigNow + 31 * 86_400_000
    await expect(source.collateralFor(rigQuery, unending())).rejects.toMatchObject({ code: 'collateral_expired' })
    // The first item that fails is the answer; the others are still being asked for.
    const items = () => events.flatMap((event) => (event.event === 'collateral_rollback' ? [event.item] : []))
    await vi.waitFor(() => expect(items()).toHaveLength(3), { timeout: 20_000 })
    expect(items().sort()).toEqual([
      'pck-crl-platform',
      'tdx-qe-identity-standard',
      'tdx-tcb-info-51d0ac000000-standard',
    ])
  })
})
