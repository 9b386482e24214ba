import type { Collateral } from '../../endorsements/tdx/collateral.ts'
import { deriveReportData, deriveTpmQualifyingData } from '../../evidence/binding.ts'
import type { GuestEvidence, TpmPart } from '../../evidence/composite.ts'
import type { TdxEvidence } from '../../evidence/tdx/evidence.ts'
import type { ImaLogPart, TpmEvidence } from '../../evidence/tpm/evidence.ts'
import type { TpmReferences } from '../../reference-values/tpm-references.ts'
import type { AppraisalOutcome } from '../../registry/appraisal-history.ts'
import type { GuestInputs, GuestPart, TpmAppraisal, TpmEnrolment, TpmRequirements } from '../../verifier/index.ts'
import type { TdxInputs } from '../../verifier/tdx/inputs.ts'
import type { PcrBankSelection } from '../../verifier/tpm/inputs.ts'

/** The verifier's memory of this machine's TPM. */
export interface Enrolments {
  /** The active enrolment of the key that the attester uses now; enrols it first if it is not known. */
  require(signal: AbortSignal): Promise<TpmEnrolment>
  /**
   * Keeps counters, IMA checkpoint and outcome of an affirmed appraisal, all or nothing; refuses if another appraisal was
   * faster (ENR-12).
   */
  keepProgress(before: TpmEnrolment, appraisal: TpmAppraisal, outcome: AppraisalOutcome): Promise<void>
  /** Keeps the outcome of an appraisal that was refused, for the operator; the refusal stands whether it can or not. */
  keepRefusal(enrolment: TpmEnrolment, outcome: AppraisalOutcome): Promise<void>
  /** The kept enrolment does not fit the evidence any more: the next `require` enrols again. */
  forget(): void
}

/** What of an IMA log goes with a quote. */
export interface ImaExtent {
  /** The first record, counted since boot. */
  readonly imaFrom: number
  /** About how many bytes at most. */
  readonly imaMost: number
}

/** Evidence of a TPM; `imaContinues`: its IMA log was cut at the length that was asked for. */
export interface QuotedEvidence extends TpmEvidence {
  readonly imaContinues: boolean
}

/** Records of the IMA log; `continues`: there are more behind them. */
export interface ImaRecords extends ImaLogPart {
  readonly continues: boolean
}

/** The attester, as far as quotes go. What it is to quote is settled before the challenge, so that it can be compared. */
export interface QuotingAttester {
  selection(signal: AbortSignal): Promise<readonly PcrBankSelection[]>
  collect(
    qualifyingData: Uint8Array,
    options: { readonly selection: readonly PcrBankSelection[] } & ImaExtent,
    signal: AbortSignal,
  ): Promise<QuotedEvidence>
  /** Records of the IMA log without a quote; null where there is no log. */
  readIma(from: number, most: number, signal: AbortSignal): Promise<ImaRecords | null>
}

/** The TPM of this guest and what is asked of it. */
export interface GuestTpm {
  readonly attester: QuotingAttester
  readonly enrolments: Enrolments
  readonly requirements: TpmRequirements
  /** What PCRs and measured files are compared with; null: with nothing. */
  readonly references: TpmReferences | null
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

/** A verifier of simulated devices: what it says is about no real hardware (TOK-04). */
export function isSimulator({ tpm, td }: Guest): boolean {
  return tpm?.simulator === true || td?.requirements.simulator === true
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

/** What TPM evidence of this plan is judged by; `imaStage`: what the parts of its IMA log led to that went before it. */
export function tpmInputsOf(
  { requirements, references, simulator }: Pick<GuestTpm, 'requirements' | 'references' | 'simulator'>,
  { enrolment, selection }: TpmPlan,
  imaStage: Uint8Array | null,
): NonNullable<GuestInputs['tpm']> {
  return { requirements, references, simulator, enrolment, selection, imaStage }
}

export async function planTpmQuote({ tpm }: Guest, signal: AbortSignal): Promise<TpmPlan | null> {
  if (tpm === null) return null
  const enrolment = await tpm.enrolments.require(signal)
  return { enrolment, selection: await tpm.attester.selection(signal) }
}

/** Gives TPM evidence the bytes that a TD quote covers, away from the event loop. */
export type FixContainer = (evidence: TpmEvidence) => Promise<{ readonly part: TpmPart; readonly devices: Uint8Array }>

/** What evidence is collected over, and how much of it. */
export interface CollectionRequest {
  readonly seed: Uint8Array
  readonly plan: TpmPlan | null
  readonly ima: ImaExtent
  /** True: an IMA log that goes on behind `ima` is taken as it is. */
  readonly cut: boolean
}

async function quoteTpm(
  { tpm }: Guest,
  { seed, plan, ima }: CollectionRequest,
  signal: AbortSignal,
): Promise<QuotedEvidence | null> {
  if (tpm === null || plan === null) return null
  const { selection } = plan
  return tpm.attester.collect(deriveTpmQualifyingData(seed), { selection, ...ima }, signal)
}

const noDevices = new Uint8Array()

export interface CollectedGuest {
  readonly evidence: GuestEvidence
  /** Digest of the devices beside the TD, which its quote covers (BRK-92); empty without a TD, and without devices. */
  readonly devices: Uint8Array
}

/**
 * Collects all evidence over one seed; devices first, so that the TD quote covers what they said (BRK-92). Null where the
 * IMA log goes on and must not be cut: parts of it are to be sent first (IMA-24), and a TD is not troubled for nothing.
 */
export async function collectGuest(
  guest: Guest,
  request: CollectionRequest,
  fixContainer: FixContainer,
  signal: AbortSignal,
): Promise<CollectedGuest | null> {
  const quoted = await quoteTpm(guest, request, signal)
  if (quoted?.imaContinues && !request.cut) return null
  if (guest.td === null) {
    return { evidence: { tdx: null, tpm: quoted && { evidence: quoted, container: null } }, devices: noDevices }
  }
  const fixed = quoted && (await fixContainer(quoted))
  const devices = fixed?.devices ?? noDevices
  const reportData = deriveReportData(request.seed, devices)
  const { quote, ccEventLog, simulated } = await guest.td.attester.collect(reportData, signal)
  return { evidence: { tdx: { quote, ccEventLog, simulated }, tpm: fixed?.part ?? null }, devices }
}
