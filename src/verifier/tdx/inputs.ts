import type { TrustAnchor } from '../../base/pki/trust-anchor.ts'
import type { Collateral } from '../../endorsements/tdx/collateral.ts'
import type { TcbStatus } from '../../endorsements/tdx/tcb-level.ts'
import type { EventLogPolicy } from './event-log-policy.ts'
import type { QuoteMemo } from './quote-memo.ts'

/** What a verified quote says of its platform (TDX-175, TDX-176): the statuses of TCB info, and two for a TD to restart. */
export type PlatformTcbStatus = TcbStatus | 'TDRelaunchAdvised' | 'TDRelaunchAdvisedConfigurationNeeded'

/** `Revoked` cannot be accepted by any policy (tdx.md section 3). */
export const acceptableTcbStatuses = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'TDRelaunchAdvised',
  'TDRelaunchAdvisedConfigurationNeeded',
] as const satisfies readonly PlatformTcbStatus[]
export type AcceptableTcbStatus = (typeof acceptableTcbStatuses)[number]

/** What the caller decides about quotes that verify (TDX-190). */
export interface TdxPolicy {
  /** Waives through TDs and enclaves in debug mode, whose memory the host reads. */
  readonly acceptDebug: boolean
  readonly tcbStatuses: readonly AcceptableTcbStatus[]
  /**
   * Seconds after their nextUpdate for which TCB info, QE identity and revocation lists are still used; 0: none. The
   * claim `collateral_expiration_status` then says "1". Certificates have no such grace.
   */
  readonly collateralGraceSeconds: number
  /** Least TCB evaluation number; the smaller one of TCB info and QE identity counts (TDX-178). 0: any. */
  readonly minTcbEvalNum: number
  /** Waives through quotes that describe a paravisor below the guest, as those of some clouds do. */
  readonly acceptParavisor: boolean
}

export const defaultTdxPolicy: TdxPolicy = {
  acceptDebug: false,
  tcbStatuses: ['UpToDate', 'SWHardeningNeeded'],
  collateralGraceSeconds: 0,
  minTcbEvalNum: 0,
  acceptParavisor: false,
}

/** Fields of a TD report that reference values can name; `rtmr0` to `rtmr3` are its four runtime registers. */
export const tdReferenceFields = [
  'teeTcbSvn',
  'mrSeam',
  'mrSignerSeam',
  'seamAttributes',
  'tdAttributes',
  'xfam',
  'mrTd',
  'mrConfigId',
  'mrOwner',
  'mrOwnerConfig',
  'rtmr0',
  'rtmr1',
  'rtmr2',
  'rtmr3',
  'mrServiceTd',
] as const
/** Fields of an SGX report that reference values can name. */
export const sgxReferenceFields = ['mrEnclave', 'mrSigner', 'configId', 'attributes', 'miscSelect'] as const

export type ReferenceField = (typeof tdReferenceFields)[number] | (typeof sgxReferenceFields)[number]

/**
 * Accepted values by field, in the byte order of the report. A field that is absent is not compared. An empty list
 * accepts nothing, and so does any list for a field that the body of the quote does not have. `mrConfigId` may be
 * shorter than its 48 bytes and is then padded with zeros (TDX-043).
 */
export type TdxReferences = { readonly [Field in ReferenceField]?: readonly Uint8Array[] }

/** An anchor that `simulator` marks makes every appraisal under it a simulated one (TDX-287). */
export interface TdxTrustAnchor extends TrustAnchor {
  readonly simulator?: boolean
}

/** Everything that the appraisal of a quote depends on besides its bytes. */
export interface QuoteInputs {
  /** Null: the quote is judged without revocation and TCB, and is never affirmed (TDX-099). */
  readonly collateral: Collateral | null
  /** Milliseconds since the epoch; cut to whole seconds. */
  readonly now: number
  /** Default: the roots of Intel. An empty list trusts nothing (TDX-098). */
  readonly trustAnchors?: readonly TdxTrustAnchor[]
  /**
   * The 64 bytes that the quote must carry; shorter ones are padded with zeros (TDX-041). `any` waives the comparison.
   * Absent: the check is unreached, and the quote not affirmed.
   */
  readonly reportData?: Uint8Array | 'any'
  /** Absent or without a field: the comparison is waived. */
  readonly references?: TdxReferences
  /** What it leaves out is as in `defaultTdxPolicy`. */
  readonly policy?: Partial<TdxPolicy>
  /** Keeps what follows from bytes alone between appraisals (TDX-216). */
  readonly memo?: QuoteMemo
  /** True only for test verifiers: simulated quotes are then waived through. Default false. */
  readonly simulator?: boolean
  /** The hint of the evidence that it was simulated; unsigned, so that it can lower the trust and never raise it. */
  readonly simulated?: boolean
}

/** Everything that the appraisal of the evidence of a TD depends on besides the evidence. */
export interface TdxInputs extends Omit<QuoteInputs, 'simulated'> {
  /** Default: an event log is optional, and one that is there must replay to the quoted registers. */
  readonly eventLog?: EventLogPolicy
}
