import { parentPort } from 'node:worker_threads'
import { openedOnce } from '../../base/opened-once.ts'
import { createQuoteMemo } from '../../verifier/index.ts'
import type { EvidenceJob, EvidenceOutcome } from './appraiser.ts'
import { buffersOfResult, type EvidenceTask } from './evidence-tasks.ts'
import { type AppraisalMemory, performTask } from './perform-task.ts'

/** Does one job after another. A bug in it ends the thread, and with it the agent. */
function serve(port: NonNullable<typeof parentPort>): void {
  const quotes = createQuoteMemo()
  // The engine of policies is megabytes of code: most agents never ask it.
  const judge = openedOnce(async () => new (await import('./policy-judge.ts')).PolicyJudge())
  const maa = openedOnce(async () => new (await import('../../issuer/azure/maa-judge.ts')).MaaJudge())
  const bundles = openedOnce(async () => (await import('./bundle-input.ts')).bundleInputOf)
  const memoryFor = async (task: EvidenceTask): Promise<AppraisalMemory> => {
    if (task.do === 'judgeMaa') return { maa: await maa() }
    const asked = 'question' in task ? task.question : undefined
    return {
      quotes,
      ...(asked !== undefined && asked.policies.length > 0 ? { policies: await judge() } : {}),
      ...(asked?.bundles ? { bundleInputOf: await bundles() } : {}),
    }
  }
  const perform = async ({ id, task }: EvidenceJob) => {
    const value = performTask(task, await memoryFor(task))
    const outcome: EvidenceOutcome = { id, value }
    port.postMessage(outcome, buffersOfResult(value))
  }
  let last = Promise.resolve()
  port.on('message', (job: EvidenceJob) => {
    last = last.then(() => perform(job))
  })
}

if (parentPort) serve(parentPort)
