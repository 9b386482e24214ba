import { beforeEach, describe, expect, it } from 'vitest'
import {
  authenticate,
  FakePccs,
  FakeStore,
  rigBase,
  rigNow,
  rigQuery,
  status,
} from '../../../test/support/collateral-rig.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { seededRandom } from '../../../test/support/seeded-random.ts'
import { type CollateralSourceOptions, createCollateralSource } from './collateral-source.ts'
import { createPccsSource } from './pccs-source.ts'
import type { CollateralEvent } from './ports.ts'

const hour = 3_600_000
const day = 24 * hour
const names = ['pck-crl-platform', 'root-crl', 'tdx-qe-identity-standard', 'tdx-tcb-info-51d0ac000000-standard']

let clock: FakeClock
let pccs: FakePccs
let second: FakePccs
let store: FakeStore
let events: CollateralEvent[]
let lifetime: AbortController

beforeEach(() => {
  clock = new FakeClock(rigNow)
  pccs = new FakePccs(() => clock.now())
  second = new FakePccs(() => clock.now())
  store = new FakeStore()
  events = []
  lifetime = new AbortController()
})

const random = seededRandom(7)

function open(options: Partial<CollateralSourceOptions> = {}, ...transports: FakePccs[]) {
  const used = transports.length > 0 ? transports : [pccs]
  const sources = used.map((transport, at) =>
    createPccsSource({ base: rigBase(`pccs-${at}`), transport, clock, random }),
  )
  const report = (event: CollateralEvent) => void events.push(event)
  return createCollateralSource({
    sources,
    authenticate,
    store,
    clock,
    random,
    report,
    lifetime: lifetime.signal,
    ...options,
  })
}

/** A caller that waits for as long as it takes. */
const unending = () => new AbortController().signal
const named = (event: CollateralEvent['event']) => events.filter((each) => each.event === event)

/** Settles `promise` while the clock runs on, minute after minute. */
async function inTime<T>(promise: Promise<T>, minutes = 3): Promise<T> {
  let settled = false
  const watched = promise.finally(() => {
    settled = true
  })
  watched.catch(() => undefined)
  for (let second = 0; !settled && second < minutes * 60; second++) await clock.advance(1_000)
  return watched
}

const codeOf = (promise: Promise<unknown>) =>
  inTime(
    promise.then(
      () => 'answered',
      (error) => error.code ?? String(error),
    ),
  )

describe('a cold cache', () => {
  it('gathers one Collateral of four items', async () => {
    const collateral = await open().collateralFor(rigQuery, unending())
    expect(JSON.parse(collateral.tcbInfo)).toMatchObject({ id: 'TDX', fmspc: '51D0AC000000' })
    expect(JSON.parse(collateral.qeIdentity)).toMatchObject({ id: 'TD_QE' })
    expect(collateral.pckCrlIssuerChain).toContain('BEGIN CERTIFICATE')
    expect(pccs.paths.sort()).toEqual([
      '/sgx/certification/v4/pckcrl?ca=platform&encoding=der',
      '/sgx/certification/v4/rootcacrl',
      '/tdx/certification/v4/qe/identity',
      '/tdx/certification/v4/tcb?fmspc=51d0ac000000',
    ])
    expect([...store.files.keys()].sort()).toEqual(names.map((name) => `${name}.item`))
  })

  it('asks once per item for a thousand at a time (TDX-208)', async () => {
    const source = open()
    const all = await Promise.all(Array.from({ length: 1_000 }, () => source.collateralFor(rigQuery, unending())))
    expect(pccs.asked).toHaveLength(4)
    expect(new Set(all.map(({ tcbInfoSignature }) => tcbInfoSignature)).size).toBe(1)
  })

  it('and answers the next from memory', async () => {
    const source = open()
    await source.collateralFor(rigQuery, unending())
    await source.collateralFor({ ...rigQuery, fmspc: rigQuery.fmspc.toUpperCase() }, unending())
    expect(pccs.asked).toHaveLength(4)
  })

  it('keeps the sets apart: early is asked for by itself (PCS-04)', async () => {
    const source = open()
    await source.collateralFor(rigQuery, unending())
    const early = await source.collateralFor({ ...rigQuery, update: 'early' }, unending())
    expect(JSON.parse(early.tcbInfo).tcbEvaluationDataNumber).toBe(18)
    expect(pccs.paths.slice(4).sort()).toEqual([
      '/tdx/certification/v4/qe/identity?update=early',
      '/tdx/certification/v4/tcb?fmspc=51d0ac000000&update=early',
    ])
  })

  it('a caller that gives up leaves the others their request', async () => {
    const source = open()
    let release = () => {}
    pccs.meddle = () =>
      new Promise<null>((resolve) => {
        release = () => resolve(null)
      })
    const leaving = new AbortController()
    const left = source.collateralFor(rigQuery, leaving.signal)
    const stays = source.collateralFor(rigQuery, unending())
    leaving.abort(new Error('gone'))
    await expect(left).rejects.toThrow('gone')
    await clock.advance(1)
    pccs.meddle = () => null
    release()
    await expect(inTime(stays)).resolves.toHaveProperty('tcbInfo')
  })

  it('ends what is under way with its lifetime', async () => {
    const source = open()
    pccs.meddle = () => new Promise(() => undefined)
    const asked = source.collateralFor(rigQuery, unending())
    asked.catch(() => undefined)
    await clock.advance(10)
    lifetime.abort(new Error('stopping'))
    await expect(asked).rejects.toThrow('stopping')
  })

  it.each([
    [{ fmspc: '51d0ac00000' }],
    [{ fmspc: '51d0ac0000000' }],
    [{ fmspc: '51d0ac00000g' }],
    [{ fmspc: '../../../etc' }],
    [{ ca: 'root' as 'platform' }],
    [{ tee: 'tdx/../sgx' as 'tdx' }],
    [{ update: 'late' as 'early' }],
    [{ update: { evaluationNumber: -1 } }],
    [{ update: { evaluationNumber: 1.5 } }],
    [{ update: { evaluationNumber: 65_536 } }],
  ])('asks nobody about %j (TDX-207)', async (change) => {
    expect(await codeOf(open().collateralFor({ ...rigQuery, ...change }, unending()))).toBe('collateral_query_invalid')
    expect(pccs.asked).toEqual([])
  })
})

describe('what is at hand', () => {
  it('is handed out without anybody being asked, and nothing is where a part of it would be asked for', async () => {
    const source = open()
    expect(source.heldFor(rigQuery)).toBeNull()
    const collateral = await source.collateralFor(rigQuery, unending())
    const asked = pccs.asked.length
    expect(source.heldFor(rigQuery)).toEqual(collateral)
    expect(source.heldFor({ ...rigQuery, update: 'early' })).toBeNull()
    expect(source.heldFor({ ...rigQuery, ca: 'processor' })).toBeNull()
    expect(pccs.asked).toHaveLength(asked)
  })

  it('is not handed out one second past its time, nor before it, whatever the grace (TDX-214)', async () => {
    const nextUpdate = rigNow + 2 * hour
    pccs.options = { issued: rigNow, periods: { qeIdentity: { issued: rigNow, nextUpdate } } }
    const source = open({ graceMs: day })
    await source.collateralFor(rigQuery, unending())
    clock.jump(2 * hour)
    expect(source.heldFor(rigQuery)).not.toBeNull()
    clock.jump(1000)
    expect(source.heldFor(rigQuery)).toBeNull()
    clock.jump(-2 * hour - 2000)
    expect(source.heldFor(rigQuery)).toBeNull()
  })

  it('counts as used: it does not make room for what was asked for since', async () => {
    const source = open({ maximumItems: 5 })
    await source.collateralFor(rigQuery, unending())
    await source.collateralFor({ ...rigQuery, ca: 'processor' }, unending())
    expect(source.heldFor(rigQuery)).not.toBeNull()
    await source.collateralFor({ ...rigQuery, fmspc: '00906ed50000' }, unending()).catch(() => undefined)
    expect(source.heldFor(rigQuery)).not.toBeNull()
  })
})

describe('several servers (TDX-200, PCS-01)', () => {
  it.each([
    ['network failure', () => Promise.reject(new Error('ECONNREFUSED'))],
    ['429', () => status(429)],
    ['503', () => status(503)],
    ['461', () => status(461)],
    ['404', () => status(404)],
    ['a redirect', () => status(302, { location: 'https://evil.example/' })],
    ['a login page', () => ({ status: 200, headers: {}, body: new TextEncoder().encode('<html>') })],
  ])('the next is asked after %s', async (_, meddle) => {
    pccs.meddle = meddle as FakePccs['meddle']
    const source = open({}, pccs, second)
    await inTime(source.collateralFor(rigQuery, unending()))
    expect(second.asked).toHaveLength(4)
    expect(new Set(source.state().map((each) => each.source))).toEqual(new Set(['https://pccs-1.example:8081']))
  })

  it('not after 400: the request is at fault', async () => {
    pccs.meddle = () => status(400)
    expect(await codeOf(open({}, pccs, second).collateralFor(rigQuery, unending()))).toBe('collateral_request_refused')
    expect(second.asked).toEqual([])
  })

  it('not after 410 for a number', async () => {
    pccs.meddle = (url) => (url.search.includes('tcbEvaluationDataNumber=16') ? status(410) : null)
    const query = { ...rigQuery, update: { evaluationNumber: 16 } }
    expect(await codeOf(open({}, pccs, second).collateralFor(query, unending()))).toBe('collateral_number_expired')
    expect(second.asked).toEqual([])
  })

  it('names the FMSPC and every server where none knows it, and remembers that for 5 minutes', async () => {
    const source = open({}, pccs, second)
    const query = { ...rigQuery, fmspc: '00a067110000' }
    const failed = await inTime(source.collateralFor(query, unending()).catch((error) => error))
    expect(failed).toMatchObject({ code: 'collateral_unknown_platform', kind: 'unavailable' })
    expect(failed.message).toMatch(/00a067110000.*pccs-0.*pccs-1/s)
    // In lower case and in upper case (TDX-204).
    expect(pccs.paths.filter((path) => path.includes('fmspc'))).toEqual([
      '/tdx/certification/v4/tcb?fmspc=00a067110000',
      '/tdx/certification/v4/tcb?fmspc=00A067110000',
    ])
    const before = pccs.asked.length
    expect(await codeOf(source.collateralFor(query, unending()))).toBe('collateral_unknown_platform')
    expect(pccs.asked.length).toBe(before)
    await clock.advance(300_000)
    await codeOf(source.collateralFor(query, unending()))
    expect(pccs.asked.length).toBe(before + 2)
  })

  it('does not go on asking servers that are away', async () => {
    pccs.meddle = () => status(503)
    const source = open()
    expect(await codeOf(source.collateralFor(rigQuery, unending()))).toBe('collateral_unavailable')
    const before = pccs.asked.length
    expect(before).toBeGreaterThan(4 * 3)
    expect(before).toBeLessThanOrEqual(4 * 4)
    const calls = Array.from({ length: 20 }, () => source.collateralFor(rigQuery, unending()).catch(({ code }) => code))
    // The first failure of an item lets it be asked for again within a second.
    expect(new Set(await inTime(Promise.all(calls)))).toEqual(new Set(['collateral_unavailable']))
    expect(pccs.asked.length).toBeLessThanOrEqual(before + 16)
  })
})

describe('what is not authentic (TDX-211)', () => {
  it('is neither stored nor handed out, and the next server is asked', async () => {
    pccs.meddle = (url) => (url.pathname.endsWith('/tcb') ? forged(url) : null)
    const source = open({}, pccs, second)
    await source.collateralFor(rigQuery, unending())
    const tcb = source.state().find(({ item }) => item.includes('tcb-info'))
    expect(tcb?.source).toBe('https://pccs-1.example:8081')
    expect(named('collateral_source_failed')).toMatchObject([{ error: { code: 'collateral_unauthentic' } }])
  })

  it('does not replace what is at hand', async () => {
    const source = open()
    await source.collateralFor(rigQuery, unending())
    const before = store.digest
    pccs.meddle = (url) => (url.pathname.endsWith('/tcb') ? forged(url) : status(503))
    const stop = new AbortController()
    const kept = source.keepCurrent(stop.signal)
    await clock.advance(day + hour)
    stop.abort()
    await kept
    expect(store.digest).toBe(before)
    await expect(source.collateralFor(rigQuery, unending())).resolves.toHaveProperty('tcbInfo')
  })
})

function forged(url: URL) {
  const other = new FakePccs(() => clock.now())
  const good = other.get(url, { maxBytes: 1, signal: unending() })
  return good.then((answer) => {
    const text = new TextDecoder()
      .decode(answer.body)
      .replace('"tcbEvaluationDataNumber":17', '"tcbEvaluationDataNumber":19')
    return { ...answer, body: new TextEncoder().encode(text) }
  })
}

describe('time', () => {
  it('refreshes ahead of expiry, at latest after a day (TDX-213)', async () => {
    const source = open()
    await source.collateralFor(rigQuery, unending())
    const stop = new AbortController()
    const kept = source.keepCurrent(stop.signal)
    await clock.advance(20 * hour)
    expect(pccs.asked).toHaveLength(4)
    await clock.advance(4 * hour + 60_000)
    expect(pccs.asked).toHaveLength(8)
    expect(source.state().every(({ fetchedAt }) => fetchedAt > rigNow)).toBe(true)
    stop.abort()
    await kept
  })

  it('tells of a greater number than before, and of nothing else that is new (broker.md section 8)', async () => {
    const source = open()
    await source.collateralFor(rigQuery, unending())
    const stop = new AbortController()
    const kept = source.keepCurrent(stop.signal)
    const day = async () => {
      await clock.advance(25 * hour)
      return events
        .splice(0)
        .flatMap((event) => (event.event === 'collateral_raised' ? [event.item] : []))
        .sort()
    }
    // A list that is issued anew has another number every time; what else Intel signs has one for each evaluation.
    const lists = names.filter((name) => name.includes('crl')).sort()
    expect(events.splice(0).map(({ event }) => event)).toEqual(Array(4).fill('collateral_obtained'))
    expect(await day()).toEqual(lists)
    pccs.options = { evaluationNumber: 99 }
    expect(await day()).toEqual([...names].sort())
    expect(await day()).toEqual(lists)
    pccs.options = { evaluationNumber: 98 }
    expect(await day()).toEqual(lists)
    stop.abort()
    await kept
  })

  it('refreshes items of short life after two thirds of what is left', async () => {
    pccs.options = { issued: rigNow, periods: { pckCrl: { issued: rigNow, nextUpdate: rigNow + 3 * hour } } }
    const source = open()
    await source.collateralFor(rigQuery, unending())
    const stop = new AbortController()
    const kept = source.keepCurrent(stop.signal)
    await clock.advance(2 * hour * 0.89)
    expect(pccs.asked).toHaveLength(4)
    await clock.advance(2 * hour * 0.12 + 60_000)
    expect(pccs.paths[4]).toContain('pckcrl')
    stop.abort()
    await kept
  })

  it('a failed refresh keeps what is valid, and warns below 72 hours (TDX-214)', async () => {
    const source = open()
    await source.collateralFor(rigQuery, unending())
    pccs.meddle = () => status(503)
    const stop = new AbortController()
    const kept = source.keepCurrent(stop.signal)
    await clock.advance(26 * day)
    expect(named('collateral_refresh_failed').length).toBeGreaterThan(24)
    expect(named('collateral_refresh_failed').every((event) => 'expiring' in event && !event.expiring)).toBe(true)
    await expect(source.collateralFor(rigQuery, unending())).resolves.toHaveProperty('tcbInfo')
    await clock.advance(2 * day)
    const ofTcbInfo = named('collateral_refresh_failed').filter((event) => 'item' in event && event.item === names[3])
    expect(ofTcbInfo.at(-1)).toMatchObject({ expiring: true })
    stop.abort()
    await kept
  }, 60_000)

  it('hands out up to the last second of the window, and not one later', async () => {
    const nextUpdate = rigNow + 2 * hour
    pccs.options = { issued: rigNow, periods: { qeIdentity: { issued: rigNow, nextUpdate } } }
    const source = open()
    await source.collateralFor(rigQuery, unending())
    pccs.meddle = () => status(503)
    clock.jump(2 * hour + 999)
    await expect(source.collateralFor(rigQuery, unending())).resolves.toHaveProperty('tcbInfo')
    clock.jump(1)
    expect(await codeOf(source.collateralFor(rigQuery, unending()))).toBe('collateral_expired')
    expect(source.state().find(({ expired }) => expired)?.item).toBe('tdx-qe-identity-standard')
  })

  it('and longer only by the grace that the operator gives', async () => {
    const nextUpdate = rigNow + 2 * hour
    pccs.options = { issued: rigNow, periods: { qeIdentity: { issued: rigNow, nextUpdate } } }
    const source = open({ graceMs: hour })
    await source.collateralFor(rigQuery, unending())
    pccs.meddle = () => status(503)
    clock.jump(2 * hour + hour / 2)
    await expect(inTime(source.collateralFor(rigQuery, unending()))).resolves.toHaveProperty('tcbInfo')
    clock.jump(hour / 2 + 1000)
    expect(await codeOf(source.collateralFor(rigQuery, unending()))).toBe('collateral_expired')
  })

  it('a clock that jumps ahead fetches anew; one that jumps back is told of', async () => {
    const source = open()
    await source.collateralFor(rigQuery, unending())
    clock.jump(60 * day)
    await source.collateralFor(rigQuery, unending())
    expect(pccs.asked).toHaveLength(4 + 3)
    clock.jump(-60 * day)
    expect(await codeOf(source.collateralFor(rigQuery, unending()))).toBe('collateral_not_yet_valid')
    expect(pccs.asked).toHaveLength(4 + 3)
  })

  it('refreshes in time although the wall clock went back', async () => {
    const source = open()
    await source.collateralFor(rigQuery, unending())
    const stop = new AbortController()
    const kept = source.keepCurrent(stop.signal)
    pccs.options = { issued: rigNow }
    clock.jump(-300 * day)
    await clock.advance(day + 60_000)
    expect(new Set(pccs.paths.slice(4)).size).toBe(4)
    stop.abort()
    await kept
  })

  it('a server that serves what is past its time is left for the next', async () => {
    pccs.options = {
      issued: rigNow - 31 * day,
      periods: { rootCrl: { issued: rigNow - 2 * day, nextUpdate: rigNow - day } },
    }
    const source = open({}, pccs, second)
    await source.collateralFor(rigQuery, unending())
    expect(second.asked).toHaveLength(4)
    expect(await codeOf(open({ store: null }).collateralFor(rigQuery, unending()))).toBe('collateral_expired')
  })

  it('a server from the future points at the clock', async () => {
    pccs.options = { issued: rigNow + day }
    expect(await codeOf(open().collateralFor(rigQuery, unending()))).toBe('collateral_not_yet_valid')
    expect(store.files.size).toBe(0)
  })
})

describe('unending() back (TDX-212)', () => {
  it.each([
    ['an older issue date', { issued: rigNow - 2 * day }],
    ['a lower evaluation number', { issued: rigNow, evaluationNumber: 16 }],
  ])('%s is ignored and reported', async (_, options) => {
    pccs.options = { issued: rigNow - day }
    const source = open()
    await source.collateralFor(rigQuery, unending())
    const held = store.files.get(`${names[3]}.item`)
    pccs.options = options
    const stop = new AbortController()
    const kept = source.keepCurrent(stop.signal)
    await clock.advance(25 * hour)
    stop.abort()
    await kept
    expect(named('collateral_rollback').some((event) => 'item' in event && event.item === names[3])).toBe(true)
    expect(store.files.get(`${names[3]}.item`)).toEqual(held)
    expect(JSON.parse((await source.collateralFor(rigQuery, unending())).tcbInfo).tcbEvaluationDataNumber).toBe(17)
  })

  it('also when what is at hand is past its time: rather nothing than what hides a recovery', async () => {
    const source = open()
    pccs.options = { issued: rigNow, periods: { tcbInfo: { issued: rigNow, nextUpdate: rigNow + hour } } }
    await source.collateralFor(rigQuery, unending())
    pccs.options = { issued: rigNow - day }
    clock.jump(2 * hour)
    const error = await inTime(source.collateralFor(rigQuery, unending()).catch((failed) => failed))
    expect(error).toMatchObject({ code: 'collateral_expired', facts: { cause: 'collateral_rollback' } })
  })

  it('also over a restart, and also by what is past its time', async () => {
    pccs.options = { issued: rigNow, periods: { tcbInfo: { issued: rigNow, nextUpdate: rigNow + hour } } }
    await open().collateralFor(rigQuery, unending())
    clock.jump(2 * hour)
    pccs.options = { issued: rigNow - day }
    expect(await codeOf(open().collateralFor(rigQuery, unending()))).toBe('collateral_expired')
    expect(named('collateral_rollback').length).toBeGreaterThan(0)
  })

  it('another server may be ahead of the one that went back', async () => {
    pccs.options = { issued: rigNow, periods: { tcbInfo: { issued: rigNow, nextUpdate: rigNow + hour } } }
    const source = open({}, pccs, second)
    await source.collateralFor(rigQuery, unending())
    pccs.options = { issued: rigNow - day }
    clock.jump(2 * hour)
    await expect(source.collateralFor(rigQuery, unending())).resolves.toHaveProperty('tcbInfo')
    expect(second.asked).toHaveLength(1)
  })
})

describe('the store (TDX-215)', () => {
  it('serves after a restart without a network', async () => {
    const first = await open().collateralFor(rigQuery, unending())
    pccs.meddle = () => status(503)
    const source = open()
    await expect(source.collateralFor(rigQuery, unending())).resolves.toEqual(first)
    expect(source.state().map(({ item, source: from }) => [item, from])).toEqual(names.map((name) => [name, null]))
  })

  it('refreshes after a restart when it is due, not when it started', async () => {
    await open().collateralFor(rigQuery, unending())
    await clock.advance(20 * hour)
    const source = open()
    const stop = new AbortController()
    const kept = source.keepCurrent(stop.signal)
    await clock.advance(4 * hour + 60_000)
    expect(pccs.asked).toHaveLength(8)
    stop.abort()
    await kept
  })

  it('is not trusted: what was changed on the disk is dropped and fetched again', async () => {
    await open().collateralFor(rigQuery, unending())
    for (const [name, content] of store.files) {
      const text = new TextDecoder().decode(content)
      store.files.set(name, new TextEncoder().encode(text.slice(0, -10)))
    }
    await open().collateralFor(rigQuery, unending())
    expect(named('collateral_stored_unusable')).toHaveLength(4)
    expect(pccs.asked).toHaveLength(8)
  })

  it('is judged as of the issue of each item, so that a clock which is wrong forgets nothing', async () => {
    await open().collateralFor(rigQuery, unending())
    const times = new Set<number>()
    const judge: CollateralSourceOptions['authenticate'] = (item, { now }) => {
      times.add(now)
      return authenticate(item, { now })
    }
    clock.jump(30 * 365 * day)
    await open({ authenticate: judge }).collateralFor(rigQuery, unending())
    expect(times).toContain(rigNow - hour)
    expect(named('collateral_stored_unusable')).toEqual([])
  })

  it('an item whose signature is not of the maker is dropped, whatever its checksum says', async () => {
    await open().collateralFor(rigQuery, unending())
    const source = open({ authenticate: () => 'no' })
    expect(await codeOf(source.collateralFor(rigQuery, unending()))).toBe('collateral_unauthentic')
    expect(named('collateral_stored_unusable').map((event) => 'problem' in event && event.problem)[0]).toContain('no')
  })

  it.each(['full', 'stored', 'unreadable'] as const)(
    'a disk that is %s costs a report, not the service',
    async (fault) => {
      store.fault = fault
      const source = open()
      await expect(source.collateralFor(rigQuery, unending())).resolves.toHaveProperty('tcbInfo')
      await expect(source.collateralFor(rigQuery, unending())).resolves.toHaveProperty('tcbInfo')
      expect(pccs.asked).toHaveLength(4)
      expect(named('collateral_store_failed').length).toBeGreaterThanOrEqual(4)
    },
  )

  it('keeps at most as many items as it may, those used last', async () => {
    const source = open({ maximumItems: 5 })
    await source.collateralFor(rigQuery, unending())
    await source.collateralFor({ ...rigQuery, update: 'early' }, unending())
    expect(source.state().map(({ item }) => item)).toHaveLength(5)
    expect(source.state().map(({ item }) => item)).toContain('tdx-tcb-info-51d0ac000000-early')
    expect(store.files.size).toBe(5)
  })
})
