import { AttestdError } from '../../base/errors.ts'
import { digestDevices } from '../../evidence/binding.ts'
import { devicesOf, type GuestEvidence, tpmPartOf } from '../../evidence/composite.ts'
import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import type { MaaJudge } from '../../issuer/azure/maa-judge.ts'
import type { VerifiedTrees } from '../../policies/index.ts'
import {
  type AppraisedEvidence,
  appraiseGuest,
  appraiseTdx,
  type RequestFacts,
  stageImaPart,
  verifiedClaims,
} from '../../verifier/index.ts'
import type { QuoteMemo } from '../../verifier/tdx/quote-memo.ts'
import { encodeEvidenceDocument } from '../evidence-document.ts'
import type { bundleInputOf } from './bundle-input.ts'
import type {
  AppraisalTask,
  EncodedDocument,
  EncodingTask,
  EvidenceTask,
  FixedTpm,
  JudgedGuest,
  JudgedTd,
  MaaAnswer,
  MaaTask,
  PolicyAnswers,
  TaskResult,
  TdAppraisalTask,
} from './evidence-tasks.ts'
import type { PolicyJudge, PolicyQuestion } from './policy-judge.ts'

/** What a thread keeps from one appraisal to the next. */
export interface AppraisalMemory {
  readonly quotes?: QuoteMemo
  /** Must be there for a task that asks policies of the own language. */
  readonly policies?: Pick<PolicyJudge, 'judge'>
  /** Must be there for a task that asks policies in the style of Azure. */
  readonly maa?: Pick<MaaJudge, 'judge'>
  /** Must be there for a task that is to make the input of bundles. */
  readonly bundleInputOf?: typeof bundleInputOf
}

function fixContainer(evidence: TpmEvidence): FixedTpm {
  const part = tpmPartOf(evidence)
  return { part, devices: digestDevices(devicesOf({ tdx: null, tpm: part })) }
}

function encodeDocument({ evidence, runtimeData, transcript }: EncodingTask): EncodedDocument {
  try {
    return { document: encodeEvidenceDocument(evidence, runtimeData, transcript) }
  } catch (error) {
    if (error instanceof AttestdError) return { tooLarge: error.message }
    throw error
  }
}

function answersTo(
  question: PolicyQuestion,
  trees: VerifiedTrees,
  { policies: judge, bundleInputOf: inputOf }: AppraisalMemory,
): PolicyAnswers {
  const { policies, bundles, statements } = question
  if (policies.length > 0 && judge === undefined)
    throw new TypeError('policies are asked, and nobody is to judge by them')
  if (bundles && inputOf === undefined) throw new TypeError('bundles are asked, and nobody is to make their input')
  return {
    policies: policies.length === 0 ? [] : (judge?.judge(trees, question) ?? []),
    ...(bundles && inputOf !== undefined ? { bundleInput: inputOf(trees, statements) } : {}),
  }
}

/** A failed check refuses before any policy is asked (POL-430). */
function answersAbout(
  appraisal: AppraisedEvidence,
  evidence: GuestEvidence,
  question: PolicyQuestion | undefined,
  facts: Pick<RequestFacts, 'tee' | 'now'>,
  memory: AppraisalMemory,
): PolicyAnswers {
  if (!appraisal.affirmed || question === undefined) return { policies: [] }
  const { policies, bundles, simulator, freshness } = question
  // What a bundle reads is not known beforehand: it gets the events, and nothing of the other documents (POL-962).
  const documents = policies.some((policy) => policy.documents) || (bundles && 'events')
  const trees = verifiedClaims(appraisal, evidence, { ...facts, freshness, simulator, documents })
  return answersTo(question, trees, memory)
}

function appraise({ evidence, inputs, question }: AppraisalTask, memory: AppraisalMemory): JudgedGuest {
  const tdx = inputs.tdx && { ...inputs.tdx, ...(memory.quotes ? { memo: memory.quotes } : {}) }
  const appraisal = appraiseGuest(evidence, { ...inputs, tdx })
  const { tee } = appraisal
  if (tee === null) return { ...appraisal, policies: [] }
  return { ...appraisal, ...answersAbout(appraisal, evidence, question, { tee, now: inputs.now }, memory) }
}

function appraiseTd({ evidence, inputs, question }: TdAppraisalTask, memory: AppraisalMemory): JudgedTd {
  const appraisal = appraiseTdx(evidence, { ...inputs, ...(memory.quotes ? { memo: memory.quotes } : {}) })
  const appraised = { ...appraisal, tdx: appraisal, tpm: null }
  const facts = { tee: 'tdx', now: inputs.now } as const
  return { ...appraisal, ...answersAbout(appraised, { tdx: evidence, tpm: null }, question, facts, memory) }
}

function judgeMaa({ question }: MaaTask, { maa }: AppraisalMemory): MaaAnswer {
  if (maa === undefined) throw new TypeError('a policy is asked, and nobody is to judge by it')
  return { verdict: maa.judge(question) }
}

/** Does a task on the calling thread; the thread of appraisals is the one that has the code for it. */
export function performTask(task: EvidenceTask, memory: AppraisalMemory = {}): TaskResult {
  if (task.do === 'fixContainer') return fixContainer(task.evidence)
  if (task.do === 'encodeDocument') return encodeDocument(task)
  if (task.do === 'stageImaPart') return stageImaPart(task.part, task.inputs)
  if (task.do === 'appraiseTd') return appraiseTd(task, memory)
  if (task.do === 'judgeMaa') return judgeMaa(task, memory)
  return appraise(task, memory)
}
