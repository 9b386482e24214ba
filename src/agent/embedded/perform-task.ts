import { AttestdError } from '../../base/errors.ts'
import { digestDevices } from '../../evidence/binding.ts'
import { devicesOf, tpmPartOf } from '../../evidence/composite.ts'
import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import { appraiseGuest, stageImaPart } from '../../verifier/index.ts'
import type { QuoteMemo } from '../../verifier/tdx/quote-memo.ts'
import { encodeEvidenceDocument } from '../evidence-document.ts'
import type {
  AppraisalTask,
  EncodedDocument,
  EncodingTask,
  EvidenceTask,
  FixedTpm,
  JudgedGuest,
  TaskResult,
} from './evidence-tasks.ts'
import type { PolicyJudge } from './policy-judge.ts'

/** What a thread keeps from one appraisal to the next. */
export interface AppraisalMemory {
  readonly quotes?: QuoteMemo
  /** Must be there for a task that asks policies. */
  readonly policies?: Pick<PolicyJudge, 'judge'>
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

/** A failed check refuses before any policy is asked (POL-430). */
function appraise({ evidence, inputs, question }: AppraisalTask, { quotes, policies }: AppraisalMemory): JudgedGuest {
  const tdx = inputs.tdx && { ...inputs.tdx, ...(quotes ? { memo: quotes } : {}) }
  const appraisal = appraiseGuest(evidence, { ...inputs, tdx })
  if (!appraisal.affirmed || question === undefined) return { ...appraisal, policies: [] }
  if (policies === undefined) throw new TypeError('a question about policies, and nobody to judge by them')
  return { ...appraisal, policies: policies.judge(appraisal, evidence, { ...question, now: inputs.now }) }
}

/** Does a task on the calling thread; the thread of appraisals is the one that has the code for it. */
export function performTask(task: EvidenceTask, memory: AppraisalMemory = {}): TaskResult {
  if (task.do === 'fixContainer') return fixContainer(task.evidence)
  if (task.do === 'encodeDocument') return encodeDocument(task)
  if (task.do === 'stageImaPart') return stageImaPart(task.part, task.inputs)
  return appraise(task, memory)
}
