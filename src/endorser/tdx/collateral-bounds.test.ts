import { beforeEach, describe, expect, it } from 'vitest'
import { authenticate, FakePccs, rigBase, rigNow, rigQuery, status } from '../../../test/support/collateral-rig.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { endorserErrors } from '../errors.ts'
import { createCollateralSource } from './collateral-source.ts'
import { Pauses } from './pauses.ts'
import { createPccsSource } from './pccs-source.ts'

const hour = 3_600_000
const shortest = (size: number) => new Uint8Array(size)
const unending = () => new AbortController().signal

let clock: FakeClock
let pccs: FakePccs
let second: FakePccs

beforeEach(() => {
  clock = new FakeClock(rigNow)
  pccs = new FakePccs(() => clock.now())
  second = new FakePccs(() => clock.now())
})

function open(options: { readonly maximumItems?: number; readonly graceMs?: number } = {}, ...servers: FakePccs[]) {
  return createCollateralSource({
    sources: (servers.length > 0 ? servers : [pccs]).map((transport, at) =>
      createPccsSource({ base: rigBase(`pccs-${at}`), transport, clock, random: shortest }),
    ),
    authenticate,
    store: null,
    clock,
    random: shortest,
    lifetime: unending(),
    ...options,
  })
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'answered',
    (error) => error.code,
  )

describe('what is bounded', () => {
  it('items at hand: those used last stay', async () => {
    const source = open({ maximumItems: 6 })
    await source.collateralFor(rigQuery, unending())
    await source.collateralFor({ ...rigQuery, update: 'early' }, unending())
    await source.collateralFor(rigQuery, unending())
    await source.collateralFor({ ...rigQuery, tee: 'sgx' }, unending())
    expect(source.state().map(({ item }) => item)).toEqual([
      'pck-crl-platform',
      'root-crl',
      'sgx-qe-identity-standard',
      'sgx-tcb-info-51d0ac000000-standard',
      'tdx-qe-identity-standard',
      'tdx-tcb-info-51d0ac000000-standard',
    ])
  })

  it('requests under way', async () => {
    const source = open({ maximumItems: 5 })
    pccs.meddle = () => new Promise(() => undefined)
    const ask = (fmspc: string) => codeOf(source.collateralFor({ ...rigQuery, fmspc }, unending()))
    const first = ask('000000000001')
    const another = ask('000000000002')
    await clock.advance(0)
    expect(pccs.asked).toHaveLength(5)
    expect(await ask('000000000003')).toBe('collateral_unavailable')
    expect(pccs.asked).toHaveLength(5)
    await clock.advance(60_000)
    expect([await first, await another]).toEqual(['collateral_unavailable', 'collateral_unavailable'])
  })

  it('items that cannot be had: the oldest is forgotten', () => {
    const pauses = new Pauses({ clock, random: shortest, maximum: 2 })
    const error = endorserErrors.error('collateral_unknown_platform', 'no')
    for (const name of ['a', 'b', 'c']) pauses.note(name, error)
    expect(['a', 'b', 'c'].map((name) => pauses.errorFor(name)?.code ?? null)).toEqual([
      null,
      'collateral_unknown_platform',
      'collateral_unknown_platform',
    ])
  })
})

describe('failures', () => {
  it('are counted until a refresh succeeds', async () => {
    const source = open()
    await source.collateralFor(rigQuery, unending())
    pccs.meddle = () => status(403)
    const stop = new AbortController()
    const kept = source.keepCurrent(stop.signal)
    await clock.advance(24 * hour + 2 * hour)
    expect(source.state().every(({ failures }) => failures >= 2)).toBe(true)
    pccs.meddle = () => null
    await clock.advance(2 * hour)
    expect(source.state().map(({ failures }) => failures)).toEqual([0, 0, 0, 0])
    stop.abort()
    await kept
  })

  it('that are over do not lengthen the pause after the next one', async () => {
    const period = { issued: rigNow, nextUpdate: rigNow + hour }
    pccs.options = { issued: rigNow, periods: { qeIdentity: period } }
    const refuse = (url: URL) => (url.pathname.endsWith('/identity') ? status(403) : null)
    const source = open()
    const ask = () => codeOf(source.collateralFor(rigQuery, unending()))
    pccs.meddle = refuse
    expect(await ask()).toBe('collateral_answer_invalid')
    pccs.meddle = () => null
    await clock.advance(600)
    expect(await ask()).toBe('answered')
    pccs.meddle = refuse
    clock.jump(2 * hour)
    expect(await ask()).toBe('collateral_expired')
    const before = pccs.asked.length
    await clock.advance(400)
    expect(await ask()).toBe('collateral_expired')
    expect(pccs.asked.length).toBe(before)
    await clock.advance(200)
    expect(await ask()).toBe('collateral_expired')
    expect(pccs.asked.length).toBe(before + 1)
  })
})

describe('grace', () => {
  const past = { issued: rigNow - 3 * hour, nextUpdate: rigNow - hour }

  it('is for want of something current: another server may have it', async () => {
    pccs.options = { issued: rigNow - 3 * hour, periods: { qeIdentity: past } }
    const source = open({ graceMs: 2 * hour }, pccs, second)
    await source.collateralFor(rigQuery, unending())
    const identity = source.state().find(({ key }) => key.kind === 'qe-identity')
    expect(identity).toMatchObject({ source: 'https://pccs-1.example:8081', expired: false })
  })

  it('serves what is within it, if nobody has', async () => {
    pccs.options = { issued: rigNow - 3 * hour, periods: { qeIdentity: past } }
    const source = open({ graceMs: 2 * hour })
    expect(await codeOf(source.collateralFor(rigQuery, unending()))).toBe('answered')
    expect(await codeOf(open({ graceMs: hour - 1_000 }).collateralFor(rigQuery, unending()))).toBe('collateral_expired')
  })
})
