import { parentPort } from 'node:worker_threads'
import { appraiseTpm } from '../../verifier/index.ts'
import type { AppraisalJob, AppraisalOutcome } from './appraiser.ts'

/** Entry of the worker thread: appraises one job after another. A bug in it ends the thread, and with it the agent. */
parentPort?.on('message', ({ id, evidence, inputs }: AppraisalJob) => {
  const outcome: AppraisalOutcome = { id, appraisal: appraiseTpm(evidence, inputs) }
  parentPort?.postMessage(outcome)
})
