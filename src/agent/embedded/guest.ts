import type { Collateral } from '../../endorsements/tdx/collateral.ts'
import { deriveReportData, deriveTpmQualifyingData, digestDevices } from '../../evidence/binding.ts'
import { devicesOf, type GuestEvidence, type TpmPart, tpmPartOf } from '../../evidence/composite.ts'
import type { TdxEvidence } from '../../evidence/tdx/evidence.ts'
import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import type { GuestPart, TpmAppraisal, TpmEnrolment, TpmRequirements } from '../../verifier/index.ts'
import type { TdxInputs } from '../../verifier/tdx/inputs.ts'
import type { PcrBankSelection } from '../../verifier/tpm/inputs.ts'

/** The verifier's memory of this machine's TPM. */
export interface Enrolments {
  /** The active enrolment of the key that the attester uses now; enrols it first if it is not known. */
  require(signal: AbortSignal): Promise<TpmEnrolment>
  /** Moves the counters of an affirmed appraisal; refuses if another appraisal was faster (ENR-12). */
  keepCounters(before: TpmEnrolment, appraisal: TpmAppraisal): Promise<void>
  /** The kept enrolment does not fit the evidence any more: the next `require` enrols again. */
  forget(): void
}

/** The attester, as far as quotes go. What it is to quote is settled before the challenge, so that it can be compared. */
export interface QuotingAttester {
  selection(signal: AbortSignal): Promise<readonly PcrBankSelection[]>
  collect(
    qualifyingData: Uint8Array,
    options: { readonly selection: readonly PcrBankSelection[] },
    signal: AbortSignal,
  ): Promise<TpmEvidence>
}

/** The TPM of this guest and what is asked of it. */
export interface GuestTpm {
  readonly attester: QuotingAttester
  readonly enrolments: Enrolments
  readonly requirements: TpmRequirements
  readonly simulator: boolean
}

/** What the verifier asks of a TD, whatever the request. */
export type TdRequirements = Omit<TdxInputs, 'now' | 'reportData' | 'collateral' | 'memo'>

/** The TD that this guest is and what is asked of it. */
export interface GuestTd {
  readonly attester: { collect(reportData: Uint8Array, signal: AbortSignal): Promise<TdxEvidence> }
  /** What Intel says about the platform of this quote; null for a quote that does not name one. */
  collateralOf(quote: Uint8Array, signal: AbortSignal): Promise<Collateral | null>
  readonly requirements: TdRequirements
}

/** The devices of this guest that attest. At least one. */
export interface Guest {
  readonly tpm: GuestTpm | null
  readonly td: GuestTd | null
}

export function partsOf({ tpm, td }: Guest): readonly GuestPart[] {
  return [...(td === null ? [] : ['tdx' as const]), ...(tpm === null ? [] : ['tpm' as const])]
}

/** What was settled about the TPM before the challenge was made. */
export interface TpmPlan {
  readonly enrolment: TpmEnrolment
  /** What the attester was told to quote (TPM-21). */
  readonly selection: readonly PcrBankSelection[]
}

export async function planTpmQuote({ tpm }: Guest, signal: AbortSignal): Promise<TpmPlan | null> {
  if (tpm === null) return null
  const enrolment = await tpm.enrolments.require(signal)
  return { enrolment, selection: await tpm.attester.selection(signal) }
}

async function collectTpm(
  { tpm, td }: Guest,
  seed: Uint8Array,
  plan: TpmPlan | null,
  signal: AbortSignal,
): Promise<TpmPart | null> {
  if (tpm === null || plan === null) return null
  const { selection } = plan
  const evidence = await tpm.attester.collect(deriveTpmQualifyingData(seed), { selection }, signal)
  return td === null ? { evidence, container: null } : tpmPartOf(evidence)
}

/** Collects all evidence over one seed; devices first, so that the TD quote covers what they said (BRK-92). */
export async function collectGuest(
  guest: Guest,
  seed: Uint8Array,
  plan: TpmPlan | null,
  signal: AbortSignal,
): Promise<GuestEvidence> {
  const tpm = await collectTpm(guest, seed, plan, signal)
  if (guest.td === null) return { tdx: null, tpm }
  const reportData = deriveReportData(seed, digestDevices(devicesOf({ tdx: null, tpm })))
  const { quote, ccEventLog, simulated } = await guest.td.attester.collect(reportData, signal)
  return { tdx: { quote, ccEventLog, simulated }, tpm }
}
