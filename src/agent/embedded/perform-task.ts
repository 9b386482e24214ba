import { digestDevices } from '../../evidence/binding.ts'
import { devicesOf, tpmPartOf } from '../../evidence/composite.ts'
import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import { appraiseGuest, stageImaPart } from '../../verifier/index.ts'
import type { QuoteMemo } from '../../verifier/tdx/quote-memo.ts'
import type { EvidenceTask, FixedTpm, TaskResult } from './evidence-tasks.ts'

function fixContainer(evidence: TpmEvidence): FixedTpm {
  const part = tpmPartOf(evidence)
  return { part, devices: digestDevices(devicesOf({ tdx: null, tpm: part })) }
}

/** Does a task on the calling thread; the thread of appraisals is the one that has the code for it. */
export function performTask(task: EvidenceTask, memo?: QuoteMemo): TaskResult {
  if (task.do === 'fixContainer') return fixContainer(task.evidence)
  if (task.do === 'stageImaPart') return stageImaPart(task.part, task.inputs)
  const { evidence, inputs } = task
  const tdx = inputs.tdx && { ...inputs.tdx, ...(memo ? { memo } : {}) }
  return appraiseGuest(evidence, { ...inputs, tdx })
}
