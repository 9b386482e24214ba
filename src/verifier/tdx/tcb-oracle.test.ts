import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createPki } from '../../../mocks/tdx/pki.ts'
import { createSimulator } from '../../../mocks/tdx/simulator.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { enclaveTcbStatuses, tcbStatuses } from '../../endorsements/tdx/tcb-level.ts'
import { appraiseQuote } from './appraise-quote.ts'
import { createQuoteMemo } from './quote-memo.ts'

/**
 * Sections 3.3 to 3.5 of tdx.md written a second time, sentence by sentence and slowly, against the verdict on signed
 * quotes with signed collateral.
 */

const now = Date.UTC(2026, 5, 1)
const pki = createPki(now)
const sim = createSimulator({ clock: new FakeClock(now), pki })
const { components: have, pceSvn: havePce } = pki.platform

interface Level {
  readonly sgx: readonly number[]
  readonly pce: number
  readonly tdx: readonly number[]
  readonly status: string
  readonly day: number
}
interface EnclaveLevel {
  readonly svn: number
  readonly status: string
  readonly day: number
}
interface World {
  readonly levels: readonly Level[]
  readonly modules: readonly { readonly version: number; readonly levels: readonly EnclaveLevel[] }[]
  readonly qe: readonly EnclaveLevel[]
  readonly qeSvn: number
  readonly bodyType: 2 | 3 | 4
  readonly launch: Uint8Array
  readonly current: Uint8Array
}

const day = fc.integer({ min: 1, max: 28 })
/** At, one below and one above what the platform has; most often at it. */
const around = (value: number) => fc.constantFrom(value, value, value, Math.max(0, value - 1), value + 1)
const needs = fc.tuple(...have.map((value, at) => (at % 8 === 0 ? around(value) : fc.constant(value))))
const svn = fc.integer({ min: 0, max: 2 })
const tdxNeeds = fc.tuple(svn, fc.constantFrom(0, 0, 0, 1, 2), svn, ...Array.from({ length: 13 }, () => fc.constant(0)))
const level: fc.Arbitrary<Level> = fc.record({
  sgx: needs,
  pce: around(havePce),
  tdx: tdxNeeds,
  // Revoked, the last one, seldom.
  status: fc.constantFrom(...tcbStatuses, ...tcbStatuses.slice(0, -1), ...tcbStatuses.slice(0, -1)),
  day,
})
const lowest: fc.Arbitrary<Level> = level.map((one) => ({
  ...one,
  sgx: have.map(() => 0),
  pce: 0,
  tdx: have.map(() => 0),
}))
const levels = fc
  .tuple(fc.array(level, { maxLength: 6 }), lowest)
  .map(([some, last]) => [...some, last])
  .map((all) => [...new Map(all.map((one) => [JSON.stringify([one.sgx, one.pce, one.tdx]), one])).values()])
const enclaveStatus = fc.constantFrom(...enclaveTcbStatuses, 'UpToDate', 'UpToDate', 'OutOfDate')
const lowestSvn = fc.constantFrom(0, 0, 0, 1)
const enclaveLevels = fc
  .tuple(fc.array(fc.record({ svn, status: enclaveStatus, day }), { maxLength: 3 }), enclaveStatus, lowestSvn, day)
  .map(([some, status, last, of]) => [...some, { svn: last, status, day: of }])
  .map((all) => [...new Map(all.map((one) => [one.svn, one])).values()])
const versions = [1, 0x0b, 0x10]
const modules = fc
  .tuple(
    fc.shuffledSubarray(versions, { minLength: versions.length }),
    fc.tuple(enclaveLevels, enclaveLevels, enclaveLevels),
  )
  .map(([some, lists]) => some.map((version, at) => ({ version, levels: lists[at] ?? lists[0] })))
const svns = fc
  .tuple(svn, fc.constantFrom(0, ...versions, ...versions, 2), svn)
  .map((first) => Uint8Array.of(...first, ...new Uint8Array(13)))
const worlds: fc.Arbitrary<World> = fc.record({
  ...{ levels, modules, qe: enclaveLevels, qeSvn: svn, launch: svns, current: svns },
  bodyType: fc.constantFrom(2, 3, 4),
})

const date = (of: number) => `2025-01-${String(of).padStart(2, '0')}T00:00:00Z`
const listed = (values: readonly number[]) => values.map((value) => ({ svn: value }))
const enclaveLevelDocument = (one: EnclaveLevel) => ({
  tcb: { isvsvn: one.svn },
  tcbDate: date(one.day),
  tcbStatus: one.status,
})

function appraise(world: World) {
  const { bodyType, launch: teeTcbSvn, current: teeTcbSvn2, qeSvn: isvSvn } = world
  const reportData = new Uint8Array(64)
  const quote = sim.quote({ version: 5, bodyType, reportData, teeTcbSvn, teeTcbSvn2, qeReport: { isvSvn } })
  const collateral = sim.collateral({
    editTcbInfo: (document) => ({
      ...document,
      tdxModuleIdentities: world.modules.map(({ version, levels: ofModule }) => ({
        ...document.tdxModule,
        id: `TDX_${version.toString(16).toUpperCase().padStart(2, '0')}`,
        tcbLevels: ofModule.map(enclaveLevelDocument),
      })),
      tcbLevels: world.levels.map(({ sgx, pce, tdx, status, day: of }) => ({
        tcb: { sgxtcbcomponents: listed(sgx), pcesvn: pce, tdxtcbcomponents: listed(tdx) },
        tcbDate: date(of),
        tcbStatus: status,
      })),
    }),
    editQeIdentity: (document) => ({ ...document, tcbLevels: world.qe.map(enclaveLevelDocument) }),
  })
  const inputs = { collateral, now, trustAnchors: [pki.anchor], reportData: 'any', simulator: true } as const
  return appraiseQuote(quote, { ...inputs, memo })
}
const memo = createQuoteMemo()

const rankOf = ({ sgx, pce, tdx }: Level) => [...sgx, pce, ...tdx]
function isHigher(left: readonly number[], right: readonly number[]): number {
  const at = left.findIndex((value, place) => value !== right[place])
  return at < 0 ? 0 : (right[at] ?? 0) - (left[at] ?? 0)
}
const bestOf = (list: readonly EnclaveLevel[], isvSvn: number) =>
  list.filter((one) => one.svn <= isvSvn).sort((left, right) => right.svn - left.svn)[0]

/** Null where something matches no level (TDX-159, TDX-170, TDX-173, TDX-174); else converged (TDX-175). */
function evaluate(world: World, of: Uint8Array): { status: string; day: number } | null {
  const [minor = 0, version = 0] = of
  const platform = [...world.levels]
    .sort((left, right) => isHigher(rankOf(left), rankOf(right)))
    .find(({ sgx, pce, tdx }) => {
      const first = version > 0 ? 2 : 0
      const isTdx = tdx.every((need, at) => at < first || need <= (of[at] ?? 0))
      return isTdx && pce <= havePce && sgx.every((need, at) => need <= (have[at] ?? 0))
    })
  const identity = world.modules.find((one) => one.version === version)
  const module = version > 0 ? identity && bestOf(identity.levels, minor) : null
  const qe = bestOf(world.qe, world.qeSvn)
  if (platform === undefined || module === undefined || qe === undefined) return null
  const parts = [qe, ...(module === null ? [] : [module])]
  let { status } = platform
  if (parts.some((part) => part.status === 'OutOfDate')) {
    if (status === 'UpToDate' || status === 'SWHardeningNeeded') status = 'OutOfDate'
    if (status === 'ConfigurationNeeded' || status === 'ConfigurationAndSWHardeningNeeded') {
      status = 'OutOfDateConfigurationNeeded'
    }
  }
  if (parts.some((part) => part.status === 'Revoked')) status = 'Revoked'
  return { status, day: Math.min(platform.day, ...parts.map((part) => part.day)) }
}

/** TDX-176. */
function relaunched(launch: string, current: string): string {
  const isOld = ['OutOfDate', 'OutOfDateConfigurationNeeded'].includes(launch)
  const mended = ['UpToDate', 'SWHardeningNeeded', 'ConfigurationNeeded', 'ConfigurationAndSWHardeningNeeded']
  if (!isOld || !mended.includes(current)) return launch
  const isConfiguration = [launch, current].some((status) => status.includes('Configuration'))
  return isConfiguration ? 'TDRelaunchAdvisedConfigurationNeeded' : 'TDRelaunchAdvised'
}

it('the verdict on any TCB is the one of the specification (TDX-159, TDX-170 to TDX-176)', () => {
  fc.assert(
    fc.property(worlds, (world) => {
      const launch = evaluate(world, world.launch)
      const current = world.bodyType === 2 ? launch : evaluate(world, world.current)
      const appraisal = appraise(world)
      const status = launch && current ? relaunched(launch.status, current.status) : 'none'
      if (launch === null || current === null) {
        expect(['tcb_not_supported', 'tdx_module_mismatch']).toContain(appraisal.class)
        expect(appraisal.tcb).toBeNull()
        return
      }
      expect([appraisal.class, appraisal.tcb]).toMatchObject([
        'verified',
        { status, launch: launch.status, current: current.status },
      ])
      const days = [appraisal.tcb?.tcbDate, appraisal.tcb?.tcbDateCurrent].map((at) => new Date(at ?? 0).getUTCDate())
      expect(days).toEqual([launch.day, current.day])
    }),
    { numRuns: 200 },
  )
})
