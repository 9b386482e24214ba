import type { TpmCounters } from '../verifier/tpm/inputs.ts'

/** So many outcomes are kept for each attestation key; older ones are forgotten. */
export const historyLength = 100

/** What became of one appraisal, for the operator: neither evidence nor nonces. */
export interface AppraisalOutcome {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly affirmed: boolean
  /** Ids of the checks that failed or were not reached. */
  readonly failed: readonly string[]
  /** What the quote said, believed or not; null where none could be read. */
  readonly counters: TpmCounters | null
  /** As quoted: 16 lower-case hexadecimal digits; obfuscated for keys outside of the endorsement hierarchy (TPM-29). */
  readonly firmwareVersion: string | null
  /** SHA-256 of the evidence, lower-case hexadecimal; null where it was not computed. */
  readonly evidenceSha256: string | null
}

/**
 * How the machine differs from the last accepted quote (tpm.md section 5). `reboot`: the TPM was reset; `power-loss`:
 * it was, and its clock fell behind, as it may when power is cut; `resume`: it went on after a suspend; `clock-unsafe`:
 * the clock may have fallen behind; `rollback`: an older state of the same TPM; `firmware`: another firmware version.
 */
export type MachineChange = 'reboot' | 'power-loss' | 'resume' | 'clock-unsafe' | 'rollback' | 'firmware'

export interface HistoryEntry extends AppraisalOutcome {
  readonly changes: readonly MachineChange[]
}

/** What is known of a machine at one time. */
export type MachineMarks = Pick<AppraisalOutcome, 'counters' | 'firmwareVersion'>

/** What changed between the last accepted quote and another one; nothing where either is not known. */
export function changesBetween(before: MachineMarks, after: MachineMarks): readonly MachineChange[] {
  const firmware = isChange(before.firmwareVersion, after.firmwareVersion) ? (['firmware'] as const) : []
  return before.counters && after.counters
    ? [...counterChanges(before.counters, after.counters), ...firmware]
    : firmware
}

function isChange(before: string | null, after: string | null): boolean {
  return before !== null && after !== null && before !== after
}

function counterChanges(before: TpmCounters, after: TpmCounters): readonly MachineChange[] {
  const reset = after.resetCount - before.resetCount
  const restart = after.restartCount - before.restartCount
  const isBehind = after.clock < before.clock
  if (reset < 0 || (reset === 0 && restart < 0)) return ['rollback']
  if (reset > 0) return [isBehind ? 'power-loss' : 'reboot']
  if (restart > 0) return ['resume']
  if (!before.safe || !after.safe) return isBehind ? ['clock-unsafe'] : []
  return after.clock <= before.clock ? ['rollback'] : []
}
