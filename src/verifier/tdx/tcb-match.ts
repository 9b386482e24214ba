import type { SgxExtension } from '../../endorsements/tdx/sgx-extension.ts'
import { compareTcbLevels, type TcbInfo, type TcbLevel, type TdxModule } from '../../endorsements/tdx/tcb-info.ts'
import type { EnclaveTcbLevel, TcbStatus } from '../../endorsements/tdx/tcb-level.ts'
import { convergeStatus } from './tcb-status.ts'

/** The SVNs of the platform by its PCK certificate; the CPUSVN octets are not for comparison (TDX-121). */
export type PlatformSvns = Pick<SgxExtension, 'components' | 'pceSvn'>

/** Version of the TDX module: 0 for the first line, which has no identity of its own (TDX-170). */
export const moduleVersionOf = (teeTcbSvn: Uint8Array): number => teeTcbSvn[1] ?? 0

/** The SVN of the TDX module within its version (TDX-174). */
export const moduleSvnOf = (teeTcbSvn: Uint8Array): number => teeTcbSvn[0] ?? 0

/**
 * The first component that the level of the platform counts: the two before it are those of the TDX module, which has
 * levels of its own from version 1 on (TDX-173).
 */
export const firstTdxComponent = (teeTcbSvn: Uint8Array): 0 | 2 => (moduleVersionOf(teeTcbSvn) > 0 ? 2 : 0)

function coversTdx(level: TcbLevel, teeTcbSvn: Uint8Array): boolean {
  const needs = level.tdxComponents ?? []
  for (let at: number = firstTdxComponent(teeTcbSvn); at < needs.length; at++) {
    if ((needs[at] ?? 0) > (teeTcbSvn[at] ?? 0)) return false
  }
  return true
}

function coversSgx({ sgxComponents: needs }: TcbLevel, { components }: PlatformSvns): boolean {
  for (let at = 0; at < needs.length; at++) if ((needs[at] ?? 0) > (components[at] ?? 0)) return false
  return true
}

/** Whether a platform is at or above a level; `teeTcbSvn` is null for SGX (TDX-173). */
export function coversLevel(level: TcbLevel, platform: PlatformSvns, teeTcbSvn: Uint8Array | null): boolean {
  return (
    coversSgx(level, platform) && level.pceSvn <= platform.pceSvn && (teeTcbSvn === null || coversTdx(level, teeTcbSvn))
  )
}

/** The highest level that the platform reaches, or null (TDX-173). */
export function matchTcbLevel(
  levels: readonly TcbLevel[],
  platform: PlatformSvns,
  teeTcbSvn: Uint8Array | null,
): TcbLevel | null {
  let highest: TcbLevel | null = null
  for (const level of levels) {
    const isHigher = highest === null || compareTcbLevels(level, highest) > 0
    if (isHigher && coversLevel(level, platform, teeTcbSvn)) highest = level
  }
  return highest
}

/** The highest level that a quoting enclave or a TDX module reaches, or null (TDX-159, TDX-174). */
export function matchEnclaveLevel(levels: readonly EnclaveTcbLevel[], isvSvn: number): EnclaveTcbLevel | null {
  let highest: EnclaveTcbLevel | null = null
  for (const level of levels) {
    if (level.isvSvn <= isvSvn && (highest === null || level.isvSvn > highest.isvSvn)) highest = level
  }
  return highest
}

/** What TCB info says of the TDX module of a version. `levels` is null for version 0, which has none. */
export interface ExpectedModule {
  readonly id: string
  readonly module: TdxModule
  readonly levels: readonly EnclaveTcbLevel[] | null
}

/** Null if the TCB info does not know the version (TDX-170). */
export function expectedModuleOf(tcbInfo: TcbInfo, teeTcbSvn: Uint8Array): ExpectedModule | null {
  const version = moduleVersionOf(teeTcbSvn)
  const id = moduleIdOf(teeTcbSvn)
  if (version === 0) return tcbInfo.tdxModule && { id, module: tcbInfo.tdxModule, levels: null }
  const identity = tcbInfo.tdxModuleIdentities.find((candidate) => candidate.id === id)
  return identity === undefined ? null : { id, module: identity, levels: identity.levels }
}

/** `TDX_` and the version in two upper-case hexadecimal digits: 16 is `TDX_10` (TDX-170). */
export function moduleIdOf(teeTcbSvn: Uint8Array): string {
  return `TDX_${moduleVersionOf(teeTcbSvn).toString(16).toUpperCase().padStart(2, '0')}`
}

/** The levels that a platform reaches with one set of SVNs. */
export interface MatchedLevels {
  readonly platform: TcbLevel
  /** Null for SGX and for modules of version 0. */
  readonly module: EnclaveTcbLevel | null
}

export interface ConvergedTcb {
  readonly status: TcbStatus
  /** Milliseconds since the epoch: the earliest of the levels. */
  readonly tcbDate: number
  /** Of platform, quoting enclave and module in this order, each once. */
  readonly advisoryIds: readonly string[]
}

/** The platform together with its quoting enclave (TDX-175). */
export function convergeLevels({ platform, module }: MatchedLevels, qe: EnclaveTcbLevel): ConvergedTcb {
  const parts = module === null ? [qe] : [qe, module]
  const all = [platform, ...parts]
  const partStatuses = parts.map(({ status }) => status)
  return {
    status: convergeStatus(platform.status, partStatuses),
    tcbDate: Math.min(...all.map(({ tcbDate }) => tcbDate)),
    advisoryIds: [...new Set(all.flatMap(({ advisoryIds }) => advisoryIds))],
  }
}
