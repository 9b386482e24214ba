import { intelSgxRootAnchors } from '../../endorsements/tdx/intel-root.ts'
import { type Quote, reportDataOf } from '../../evidence/tdx/quote.ts'
import { Checklist } from '../../results/checklist.ts'
import { ChainWork } from './chain-work.ts'
import { classOfCheck, type QuoteCheckId, type QuoteCoreCheckId, quoteChecks, type VerdictClass } from './checks.ts'
import { collateralFactsOf } from './collateral-facts.ts'
import type { QuoteInputs, TdxPolicy } from './inputs.ts'
import { type CollateralContext, type JudgedCollateral, judgeCollateral } from './judge-collateral.ts'
import { judgePck } from './judge-pck.ts'
import { judgePckValidity, type PckChain } from './pck-chain.ts'
import type { CollateralFacts, PckFacts, QuoteAppraisal } from './quote-appraisal.ts'
import { pckChecks, quoteFormChecks, quoteSignatureChecks } from './quote-checks.ts'
import { quoteCopies, quoteTree } from './quote-claims.ts'
import { judgeQuoteForm, type QuoteChecklist } from './quote-form.ts'
import {
  isDebug,
  isParavisor,
  isSimulated,
  judgeHardware,
  judgePolicy,
  judgeReportData,
  policyOf,
} from './quote-policy.ts'
import { judgeReferences } from './quote-references.ts'
import { judgeQuoteSignatures } from './quote-signatures.ts'
import { judgeTcb, type TcbOutcome } from './tcb-verdict.ts'
import { momentOf } from './validity.ts'
import { tcbClaim, verificationClaims } from './verification-claims.ts'

const allCoreChecks = Object.keys(classOfCheck) as QuoteCoreCheckId[]
/** What can be judged without collateral (TDX-099). */
const checksWithoutCollateral = Object.keys({
  ...quoteFormChecks,
  ...pckChecks,
  ...quoteSignatureChecks,
}) as QuoteCoreCheckId[]

/** All that one appraisal knows beside its inputs. */
interface Judging {
  readonly checklist: QuoteChecklist
  readonly inputs: QuoteInputs
  readonly policy: TdxPolicy
  readonly context: CollateralContext
}

interface JudgedQuote {
  readonly quote: Quote
  readonly chain: PckChain | null
  readonly collateral: JudgedCollateral | null
  readonly outcome: TcbOutcome
}

function verdictOf(checklist: QuoteChecklist, { collateral }: QuoteInputs): VerdictClass {
  const core = collateral === null ? checksWithoutCollateral : allCoreChecks
  const failed = core.find((id) => checklist.outcome(id) === 'failed')
  if (failed !== undefined) return classOfCheck[failed]
  const open = core.find((id) => checklist.outcome(id) === 'unreached')
  if (open !== undefined) throw new TypeError(`check ${open} is open although no check before it failed`)
  return 'verified'
}

function judgeWithCollateral(
  { checklist, inputs, context }: Judging,
  quote: Quote,
  chain: PckChain | null,
): JudgedQuote {
  const nothing = { quote, chain, collateral: null, outcome: { tcb: null, shortfall: [] } }
  const { collateral: source } = inputs
  if (source === null) return nothing
  const collateral = judgeCollateral(checklist, source, chain, context)
  if (chain === null) return { ...nothing, collateral }
  return { quote, chain, collateral, outcome: judgeTcb(checklist, quote, chain, collateral) }
}

function judgeQuote(judging: Judging, bytes: Uint8Array): JudgedQuote | null {
  const { checklist, inputs, policy, context } = judging
  checklist.judge('tdx.collateral.present', inputs.collateral !== null, () => 'inputs.collateral is null')
  const quote = judgeQuoteForm(checklist, bytes)
  if (quote === null) return null
  const chain = judgePck(checklist, quote, inputs, context)
  if (chain !== null) judgePckValidity(checklist, chain, context.moment.now)
  judgeQuoteSignatures(checklist, quote, chain?.key ?? null)
  const judged = judgeWithCollateral(judging, quote, chain)
  judgeReportData(checklist, reportDataOf(quote), inputs.reportData)
  judgeReferences(checklist, quote.body, inputs.references)
  judgePolicy(checklist, quote, judged.outcome.tcb, policy)
  if (chain !== null) judgeHardware(checklist, isSimulated(chain.anchor, inputs), inputs)
  return judged
}

function pckFactsOf({ leaf, caKind, anchor }: PckChain): PckFacts {
  const { serial, notBefore, notAfter } = leaf.certificate
  return { sgx: leaf.sgx, ca: caKind, anchor: anchor.name, serial, notBefore, notAfter }
}

/** The checks that a grace period waives. */
const periodChecks = [
  'tdx.rootCrl.validity',
  'tdx.pckCrl.validity',
  'tdx.tcbInfo.validity',
  'tdx.qeIdentity.validity',
] as const satisfies readonly QuoteCheckId[]

function factsOf(judging: Judging, { chain, collateral }: JudgedQuote): CollateralFacts | null {
  const { checklist, inputs } = judging
  if (chain === null || collateral === null || inputs.collateral === null) return null
  const { rootCrl, pckCrl, pckCrlChain, tcbInfo, qeIdentity } = collateral
  if (rootCrl === null || pckCrl === null || tcbInfo === null || qeIdentity === null) return null
  const { leaf, ca, root } = chain
  const issuers = [...(pckCrlChain === null ? [] : [pckCrlChain.issuer, pckCrlChain.root])]
  const signers = [tcbInfo.signer, tcbInfo.root, qeIdentity.signer, qeIdentity.root]
  return collateralFactsOf({
    rootCrl,
    pckCrl,
    tcbInfo: tcbInfo.document,
    qeIdentity: qeIdentity.document,
    certificates: [leaf.certificate, ca, root, ...issuers, ...signers],
    root,
    source: inputs.collateral,
    expired: periodChecks.some((id) => checklist.outcome(id) === 'waived'),
  })
}

/** The facts that a verified quote proves. */
type Proved = Pick<QuoteAppraisal, 'tcb' | 'collateral' | 'debug' | 'paravisor' | 'simulated'>

const nothingProved: Proved = { tcb: null, collateral: null, debug: null, paravisor: null, simulated: null }

function provedBy(judging: Judging, judged: JudgedQuote): Proved {
  const { body } = judged.quote
  return {
    tcb: judged.outcome.tcb,
    collateral: factsOf(judging, judged),
    debug: isDebug(body),
    paravisor: isParavisor(body),
    simulated: isSimulated(judged.chain?.anchor ?? null, judging.inputs),
  }
}

function claimsOf({ checklist, inputs }: Judging, { quote, chain }: JudgedQuote, proved: Proved) {
  const { tcb, collateral } = proved
  if (!checklist.affirmed() || tcb === null || collateral === null || chain === null) return {}
  // A literal that spreads this many members becomes a slow hash table.
  const tree = Object.assign(quoteTree(quote), verificationClaims(tcb, collateral, pckFactsOf(chain)), {
    report_data_bound: checklist.passed('tdx.reportData'),
  })
  const name = quote.body.kind === 'sgx' ? 'sgx' : 'tdx'
  return { [name]: tree, tcb: tcbClaim(tcb, collateral, inputs.now), ...quoteCopies(quote) }
}

/**
 * Appraises one TDX or SGX quote (tdx.md sections 2, 3 and 6): its form, its PCK chain and signatures, revocation, the
 * quoting enclave, the TDX module and the TCB level by the collateral, then the policy of the caller, the expected report
 * data and the reference values. All checks that can be judged are judged.
 *
 * Not verified here: that `inputs.reportData` is fresh and used once, and that the collateral is the newest one.
 *
 * Pure but for the memo, synchronous, and never throws for a bad quote or bad collateral; `TypeError` for inputs that no
 * caller should make, such as report data of more than 64 bytes.
 */
export function appraiseQuote(quote: Uint8Array, inputs: QuoteInputs): QuoteAppraisal {
  const policy = policyOf(inputs)
  const { trustAnchors: anchors = intelSgxRootAnchors, memo } = inputs
  const moment = momentOf(inputs.now, policy.collateralGraceSeconds)
  const context: CollateralContext = { work: new ChainWork(), anchors, memo, moment }
  const judging: Judging = { checklist: new Checklist(quoteChecks), inputs, policy, context }
  const judged = judgeQuote(judging, quote)
  const verdict = verdictOf(judging.checklist, inputs)
  const verified = verdict === 'verified'
  const proved = verified && judged !== null ? provedBy(judging, judged) : nothingProved
  const affirmed = judging.checklist.affirmed()
  return {
    affirmed,
    findings: judging.checklist.findings(),
    claims: judged === null ? {} : claimsOf(judging, judged, proved),
    verified,
    complete: inputs.collateral !== null,
    class: verdict,
    quote: judged?.quote ?? null,
    pck: judged?.chain ? pckFactsOf(judged.chain) : null,
    shortfall: judged?.outcome.shortfall ?? [],
    ...proved,
  }
}
