import { AttestdError } from '../../base/errors.ts'
import { digestDevices } from '../../evidence/binding.ts'
import { devicesOf, tpmPartOf } from '../../evidence/composite.ts'
import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import { appraiseGuest, stageImaPart } from '../../verifier/index.ts'
import type { QuoteMemo } from '../../verifier/tdx/quote-memo.ts'
import { encodeEvidenceDocument } from '../evidence-document.ts'
import type { EncodedDocument, EncodingTask, EvidenceTask, FixedTpm, TaskResult } from './evidence-tasks.ts'

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

/** Does a task on the calling thread; the thread of appraisals is the one that has the code for it. */
export function performTask(task: EvidenceTask, memo?: QuoteMemo): TaskResult {
  if (task.do === 'fixContainer') return fixContainer(task.evidence)
  if (task.do === 'encodeDocument') return encodeDocument(task)
  if (task.do === 'stageImaPart') return stageImaPart(task.part, task.inputs)
  const { evidence, inputs } = task
  const tdx = inputs.tdx && { ...inputs.tdx, ...(memo ? { memo } : {}) }
  return appraiseGuest(evidence, { ...inputs, tdx })
}
