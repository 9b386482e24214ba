import type { AgentFault } from './agent-fault.ts'
import { callerFaults } from './caller-faults.ts'
import { processFaults } from './process-faults.ts'
import { simulatedFaults } from './simulated-faults.ts'

/** In the order of broker.md section 16. */
export const allFaults: readonly AgentFault[] = [...simulatedFaults, ...callerFaults, ...processFaults].sort(
  (left, right) => (left.id < right.id ? -1 : 1),
)
