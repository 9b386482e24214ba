import { describe, expect, it } from 'vitest'
import type { TcbInfo, TcbLevel, TdxModule } from '../../endorsements/tdx/tcb-info.ts'
import type { EnclaveTcbLevel } from '../../endorsements/tdx/tcb-level.ts'
import { findShortfall } from './shortfall.ts'
import {
  convergeLevels,
  coversLevel,
  expectedModuleOf,
  matchEnclaveLevel,
  matchTcbLevel,
  moduleIdOf,
} from './tcb-match.ts'

const sixteen = (value: number) => Array.from({ length: 16 }, () => value)
const withAt = (list: readonly number[], at: number, value: number) =>
  list.map((old, place) => (place === at ? value : old))
const platform = { components: sixteen(3), pceSvn: 13 }
const svn = (module: number, version: number, rest = 5) => Uint8Array.of(module, version, ...sixteen(rest).slice(2))

const level = (more: Partial<TcbLevel> = {}): TcbLevel => ({
  sgxComponents: sixteen(3),
  pceSvn: 13,
  tdxComponents: sixteen(5),
  tcbDate: 2000,
  status: 'UpToDate',
  advisoryIds: [],
  ...more,
})

const module: TdxModule = {
  mrSigner: new Uint8Array(48),
  attributes: new Uint8Array(8),
  attributesMask: new Uint8Array(8),
}
const enclave = (isvSvn: number, status: EnclaveTcbLevel['status'] = 'UpToDate'): EnclaveTcbLevel => ({
  isvSvn,
  status,
  tcbDate: 1000 + isvSvn,
  advisoryIds: [`SA-${isvSvn}`],
})
const tcbInfo = (more: Partial<TcbInfo> = {}): TcbInfo => ({
  id: 'TDX',
  version: 3,
  issueDate: 0,
  nextUpdate: 1,
  fmspc: '000000000000',
  pceId: '0000',
  tcbEvaluationDataNumber: 17,
  tdxModule: module,
  tdxModuleIdentities: [
    { id: 'TDX_03', ...module, levels: [enclave(2, 'OutOfDate'), enclave(5)] },
    { id: 'TDX_0B', ...module, levels: [enclave(1)] },
    { id: 'TDX_0c', ...module, levels: [enclave(1)] },
  ],
  levels: [level()],
  ...more,
})

describe('a TCB level (TDX-173)', () => {
  it.each(Array.from({ length: 16 }, (_, at) => at))('is reached with SGX component %i equal, not one below', (at) => {
    expect(coversLevel(level(), platform, null)).toBe(true)
    expect(coversLevel(level(), { ...platform, components: withAt(platform.components, at, 4) }, null)).toBe(true)
    expect(coversLevel(level(), { ...platform, components: withAt(platform.components, at, 2) }, null)).toBe(false)
  })

  it('is reached with an equal PCESVN, not one below', () => {
    expect(coversLevel(level(), { ...platform, pceSvn: 13 }, null)).toBe(true)
    expect(coversLevel(level(), { ...platform, pceSvn: 12 }, null)).toBe(false)
  })

  it('counts all TDX components of modules of version 0, and from the third on of later ones', () => {
    const covers = (teeTcbSvn: Uint8Array, tdxComponents: number[]) =>
      coversLevel(level({ tdxComponents }), platform, teeTcbSvn)
    expect(covers(svn(4, 0), sixteen(5))).toBe(false)
    expect(covers(svn(4, 0), [4, 0, ...sixteen(5).slice(2)])).toBe(true)
    expect(covers(svn(0, 1), sixteen(5))).toBe(true)
    for (let at = 2; at < 16; at++) {
      const short = svn(9, 1)
      short[at] = 4
      expect(covers(short, sixteen(5))).toBe(false)
    }
  })

  it('is the highest one that is reached, in whatever order they are listed', () => {
    const low = level({ sgxComponents: sixteen(1), status: 'OutOfDate' })
    const lowest = level({ sgxComponents: sixteen(1), pceSvn: 5, status: 'Revoked' })
    const tooHigh = level({ sgxComponents: sixteen(4) })
    for (const levels of [
      [low, lowest, tooHigh],
      [lowest, tooHigh, low],
      [tooHigh, low, lowest],
    ]) {
      expect(matchTcbLevel(levels, platform, svn(0, 1))).toBe(low)
    }
    expect(matchTcbLevel([tooHigh], platform, svn(0, 1))).toBeNull()
  })
})

describe('levels of enclaves and modules (TDX-159, TDX-174)', () => {
  it('count from their SVN on, also where they are not sorted', () => {
    const levels = [enclave(3), enclave(7), enclave(5)]
    expect([2, 3, 4, 5, 6, 7, 8].map((have) => matchEnclaveLevel(levels, have)?.isvSvn)).toEqual([
      undefined,
      ...[3, 3, 5, 5, 7, 7],
    ])
  })

  it('of modules are found by the version in upper-case hexadecimal digits (TDX-170)', () => {
    expect([1, 11, 16, 255].map((version) => moduleIdOf(svn(0, version)))).toEqual([
      'TDX_01',
      'TDX_0B',
      'TDX_10',
      'TDX_FF',
    ])
    expect(expectedModuleOf(tcbInfo(), svn(0, 11))?.id).toBe('TDX_0B')
    expect(expectedModuleOf(tcbInfo(), svn(0, 12))).toBeNull()
    expect(expectedModuleOf(tcbInfo(), svn(0, 2))).toBeNull()
  })

  it('do not exist for version 0, whose module stands apart', () => {
    expect(expectedModuleOf(tcbInfo(), svn(9, 0))).toEqual({ id: 'TDX_00', module, levels: null })
  })
})

describe('converged levels (TDX-175)', () => {
  it('have the earliest date, and every advisory once: platform, quoting enclave, module', () => {
    const matched = { platform: level({ advisoryIds: ['SA-9', 'SA-3'] }), module: enclave(2) }
    expect(convergeLevels(matched, enclave(3))).toEqual({
      status: 'UpToDate',
      tcbDate: 1002,
      advisoryIds: ['SA-9', 'SA-3', 'SA-2'],
    })
  })
})

describe('the shortfall (TDX-177)', () => {
  const qe = { isvSvn: 4, levels: [enclave(4), enclave(6)] }
  const enough = { tcbInfo: tcbInfo(), platform, launch: svn(5, 3), current: svn(5, 3), qe: null }
  const facts = (compared: Parameters<typeof findShortfall>[0]) =>
    findShortfall(compared).map(({ component, have, need }) => [component, have, need])

  it('is empty where nothing is short', () => expect(findShortfall(enough)).toEqual([]))

  it('names every component that is below the best level, with what it has and what it needs', () => {
    const short = { components: withAt(withAt(platform.components, 0, 2), 15, 0), pceSvn: 11 }
    expect(facts({ ...enough, platform: short, qe })).toEqual([
      ['sgx[0]', 2, 3],
      ['sgx[15]', 0, 3],
      ['pcesvn', 11, 13],
      ['qe', 4, 6],
    ])
    expect(facts({ ...enough, launch: svn(2, 3, 1), current: svn(2, 3, 1) }).slice(-2)).toEqual([
      ['tdx[15]', 1, 5],
      ['module', 2, 5],
    ])
  })

  it('compares with the best level, not with the one that matched', () => {
    const levels = [level({ sgxComponents: sixteen(1), status: 'OutOfDate' }), level({ sgxComponents: sixteen(4) })]
    expect(facts({ ...enough, tcbInfo: tcbInfo({ levels }) })).toHaveLength(16)
  })

  it('asks for a restart where the host was mended under the TD, for an update where it was not', () => {
    const [restarted] = findShortfall({ ...enough, launch: svn(2, 3), current: svn(5, 3) })
    expect(restarted).toMatchObject({ component: 'module', have: 2, need: 5 })
    expect(restarted?.advice).toBe(
      'the SVN of the TDX module is 2, 3 below 5: the host was updated since this TD was launched: restart the TD',
    )
    const [updated] = findShortfall({ ...enough, launch: svn(2, 3), current: svn(3, 3) })
    expect(updated?.advice).toContain('update the TDX module of the host')
  })

  it('tells what is short only now as well', () => {
    expect(facts({ ...enough, current: svn(4, 3) })).toEqual([['module', 4, 5]])
  })

  it('gives advice of its own for microcode, PCE, loader and quoting enclave', () => {
    const compared = {
      ...{ ...enough, qe, platform: { components: sixteen(2), pceSvn: 1 } },
      ...{ launch: svn(5, 3, 4), current: svn(5, 3, 4) },
    }
    const adviceOf = (component: string) => findShortfall(compared).find((gap) => gap.component === component)?.advice
    expect(adviceOf('sgx[3]')).toContain('SGX TCB component 3 is 2, 1 below 3: update BIOS and microcode')
    expect(adviceOf('pcesvn')).toContain('the PCE SVN is 1, 12 below 13: update the provisioning enclave')
    expect(adviceOf('tdx[2]')).toContain('TDX TCB component 2 is 4, 1 below 5: update SEAM loader and microcode')
    expect(adviceOf('tdx[7]')).toContain('update firmware and microcode')
    expect(adviceOf('qe')).toContain('update the quoting enclave')
  })
})
