export type { GuestAppraisal, GuestInputs, GuestPart } from './composite/appraise-guest.ts'
export { appraiseGuest } from './composite/appraise-guest.ts'
export { compositeChecks } from './composite/checks.ts'
export { guestChecks } from './composite/guest-checks.ts'
export type { BootChain, KernelSection, LoaderText, MeasuredItem } from './event-log/boot-chain.ts'
export { bootChainOf } from './event-log/boot-chain.ts'
export type { EventBinding } from './event-log/event-binding.ts'
export { bindEvent } from './event-log/event-binding.ts'
export type { JudgedEventLog, MeasuredEvent } from './event-log/judged-event-log.ts'
export { bindEventLog, provingBanks } from './event-log/judged-event-log.ts'
export type { EventLogReplay } from './event-log/replay-event-log.ts'
export { matchRegisters, replayEventLog } from './event-log/replay-event-log.ts'
export type { Authority, SecureBoot, SecureBootVariable } from './event-log/secure-boot.ts'
export { judgeSecureBoot } from './event-log/secure-boot.ts'
export type { ImaCheckpoint, ImaPending } from './ima/checkpoint.ts'
export { encodeImaCheckpoint, parseImaCheckpoint } from './ima/checkpoint.ts'
export type { ImaCountName, ImaCounts, ImaProgress } from './ima/ima-progress.ts'
export type { ImaNamedKind, ImaNamedRecord } from './ima/named-records.ts'
export type { ImaReplay, ImaReplayInputs } from './ima/replay-ima-log.ts'
export { replayImaLog } from './ima/replay-ima-log.ts'
export type { AppraisedEvidence, RequestFacts } from './policy-claims/verified-claims.ts'
export { verifiedClaims } from './policy-claims/verified-claims.ts'
export { appraiseQuote } from './tdx/appraise-quote.ts'
export type { TdxAppraisal } from './tdx/appraise-tdx.ts'
export { appraiseTdx } from './tdx/appraise-tdx.ts'
export type { CollateralItem, ItemInputs } from './tdx/authenticate-collateral-item.ts'
export { authenticateCollateralItem } from './tdx/authenticate-collateral-item.ts'
export type { QuoteCheckId, TdxCheckId, VerdictClass } from './tdx/checks.ts'
export { quoteChecks, tdxChecks } from './tdx/checks.ts'
export type { EventLogPolicy, EventLogVerdict, JudgedEvent } from './tdx/event-log-policy.ts'
export type {
  AcceptableTcbStatus,
  PlatformTcbStatus,
  QuoteInputs,
  ReferenceField,
  TdxInputs,
  TdxPolicy,
  TdxReferences,
  TdxTrustAnchor,
} from './tdx/inputs.ts'
export {
  acceptableTcbStatuses,
  defaultTdxPolicy,
  sgxReferenceFields,
  tdReferenceFields,
} from './tdx/inputs.ts'
export type {
  CollateralFacts,
  PckFacts,
  QuoteAppraisal,
  Shortfall,
  ShortfallComponent,
  TcbVerdict,
} from './tdx/quote-appraisal.ts'
export type { QuoteMemo } from './tdx/quote-memo.ts'
export { createQuoteMemo } from './tdx/quote-memo.ts'
export type { CcEventLogReplay, RegisterMatch, ReplayedRegister, RtmrIndex } from './tdx/replay-cc-event-log.ts'
export { matchRtmrs, replayCcEventLog } from './tdx/replay-cc-event-log.ts'
export type { TpmAppraisal } from './tpm/appraise-tpm.ts'
export { appraiseTpm } from './tpm/appraise-tpm.ts'
export type { TpmCheckId } from './tpm/checks.ts'
export { tpmChecks } from './tpm/checks.ts'
export type { ImaPolicy } from './tpm/ima-policy.ts'
export { defaultImaPolicy } from './tpm/ima-policy.ts'
export type { ImaReport } from './tpm/ima-report.ts'
export type {
  AkParent,
  AkTrust,
  PcrBankSelection,
  TpmCounters,
  TpmEnrolment,
  TpmInputs,
  TpmRequirements,
} from './tpm/inputs.ts'
export { defaultTpmRequirements } from './tpm/inputs.ts'
export type { LogOutcome, LogReplays, LogVerdict } from './tpm/log-replay.ts'
export type { PcrValues } from './tpm/pcr-values.ts'
export type { ImaStaged, ImaStageInputs } from './tpm/stage-ima.ts'
export { stageImaPart } from './tpm/stage-ima.ts'
