import type { TdMachine } from '../../support/td-machine.ts'
import type { FaultAbout, Probe } from './fault.ts'

/** What faults of whole agents run on: a simulated TD, and a folder of the fault's own. */
export interface FaultGround {
  readonly folder: string
  readonly machine: TdMachine
}

/** A fault of a whole agent, in a process of its own: it takes the tools of this repository. */
export interface AgentFault extends FaultAbout {
  /** Takes seconds: run by `npm run fault-matrix` only. */
  readonly slow?: boolean
  readonly run?: (probe: Probe, ground: FaultGround) => Promise<void>
}
