import { answerFaults } from './answer-faults.ts'
import { callerFaults } from './caller-faults.ts'
import { clockFaults } from './clock-faults.ts'
import { deviceFaults } from './device-faults.ts'
import type { Fault } from './fault.ts'
import { issuerFaults } from './issuer-faults.ts'
import { processFaults } from './process-faults.ts'
import { tokenFaults } from './token-faults.ts'

/** In the order of broker.md section 16. */
export const allFaults: readonly Fault[] = [
  ...answerFaults,
  ...issuerFaults,
  ...callerFaults,
  ...clockFaults,
  ...deviceFaults,
  ...tokenFaults,
  ...processFaults,
].sort((left, right) => (left.id < right.id ? -1 : 1))
