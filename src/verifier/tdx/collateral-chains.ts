import type { Certificate } from '../../base/pki/certificate.ts'
import type { RevocationList } from '../../base/pki/revocation-list.ts'
import type { QeIdentity } from '../../endorsements/tdx/qe-identity.ts'
import type { TcbInfo } from '../../endorsements/tdx/tcb-info.ts'
import type { ChainWork } from './chain-work.ts'
import type { StepOutcome } from './pck-chain.ts'

export const signedDocumentSteps = [
  /** TDX-150, TDX-160: exactly two certificates, TCB signer and root, authentic. */
  'chain',
  /** TDX-151, TDX-161: over the received bytes. */
  'signature',
  /** TDX-152, TDX-162, TDX-179. */
  'wellFormed',
  /** Validity of the chain and TDX-153, TDX-163 (class not_current). */
  'current',
] as const
export type SignedDocumentStep = (typeof signedDocumentSteps)[number]
export type CollateralClass = 'collateral_invalid' | 'not_current' | 'collateral_mismatch'

export interface SignedDocumentJudgement<Document> {
  /** Set if every step but `current` passed. */
  readonly authentic: { readonly document: Document; readonly signer: Certificate; readonly root: Certificate } | null
  readonly steps: readonly StepOutcome<SignedDocumentStep, CollateralClass>[]
}

export interface SignedText {
  readonly text: string
  /** Hexadecimal digits of raw r and s. */
  readonly signature: string
  /** PEM. */
  readonly issuerChain: string
}

/** `judgeTcbInfo`, `judgeQeIdentity`. */
export type JudgeSignedDocument<Document extends TcbInfo | QeIdentity> = (
  signed: SignedText,
  work: ChainWork,
  now: number,
) => SignedDocumentJudgement<Document>

export const crlSteps = [
  /** TDX-119, TDX-120: strict form, issuer, signature, number and key identifier, nothing critical. */
  'authentic',
  /** TDX-119, TDX-120: thisUpdate <= now <= nextUpdate. */
  'current',
  /** Certificates that this list can revoke are not on it (class revoked). */
  'notRevoked',
] as const
export type CrlStep = (typeof crlSteps)[number]

export interface CrlJudgement {
  /** Set if `authentic` passed. */
  readonly list: RevocationList | null
  readonly steps: readonly StepOutcome<CrlStep, CollateralClass | 'revoked'>[]
}
