import type { PckCaKind } from '../../endorsements/tdx/pck-certificate.ts'
import type { SgxExtension } from '../../endorsements/tdx/sgx-extension.ts'
import type { EnclaveTcbStatus, TcbStatus } from '../../endorsements/tdx/tcb-level.ts'
import type { Quote } from '../../evidence/tdx/quote.ts'
import type { Appraisal, Finding } from '../../results/appraisal.ts'
import type { QuoteCheckId, VerdictClass } from './checks.ts'
import type { PlatformTcbStatus } from './inputs.ts'

/** What an authenticated PCK chain says of the platform. */
export interface PckFacts {
  readonly sgx: SgxExtension
  readonly ca: PckCaKind
  /** Name of the trust anchor at which the chain ends. */
  readonly anchor: string
  readonly serial: bigint
  /** Milliseconds since the epoch. */
  readonly notBefore: number
  readonly notAfter: number
}

/** `sgx[0]` to `sgx[15]`, `tdx[0]` to `tdx[15]`: the components of a TCB level. */
export type ShortfallComponent = `sgx[${number}]` | `tdx[${number}]` | 'pcesvn' | 'module' | 'qe'

/** One number that keeps the platform below the best TCB level (TDX-177). */
export interface Shortfall {
  readonly component: ShortfallComponent
  readonly have: number
  readonly need: number
  /** One sentence for people: what is short, by how much, and what mends it. */
  readonly advice: string
}

/** The TCB of a verified quote (sections 3.3 to 3.5 of tdx.md). */
export interface TcbVerdict {
  readonly status: PlatformTcbStatus
  /** With the SVNs of the launch, QE and module included. */
  readonly launch: TcbStatus
  /** With those of now; the same as `launch` for bodies that do not tell them apart. */
  readonly current: TcbStatus
  /** Of the matched level of the platform alone, at launch. */
  readonly platform: TcbStatus
  /** At launch; null for SGX, and for TDX modules of version 0. */
  readonly module: EnclaveTcbStatus | null
  readonly qe: EnclaveTcbStatus
  /** Milliseconds since the epoch: the earliest date of the levels that matched, at launch and now. */
  readonly tcbDate: number
  readonly tcbDateCurrent: number
  readonly advisoryIds: readonly string[]
  readonly advisoryIdsCurrent: readonly string[]
  /** The smaller one of the two evaluation numbers (TDX-178). */
  readonly evaluationNumber: number
  /** Empty where the status is UpToDate, and where nothing is below the best level. */
  readonly shortfall: readonly Shortfall[]
}

/** TDX-178 and TDX-180. Dates are milliseconds since the epoch. */
export interface CollateralFacts {
  readonly earliestIssueDate: number
  readonly latestIssueDate: number
  readonly earliestExpirationDate: number
  /** Used after its end, under `policy.collateralGraceSeconds`. */
  readonly expired: boolean
  readonly rootCaCrlNumber: bigint
  readonly pckCrlNumber: bigint
  /** SHA-384 of the 65 bytes of the public key of the root, lower-case hexadecimal. */
  readonly rootKeyId: string
  readonly tcbInfoEvaluationNumber: number
  readonly qeIdentityEvaluationNumber: number
  /** SHA-256 of the bytes used, lower-case hexadecimal (TOK-24). */
  readonly sha256: {
    readonly tcbInfo: string
    readonly qeIdentity: string
    readonly rootCaCrl: string
    readonly pckCrl: string
  }
}

/**
 * The appraisal of one quote. `affirmed` says that it may be relied on; `verified` is the verdict of the core alone,
 * which says nothing of status, debug mode, report data and measurements: an out-of-date or revoked platform has
 * verified quotes. The facts are null until the checks that cover them have passed, and are there whether or not the
 * quote is affirmed.
 */
export interface QuoteAppraisal extends Appraisal {
  readonly findings: readonly Finding<QuoteCheckId>[]
  /**
   * Every check of sections 2 and 3 of tdx.md passed, or was waived by `policy.collateralGraceSeconds`. Without
   * collateral: those that need none, and `complete` is false (TDX-099).
   */
  readonly verified: boolean
  /** Collateral was given, so that `verified` covers revocation and TCB. */
  readonly complete: boolean
  /** `verified`, or why not. */
  readonly class: VerdictClass
  /** As parsed; its content is proved only if `verified`. */
  readonly quote: Quote | null
  readonly pck: PckFacts | null
  readonly tcb: TcbVerdict | null
  /** TDX-177; also where no level matched, and `tcb` is null. */
  readonly shortfall: readonly Shortfall[]
  readonly collateral: CollateralFacts | null
  /** Null until the quote is verified, as are the next two. */
  readonly debug: boolean | null
  /** The quote describes a paravisor below the guest, as those of some clouds do (TDX-190). */
  readonly paravisor: boolean | null
  /** The anchor, the evidence or the caller says that nothing was measured by hardware: tokens must say so (TOK-04). */
  readonly simulated: boolean | null
}
