import { AttestdError } from '../../base/errors.ts'
import { digestDevices } from '../../evidence/binding.ts'
import { devicesOf, tpmPartOf } from '../../evidence/composite.ts'
import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import type { VerifiedTrees } from '../../policies/index.ts'
import { appraiseGuest, type GuestAppraisal, stageImaPart, verifiedClaims } from '../../verifier/index.ts'
import type { QuoteMemo } from '../../verifier/tdx/quote-memo.ts'
import { encodeEvidenceDocument } from '../evidence-document.ts'
import type { BundleInput } from './bundle-input.ts'
import type {
  AppraisalTask,
  EncodedDocument,
  EncodingTask,
  EvidenceTask,
  FixedTpm,
  JudgedGuest,
  TaskResult,
} from './evidence-tasks.ts'
import type { PolicyJudge, PolicyQuestion } from './policy-judge.ts'

/** What a thread keeps from one appraisal to the next. */
export interface AppraisalMemory {
  readonly quotes?: QuoteMemo
  /** Must be there for a task that asks policies of the own language. */
  readonly policies?: Pick<PolicyJudge, 'judge'>
  /** Must be there for a task that is to make the input of bundles. */
  readonly bundleInputOf?: (trees: VerifiedTrees) => BundleInput
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

type Answers = Pick<JudgedGuest, 'policies' | 'bundleInput'>

function answersTo(
  { policies, bundles }: PolicyQuestion,
  trees: VerifiedTrees,
  { policies: judge, bundleInputOf }: AppraisalMemory,
): Answers {
  if (policies.length > 0 && judge === undefined)
    throw new TypeError('policies are asked, and nobody is to judge by them')
  if (bundles && bundleInputOf === undefined)
    throw new TypeError('bundles are asked, and nobody is to make their input')
  return {
    policies: policies.length === 0 ? [] : (judge?.judge(trees, policies) ?? []),
    ...(bundles && bundleInputOf !== undefined ? { bundleInput: bundleInputOf(trees) } : {}),
  }
}

function treesOf(appraisal: GuestAppraisal, { evidence, inputs, question }: AppraisalTask): VerifiedTrees {
  const { tee } = appraisal
  if (tee === null || question === undefined) throw new TypeError('an affirmed appraisal of no kind')
  const { policies, bundles, simulator } = question
  // What a bundle reads is not known beforehand: it gets the events, and nothing of the other documents (POL-962).
  const documents = policies.some((policy) => policy.documents) || (bundles && 'events')
  return verifiedClaims(appraisal, evidence, { tee, freshness: 'challenge', now: inputs.now, simulator, documents })
}

/** A failed check refuses before any policy is asked (POL-430). */
function appraise(task: AppraisalTask, memory: AppraisalMemory): JudgedGuest {
  const { evidence, inputs, question } = task
  const tdx = inputs.tdx && { ...inputs.tdx, ...(memory.quotes ? { memo: memory.quotes } : {}) }
  const appraisal = appraiseGuest(evidence, { ...inputs, tdx })
  if (!appraisal.affirmed || question === undefined) return { ...appraisal, policies: [] }
  return { ...appraisal, ...answersTo(question, treesOf(appraisal, task), memory) }
}

/** Does a task on the calling thread; the thread of appraisals is the one that has the code for it. */
export function performTask(task: EvidenceTask, memory: AppraisalMemory = {}): TaskResult {
  if (task.do === 'fixContainer') return fixContainer(task.evidence)
  if (task.do === 'encodeDocument') return encodeDocument(task)
  if (task.do === 'stageImaPart') return stageImaPart(task.part, task.inputs)
  return appraise(task, memory)
}
