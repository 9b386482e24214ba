import { equalBytes, isFilledWith, toHex } from '../../base/bytes.ts'
import type { Quote } from '../../evidence/tdx/quote.ts'
import type { QuoteBody } from '../../evidence/tdx/quote-body.ts'
import type { TdReport } from '../../evidence/tdx/td-report.ts'
import { defaultTdxPolicy, type QuoteInputs, type TdxPolicy, type TdxTrustAnchor } from './inputs.ts'
import type { TcbVerdict } from './quote-appraisal.ts'
import type { QuoteChecklist } from './quote-form.ts'

/** What the caller gave, and the defaults for what it left out or set to undefined. */
export function policyOf({ policy = {} }: Pick<QuoteInputs, 'policy'>): TdxPolicy {
  const given = Object.entries(policy).filter(([, value]) => value !== undefined)
  return { ...defaultTdxPolicy, ...Object.fromEntries(given) }
}

/** Bit 0 of the TD attributes, bit 1 of the flags of an enclave (TDX-190). */
export function isDebug({ kind, report }: QuoteBody): boolean {
  return kind === 'sgx' ? ((report.attributes[0] ?? 0) & 2) !== 0 : ((report.tdAttributes[0] ?? 0) & 1) !== 0
}

function measuresNothing({ tdAttributes, rtmr }: TdReport): boolean {
  return isFilledWith(tdAttributes, 0) && rtmr.every((register) => isFilledWith(register, 0))
}

/**
 * The firmware of every bare TD measures itself into RTMR 0. Where attributes and all registers are zero the quote is
 * that of a paravisor, which keeps the guest's measurements in a vTPM and binds that by the report data (TDX-190).
 */
export function isParavisor({ kind, report }: QuoteBody): boolean {
  return kind !== 'sgx' && measuresNothing(report)
}

function judgeDebug(checklist: QuoteChecklist, body: QuoteBody, { acceptDebug }: TdxPolicy): void {
  const id = 'tdx.policy.debug'
  if (!isDebug(body)) checklist.pass(id)
  else if (acceptDebug) checklist.waive(id, 'policy.acceptDebug is true, and it is in debug mode')
  else checklist.fail(id, 'it is in debug mode')
}

function judgeParavisor(checklist: QuoteChecklist, body: QuoteBody, { acceptParavisor }: TdxPolicy): void {
  const id = 'tdx.policy.paravisor'
  if (!isParavisor(body)) checklist.pass(id)
  else if (acceptParavisor) checklist.waive(id, 'policy.acceptParavisor is true, and nothing is measured')
  else checklist.fail(id, 'TD attributes and runtime registers are all zero')
}

function judgeTcb(checklist: QuoteChecklist, verdict: TcbVerdict, policy: TdxPolicy): void {
  const { status, current, evaluationNumber } = verdict
  // Revoked cannot be accepted, also by a caller that the types do not hold back, and also where only the TCB as it is
  // now is revoked: the status is that of the launch then (TDX-176), and says nothing of it.
  const isRevoked = status === 'Revoked' || current === 'Revoked'
  const accepted = policy.tcbStatuses.some((name) => name === status) && !isRevoked
  const told = current === 'Revoked' ? `${status}, that of the TCB as it is now Revoked` : status
  checklist.judge('tdx.policy.tcbStatus', accepted, () => `the status is ${told}`, status)
  const least = policy.minTcbEvalNum
  const problem = () => `the evaluation number is ${evaluationNumber}, at least ${least} is required`
  checklist.judge('tdx.policy.evaluationNumber', evaluationNumber >= least, problem, `${evaluationNumber}`)
}

const reportDataSize = 64

/** TDX-041: shorter values are padded with zeros at the end; a longer one is a bug of the caller. */
function paddedReportData(expected: Uint8Array): Uint8Array {
  if (expected.length > reportDataSize) throw new TypeError('report data have at most 64 bytes')
  const padded = new Uint8Array(reportDataSize)
  padded.set(expected)
  return padded
}

/** An absent expectation leaves the check unreached: forgetting it fails closed. */
export function judgeReportData(
  checklist: QuoteChecklist,
  actual: Uint8Array,
  expected: QuoteInputs['reportData'],
): void {
  if (expected === undefined) return
  if (expected === 'any') checklist.waive('tdx.reportData', "inputs.reportData is 'any'")
  else {
    const equal = equalBytes(actual, paddedReportData(expected))
    checklist.judge('tdx.reportData', equal, () => `the quote has ${toHex(actual)}`)
  }
}

/** TDX-287: neither the mark of the anchor nor the hint of the evidence can raise the trust. */
export function isSimulated(anchor: TdxTrustAnchor | null, { simulated }: Pick<QuoteInputs, 'simulated'>): boolean {
  return simulated === true || anchor?.simulator === true
}

export function judgeHardware(checklist: QuoteChecklist, simulated: boolean, { simulator }: QuoteInputs): void {
  if (!simulated) checklist.pass('tdx.hardware')
  else if (simulator === true) checklist.waive('tdx.hardware', 'the verifier runs in simulator mode')
  else checklist.fail('tdx.hardware', 'the quote is simulated')
}

/** Section 3.9 of tdx.md, on what a verified quote says; without TCB verdict the two checks of it stay unreached. */
export function judgePolicy(
  checklist: QuoteChecklist,
  { body }: Quote,
  tcb: TcbVerdict | null,
  policy: TdxPolicy,
): void {
  judgeDebug(checklist, body, policy)
  judgeParavisor(checklist, body, policy)
  if (tcb !== null) judgeTcb(checklist, tcb, policy)
}
