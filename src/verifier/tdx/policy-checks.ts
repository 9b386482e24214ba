import type { Checks } from '../../results/appraisal.ts'

export type QuotePolicyCheckId = keyof typeof policy
export type EventLogCheckId = keyof typeof eventLog

const policy = {
  'tdx.hardware': {
    title: 'the quote does not come from a simulator',
    rule: 'TDX-287',
    remedy: 'attest with the hardware of the machine; only a test verifier may run in simulator mode',
  },
  'tdx.reportData': {
    title: 'the report data is exactly the expected value',
    rule: 'TDX-041',
    remedy: 'fetch a new challenge and collect the evidence again; a quote made for another request is refused',
  },
  'tdx.policy.debug': {
    title: 'the TD or enclave is not in debug mode',
    rule: 'TDX-190',
    remedy: 'start the guest without the debug attribute; the host reads the memory of a debug TD',
  },
  'tdx.policy.paravisor': {
    title: 'the quote describes the TD itself, not a paravisor below the guest',
    rule: 'TDX-190',
    remedy: 'appraise the vTPM of such a guest; its quote says nothing of the guest',
  },
  'tdx.policy.tcbStatus': {
    title: 'the TCB status is one that the policy accepts',
    rule: 'TDX-190',
    remedy: 'see the shortfall for what has to be updated, or accept the status in the policy',
  },
  'tdx.policy.evaluationNumber': {
    title: 'the TCB evaluation data are at least as new as the policy requires',
    rule: 'TDX-178',
    remedy: 'fetch newer collateral, or lower the required evaluation number',
  },
  'tdx.references': {
    title: 'the measurements are among the reference values',
    rule: 'TDX-043',
    remedy: 'run the expected image, or add the values of the new one to the reference values',
  },
} as const

/** Section 3.9 of tdx.md: what the caller decides. The verdict of the core (`verified`) does not depend on them. */
export const quotePolicyChecks: Checks<QuotePolicyCheckId> = policy

const eventLog = {
  'tdx.evidence.kind': {
    title: 'the quote is about a TD',
    rule: 'TDX-040',
    remedy: 'send the quote of a TD; a quote of an SGX enclave has no event log and no runtime measurements',
  },
  'tdx.eventlog.present': {
    title: 'the event log is there',
    rule: 'TDX-022',
    remedy: 'let the collector read the CCEL table, or do not require the event log',
  },
  'tdx.eventlog.wellFormed': {
    title: 'the event log parses to its end, and its entries are about known registers',
    rule: 'TDX-230',
    remedy: 'send the CCEL area as it is; if it stays, the firmware writes a log that cannot be judged',
  },
  'tdx.eventlog.digests': {
    title: 'every event that extends a register has a SHA-384 digest',
    rule: 'TDX-234',
    remedy: 'use a firmware that measures with SHA-384',
  },
  'tdx.eventlog.replay': {
    title: 'the event log replays to the quoted registers',
    rule: 'TDX-236',
    remedy: 'restart the guest; a log that does not lead to the quoted registers is incomplete or was changed',
  },
} as const

/** Section 5 of tdx.md. */
export const eventLogChecks: Checks<EventLogCheckId> = eventLog
