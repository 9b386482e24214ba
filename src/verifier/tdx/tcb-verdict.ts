import type { SgxExtension } from '../../endorsements/tdx/sgx-extension.ts'
import type { EnclaveTcbLevel } from '../../endorsements/tdx/tcb-level.ts'
import type { Quote } from '../../evidence/tdx/quote.ts'
import type { JudgedCollateral } from './judge-collateral.ts'
import { judgeQe } from './judge-qe.ts'
import { judgeCurrentLevels, judgeLaunchLevels, judgeModule, judgeTcbInfoFits, teeTcbSvnsOf } from './judge-tcb.ts'
import type { PckChain } from './pck-chain.ts'
import type { Shortfall, TcbVerdict } from './quote-appraisal.ts'
import type { QuoteChecklist } from './quote-form.ts'
import { findShortfall } from './shortfall.ts'
import { convergeLevels, type MatchedLevels } from './tcb-match.ts'
import { relaunchStatus } from './tcb-status.ts'

/** `tcb` is null where no level matched or something is not authentic; the shortfall may still be known (TDX-177). */
export interface TcbOutcome {
  readonly tcb: TcbVerdict | null
  readonly shortfall: readonly Shortfall[]
}

const unknown: TcbOutcome = { tcb: null, shortfall: [] }

interface Matched {
  readonly launch: MatchedLevels
  readonly current: MatchedLevels
  readonly qe: EnclaveTcbLevel
  readonly evaluationNumber: number
}

type WithoutShortfall = Omit<TcbVerdict, 'shortfall'>

/** TDX-175 to TDX-178. */
function composeVerdict({ launch, current, qe, evaluationNumber }: Matched): WithoutShortfall {
  const atLaunch = convergeLevels(launch, qe)
  const now = convergeLevels(current, qe)
  return {
    status: relaunchStatus(atLaunch.status, now.status),
    launch: atLaunch.status,
    current: now.status,
    platform: launch.platform.status,
    module: launch.module?.status ?? null,
    qe: qe.status,
    tcbDate: atLaunch.tcbDate,
    tcbDateCurrent: now.tcbDate,
    advisoryIds: atLaunch.advisoryIds,
    advisoryIdsCurrent: now.advisoryIds,
    evaluationNumber,
  }
}

function judgeLevels(
  checklist: QuoteChecklist,
  quote: Quote,
  sgx: SgxExtension,
  { tcbInfo, qeIdentity }: JudgedCollateral,
): WithoutShortfall | null {
  const qe = qeIdentity && judgeQe(checklist, quote, qeIdentity.document)
  if (tcbInfo === null || !judgeTcbInfoFits(checklist, quote, tcbInfo.document, sgx)) return null
  judgeModule(checklist, quote.body, tcbInfo.document)
  const svns = teeTcbSvnsOf(quote.body)
  const inputs = { tcbInfo: tcbInfo.document, sgx }
  const launch = judgeLaunchLevels(checklist, inputs, svns.launch)
  const current = judgeCurrentLevels(checklist, inputs, svns.current)
  if (launch === null || current === null || qe === null) return null
  const numbers = [tcbInfo, qeIdentity].map((item) => item?.document.tcbEvaluationDataNumber ?? 0)
  return composeVerdict({ launch, current, qe, evaluationNumber: Math.min(...numbers) })
}

/** Sections 3.3 to 3.5 of tdx.md: quoting enclave, TDX module and TCB levels against authentic collateral. */
export function judgeTcb(
  checklist: QuoteChecklist,
  quote: Quote,
  chain: PckChain,
  collateral: JudgedCollateral,
): TcbOutcome {
  const { sgx } = chain.leaf
  const verdict = judgeLevels(checklist, quote, sgx, collateral)
  const tcbInfo = collateral.tcbInfo?.document
  if (tcbInfo === undefined || !checklist.passed('tdx.tcbInfo.kind', 'tdx.tcbInfo.fmspc')) return unknown
  if (verdict?.status === 'UpToDate') return { tcb: { ...verdict, shortfall: [] }, shortfall: [] }
  const levels = collateral.qeIdentity?.document.levels
  const qe = levels === undefined ? null : { isvSvn: quote.qe.report.isvSvn, levels }
  const shortfall = findShortfall({ tcbInfo, platform: sgx, ...teeTcbSvnsOf(quote.body), qe })
  return { tcb: verdict && { ...verdict, shortfall }, shortfall }
}
