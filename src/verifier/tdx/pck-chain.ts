import type { Certificate } from '../../base/pki/certificate.ts'
import type { TrustAnchor } from '../../base/pki/trust-anchor.ts'
import type { PckCaKind, PckCertificate } from '../../endorsements/tdx/pck-certificate.ts'
import type { ChainWork } from './chain-work.ts'

/** In the order in which they are looked at. A step that needs an earlier one which failed is absent from `steps`. */
export const pckChainSteps = [
  /** TDX-110: strict PEM, exactly three certificates. */
  'grammar',
  /** TDX-111: strict DER, version 3, ECDSA with SHA-256 over P-256, no unknown critical extension. */
  'profile',
  /** TDX-113. */
  'anchor',
  /** TDX-115. */
  'names',
  /** TDX-116. */
  'roles',
  /** TDX-114: names chain, signatures verify. */
  'signatures',
  /** TDX-118. */
  'validity',
  /** TDX-121. */
  'sgxExtension',
] as const
export type PckChainStep = (typeof pckChainSteps)[number]

/** A named check of a chain or of signed collateral: passed if `problem` is null. */
export interface StepOutcome<Step extends string, Class extends string> {
  readonly step: Step
  readonly problem: { readonly class: Class; readonly detail: string } | null
}

/** An authenticated chain; current only if the step `validity` passed as well. */
export interface PckChain {
  readonly leaf: PckCertificate
  readonly ca: Certificate
  readonly caKind: PckCaKind
  readonly root: Certificate
  readonly anchor: TrustAnchor
}

export interface PckChainJudgement {
  /** What the leaf says, as soon as it parses; facts only if `chain` is set. */
  readonly leaf: PckCertificate | null
  /** Set if every step but `validity` passed. */
  readonly chain: PckChain | null
  readonly steps: readonly StepOutcome<PckChainStep, 'untrusted_chain' | 'not_current'>[]
}

/** Judges the PEM text leaf, CA, root of a quote or its collateral (TDX-110 to TDX-118, TDX-121). Never throws for bad input. */
export type JudgePckChain = (pem: string, work: ChainWork, now: number) => PckChainJudgement
