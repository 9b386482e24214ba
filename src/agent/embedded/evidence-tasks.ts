import type { JsonObject } from '../../base/json.ts'
import type { GuestEvidence, TpmPart } from '../../evidence/composite.ts'
import type { TdxEvidence } from '../../evidence/tdx/evidence.ts'
import type { ImaLogPart, TpmEvidence } from '../../evidence/tpm/evidence.ts'
import type { MaaQuestion, MaaVerdict } from '../../issuer/azure/maa-judge.ts'
import type { GuestAppraisal, GuestInputs, ImaStageInputs, TdxAppraisal, TdxInputs } from '../../verifier/index.ts'
import type { BundleInput } from './bundle-input.ts'
import type { ImaStart } from './ima-parts.ts'
import type { JudgedPolicy, PolicyQuestion } from './policy-judge.ts'

/** What the thread does for the event loop. */
export type EvidenceTask =
  | AppraisalTask
  | TdAppraisalTask
  | MaaTask
  | { readonly do: 'fixContainer'; readonly evidence: TpmEvidence }
  | { readonly do: 'stageImaPart'; readonly part: ImaLogPart; readonly inputs: ImaStageInputs }
  | EncodingTask

export interface AppraisalTask {
  readonly do: 'appraise'
  readonly evidence: GuestEvidence
  readonly inputs: GuestInputs
  /** Asked of what is affirmed. */
  readonly question?: PolicyQuestion
}

/** The evidence of a TD that somebody else collected, over report data that are known beforehand. */
export interface TdAppraisalTask {
  readonly do: 'appraiseTd'
  readonly evidence: TdxEvidence
  readonly inputs: Omit<TdxInputs, 'memo'>
  /** Asked of what is affirmed. */
  readonly question?: PolicyQuestion
}

/** Asks a policy in the style of Azure, which is about an appraisal that was made before. */
export interface MaaTask {
  readonly do: 'judgeMaa'
  readonly question: MaaQuestion
}

export interface MaaAnswer {
  readonly verdict: MaaVerdict | null
}

/** What policies say of an appraisal: nothing of evidence that is not affirmed. */
export interface PolicyAnswers {
  readonly policies: readonly JudgedPolicy[]
  /** Where bundles are asked: their input document. */
  readonly bundleInput?: BundleInput
}

/** An appraisal, and what each policy says of it. */
export interface JudgedGuest extends GuestAppraisal, PolicyAnswers {}
export interface JudgedTd extends TdxAppraisal, PolicyAnswers {}

/** Writes the document that goes to whoever verifies for itself. */
export interface EncodingTask {
  readonly do: 'encodeDocument'
  readonly evidence: GuestEvidence
  readonly runtimeData: Uint8Array
  readonly transcript: JsonObject
}

/** JSON text, or why there is none: an error would end the thread. */
export type EncodedDocument = { readonly document: string } | { readonly tooLarge: string }

/** TPM evidence whose bytes are fixed, and what a TD quote has to cover of it. */
export interface FixedTpm {
  readonly part: TpmPart
  /** As `digestDevices` gives it: 32 bytes. */
  readonly devices: Uint8Array
}

export type TaskResult = JudgedGuest | JudgedTd | MaaAnswer | FixedTpm | ImaStart | EncodedDocument | null

/** Smaller ones are copied: a buffer that Node shares among many small texts must never be given away. */
const worthGiving = 65_536

const bufferOf = (bytes: Uint8Array | null | undefined): ArrayBuffer[] =>
  bytes && bytes.length >= worthGiving && bytes.buffer instanceof ArrayBuffer ? [bytes.buffer] : []

const buffersOfPart = (part: TpmPart | null) => [...bufferOf(part?.evidence.ima?.data), ...bufferOf(part?.container)]

/** The buffers that go to the thread with a task, and are not copied. */
export function buffersOfTask(task: EvidenceTask): ArrayBuffer[] {
  switch (task.do) {
    case 'appraiseTd':
    case 'judgeMaa':
      return []
    case 'appraise':
    case 'encodeDocument':
      return buffersOfPart(task.evidence.tpm)
    case 'fixContainer':
      return bufferOf(task.evidence.ima?.data)
    case 'stageImaPart':
      return bufferOf(task.part.data)
  }
}

/** Those that come back with its result. */
export function buffersOfResult(result: TaskResult): ArrayBuffer[] {
  if (result === null) return []
  if ('part' in result) return buffersOfPart(result.part)
  const input = 'bundleInput' in result ? result.bundleInput : undefined
  return input !== undefined && 'document' in input ? bufferOf(input.document) : []
}
