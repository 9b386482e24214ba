import { parentPort } from 'node:worker_threads'
import { createQuoteMemo } from '../../verifier/index.ts'
import type { EvidenceJob, EvidenceOutcome } from './appraiser.ts'
import { buffersOfResult } from './evidence-tasks.ts'
import { performTask } from './perform-task.ts'

/** Does one job after another. A bug in it ends the thread, and with it the agent. */
function serve(port: NonNullable<typeof parentPort>): void {
  const memo = createQuoteMemo()
  port.on('message', ({ id, task }: EvidenceJob) => {
    const value = performTask(task, memo)
    const outcome: EvidenceOutcome = { id, value }
    port.postMessage(outcome, buffersOfResult(value))
  })
}

if (parentPort) serve(parentPort)
