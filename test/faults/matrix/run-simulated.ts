import { brokenBy, Probe, type SimulatedFault } from './fault.ts'

/** What came of one fault, as `attestd fault-matrix --json` prints it: a line each. */
export interface FaultResult {
  readonly id: string
  readonly fault: string
  readonly done: string
  readonly held: boolean
  /** What must not be and was. */
  readonly broken: readonly string[]
  readonly expired: number
  readonly wrong: number
  readonly blocked: number
  /** In milliseconds of the simulated clock; null: the fault leaves nothing to recover from. */
  readonly recovery_ms: number | null
  /** Bound of the recovery, in seconds. */
  readonly recovery_limit_s: number | null
}

/** Puts the code to one fault. A run that does not come to its end was not held. */
export async function runSimulated(about: SimulatedFault): Promise<FaultResult> {
  const probe = new Probe()
  await about.run(probe).catch((error: unknown) => {
    probe.expect(false, `it could not be run to its end: ${error instanceof Error ? error.message : String(error)}`)
  })
  const { expired, wrong, blocked, recoveryMs } = probe
  const { id, fault, done, recoveryS = null } = about
  const broken = brokenBy(about, probe)
  const counts = { expired, wrong, blocked, recovery_ms: recoveryMs, recovery_limit_s: recoveryS }
  return { id, fault, done, held: broken.length === 0, broken, ...counts }
}

/** A line for the eye; what is broken stands below it. */
export function renderResult({ id, fault, held, broken, recovery_ms }: FaultResult): string {
  const recovery = recovery_ms === null ? '' : `recovery ${(recovery_ms / 1000).toFixed(1)} s`
  const line = `${id}  ${held ? 'held  ' : 'BROKEN'}  ${recovery.padEnd(16)}  ${fault}`
  return `${[line, ...broken.map((says) => `     ${says}`)].join('\n')}\n`
}
