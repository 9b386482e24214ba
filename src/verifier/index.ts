export type { EventLogReplay } from './event-log/replay-event-log.ts'
export { matchRegisters, replayEventLog } from './event-log/replay-event-log.ts'
export type { ImaReplay, ImaReplayInputs } from './ima/replay-ima-log.ts'
export { replayImaLog } from './ima/replay-ima-log.ts'
export type { TpmAppraisal } from './tpm/appraise-tpm.ts'
export { appraiseTpm } from './tpm/appraise-tpm.ts'
export type { TpmCheckId } from './tpm/checks.ts'
export { tpmChecks } from './tpm/checks.ts'
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
