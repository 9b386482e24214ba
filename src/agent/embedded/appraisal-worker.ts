import { parentPort } from 'node:worker_threads'
import { appraiseGuest, createQuoteMemo } from '../../verifier/index.ts'
import type { AppraisalJob, AppraisalOutcome } from './appraiser.ts'

/** Appraises one job after another. A bug in it ends the thread, and with it the agent. */
function serve(port: NonNullable<typeof parentPort>): void {
  const memo = createQuoteMemo()
  port.on('message', ({ id, evidence, inputs }: AppraisalJob) => {
    const tdx = inputs.tdx && { ...inputs.tdx, memo }
    const outcome: AppraisalOutcome = { id, appraisal: appraiseGuest(evidence, { ...inputs, tdx }) }
    port.postMessage(outcome)
  })
}

if (parentPort) serve(parentPort)
