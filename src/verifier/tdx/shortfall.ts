import { sortTcbLevels, type TcbInfo, type TcbLevel } from '../../endorsements/tdx/tcb-info.ts'
import { type EnclaveTcbLevel, sortEnclaveTcbLevels } from '../../endorsements/tdx/tcb-level.ts'
import type { Shortfall, ShortfallComponent } from './quote-appraisal.ts'
import { expectedModuleOf, firstTdxComponent, moduleSvnOf, type PlatformSvns } from './tcb-match.ts'

/** What is compared with the best levels. */
export interface ComparedTcb {
  readonly tcbInfo: TcbInfo
  readonly platform: PlatformSvns
  /** Of the launch; null for SGX. */
  readonly launch: Uint8Array | null
  /** Of now; null for SGX. */
  readonly current: Uint8Array | null
  /** Null where the QE identity could not be judged. */
  readonly qe: { readonly isvSvn: number; readonly levels: readonly EnclaveTcbLevel[] } | null
}

type Gap = Omit<Shortfall, 'advice'>

const gapOf = (component: ShortfallComponent, have: number, need: number | undefined): Gap[] =>
  need !== undefined && have < need ? [{ component, have, need }] : []

function platformGaps(best: TcbLevel, { components, pceSvn }: PlatformSvns): Gap[] {
  const sgx = best.sgxComponents.flatMap((need, at) => gapOf(`sgx[${at}]`, components[at] ?? 0, need))
  return [...sgx, ...gapOf('pcesvn', pceSvn, best.pceSvn)]
}

const highestSvn = (levels: readonly EnclaveTcbLevel[]) => sortEnclaveTcbLevels(levels)[0]?.isvSvn

function tdxGaps(best: TcbLevel, tcbInfo: TcbInfo, teeTcbSvn: Uint8Array | null): Gap[] {
  if (teeTcbSvn === null) return []
  const first = firstTdxComponent(teeTcbSvn)
  const components = (best.tdxComponents ?? []).flatMap((need, at) =>
    at < first ? [] : gapOf(`tdx[${at}]`, teeTcbSvn[at] ?? 0, need),
  )
  const module = highestSvn(expectedModuleOf(tcbInfo, teeTcbSvn)?.levels ?? [])
  return [...components, ...gapOf('module', moduleSvnOf(teeTcbSvn), module)]
}

const restart = 'the host was updated since this TD was launched: restart the TD'

function remedyOf(component: ShortfallComponent): string {
  if (component === 'qe') return 'update the quoting enclave (DCAP software) of the host'
  if (component === 'module' || component === 'tdx[0]' || component === 'tdx[1]') {
    return 'update the TDX module of the host, and restart the TD'
  }
  if (component === 'tdx[2]') return 'update SEAM loader and microcode of the host, and restart the TD'
  if (component === 'pcesvn')
    return 'update the provisioning enclave (PCE) of the host, and fetch its new PCK certificate'
  return component.startsWith('tdx')
    ? 'update firmware and microcode of the host, and restart the TD'
    : 'update BIOS and microcode of the host, and fetch its new PCK certificate'
}

function nameOf(component: ShortfallComponent): string {
  const at = /\d+/.exec(component)?.[0]
  if (component.startsWith('sgx')) return `SGX TCB component ${at}`
  if (component.startsWith('tdx')) return `TDX TCB component ${at}`
  if (component === 'pcesvn') return 'the PCE SVN'
  return component === 'module' ? 'the SVN of the TDX module' : 'the SVN of the quoting enclave'
}

function advise(gap: Gap, remedy: string): Shortfall {
  const { component, have, need } = gap
  return { ...gap, advice: `${nameOf(component)} is ${have}, ${need - have} below ${need}: ${remedy}` }
}

/**
 * Everything that keeps the platform below the best level of TCB info, TDX module and quoting enclave, with what would
 * mend it (TDX-177). What is short at the launch of the TD and not any more needs a restart and no update.
 */
export function findShortfall({ tcbInfo, platform, launch, current, qe }: ComparedTcb): Shortfall[] {
  const [best] = sortTcbLevels(tcbInfo.levels)
  if (best === undefined) return []
  const now = tdxGaps(best, tcbInfo, current)
  const atLaunch = tdxGaps(best, tcbInfo, launch)
  const isShort = (gaps: readonly Gap[], { component }: Gap) => gaps.some((gap) => gap.component === component)
  return [
    ...platformGaps(best, platform).map((gap) => advise(gap, remedyOf(gap.component))),
    ...atLaunch.map((gap) => advise(gap, isShort(now, gap) ? remedyOf(gap.component) : restart)),
    ...now.filter((gap) => !isShort(atLaunch, gap)).map((gap) => advise(gap, remedyOf(gap.component))),
    ...(qe === null ? [] : gapOf('qe', qe.isvSvn, highestSvn(qe.levels))).map((gap) => advise(gap, remedyOf('qe'))),
  ]
}
