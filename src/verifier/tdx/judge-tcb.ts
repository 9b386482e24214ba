import { isFilledWith, samePublicBytes, toHex } from '../../base/bytes.ts'
import type { SgxExtension } from '../../endorsements/tdx/sgx-extension.ts'
import type { TcbInfo } from '../../endorsements/tdx/tcb-info.ts'
import type { EnclaveTcbLevel } from '../../endorsements/tdx/tcb-level.ts'
import type { Quote } from '../../evidence/tdx/quote.ts'
import type { QuoteBody } from '../../evidence/tdx/quote-body.ts'
import type { TdReport } from '../../evidence/tdx/td-report.ts'
import type { QuoteChecklist } from './quote-form.ts'
import {
  type ExpectedModule,
  expectedModuleOf,
  type MatchedLevels,
  matchEnclaveLevel,
  matchTcbLevel,
  moduleIdOf,
  moduleSvnOf,
  type PlatformSvns,
} from './tcb-match.ts'

/** TDX-164 to TDX-166: whether the TCB info is for this TEE and platform. */
export function judgeTcbInfoFits(checklist: QuoteChecklist, { body }: Quote, tcbInfo: TcbInfo, sgx: SgxExtension) {
  const { id, fmspc, pceId } = tcbInfo
  const tee = body.kind === 'sgx' ? 'SGX' : 'TDX'
  const fits = [
    checklist.judge('tdx.tcbInfo.kind', id === tee, () => `the quote is about ${tee}, the TCB info about ${id}`, id),
    checklist.judge('tdx.tcbInfo.fmspc', fmspc === sgx.fmspc, () => `${fmspc}, the platform has ${sgx.fmspc}`, fmspc),
    checklist.judge('tdx.tcbInfo.pceId', pceId === sgx.pceId, () => `${pceId}, the platform has ${sgx.pceId}`, pceId),
  ]
  return fits.every(Boolean)
}

function judgeModuleIdentity(checklist: QuoteChecklist, report: TdReport, { module, id }: ExpectedModule): void {
  const { mrSignerSeam, seamAttributes } = report
  const signer = samePublicBytes(mrSignerSeam, module.mrSigner)
  checklist.judge('tdx.module.signer', signer, () => `MRSIGNERSEAM is ${toHex(mrSignerSeam)}`, id)
  const attributes = samePublicBytes(seamAttributes, module.attributes) && isFilledWith(seamAttributes, 0)
  checklist.judge('tdx.module.attributes', attributes, () => `SEAMATTRIBUTES are ${toHex(seamAttributes)}`)
}

/** TDX-170 to TDX-172, for the SVNs of the launch: the report names one signer of the module. */
export function judgeModule(checklist: QuoteChecklist, { kind, report }: QuoteBody, tcbInfo: TcbInfo): void {
  if (kind === 'sgx') {
    for (const id of ['tdx.module.known', 'tdx.module.signer', 'tdx.module.attributes'] as const) {
      checklist.pass(id, 'SGX has no TDX module')
    }
    return
  }
  const expected = expectedModuleOf(tcbInfo, report.teeTcbSvn)
  const id = moduleIdOf(report.teeTcbSvn)
  checklist.judge('tdx.module.known', expected !== null, () => `there is no identity ${id}`, id)
  if (expected !== null) judgeModuleIdentity(checklist, report, expected)
}

/** The SVNs of the TDX module at launch and now; both null for SGX, and equal where the body does not tell them apart. */
export function teeTcbSvnsOf(body: QuoteBody): {
  readonly launch: Uint8Array | null
  readonly current: Uint8Array | null
} {
  if (body.kind === 'sgx') return { launch: null, current: null }
  const launch = body.report.teeTcbSvn
  return { launch, current: body.kind === 'td-1.0' ? launch : body.report.teeTcbSvn2 }
}

export interface LevelInputs {
  readonly tcbInfo: TcbInfo
  readonly sgx: PlatformSvns
}

/** The module level for version 1 and above; `unmatched` where there should be one. */
function moduleLevelOf(tcbInfo: TcbInfo, teeTcbSvn: Uint8Array | null): EnclaveTcbLevel | null | 'unmatched' {
  if (teeTcbSvn === null) return null
  const expected = expectedModuleOf(tcbInfo, teeTcbSvn)
  if (expected === null) return 'unmatched'
  return expected.levels && (matchEnclaveLevel(expected.levels, moduleSvnOf(teeTcbSvn)) ?? 'unmatched')
}

/** TDX-173 and TDX-174 for the SVNs of the launch. */
export function judgeLaunchLevels(
  checklist: QuoteChecklist,
  { tcbInfo, sgx }: LevelInputs,
  launch: Uint8Array | null,
): MatchedLevels | null {
  const platform = matchTcbLevel(tcbInfo.levels, sgx, launch)
  checklist.judge('tdx.tcb.level', platform !== null, () => 'the platform is below every level', platform?.status)
  const module = moduleLevelOf(tcbInfo, launch)
  const problem = () => `SVN ${launch && moduleSvnOf(launch)} of the TDX module is below every level`
  const detail = module === null ? 'no module with levels of its own' : undefined
  checklist.judge('tdx.module.level', module !== 'unmatched', problem, detail)
  return platform === null || module === 'unmatched' ? null : { platform, module }
}

/** TDX-176: with the SVNs of now, where the body tells them apart; a module that no level covers is a rejection. */
export function judgeCurrentLevels(
  checklist: QuoteChecklist,
  { tcbInfo, sgx }: LevelInputs,
  current: Uint8Array | null,
): MatchedLevels | null {
  const platform = matchTcbLevel(tcbInfo.levels, sgx, current)
  const module = moduleLevelOf(tcbInfo, current)
  const matched = platform !== null && module !== 'unmatched' ? { platform, module } : null
  const problem = () => `no level covers the SVNs of now, ${current && toHex(current)}`
  checklist.judge('tdx.tcb.current', matched !== null, problem)
  return matched
}
