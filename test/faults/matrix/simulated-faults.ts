import { answerFaults } from './answer-faults.ts'
import { clockFaults } from './clock-faults.ts'
import { deviceFaults } from './device-faults.ts'
import type { SimulatedFault } from './fault.ts'
import { issuerFaults } from './issuer-faults.ts'
import { tokenFaults } from './token-faults.ts'

/** The faults that the package itself can repeat, on any machine (BRK-173), in the order of broker.md section 16. */
export const simulatedFaults: readonly SimulatedFault[] = [
  ...answerFaults,
  ...issuerFaults,
  ...clockFaults,
  ...deviceFaults,
  ...tokenFaults,
].sort((left, right) => (left.id < right.id ? -1 : 1))
