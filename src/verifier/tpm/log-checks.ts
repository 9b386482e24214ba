import type { TpmCheckId } from './checks.ts'
import type { TpmChecklist } from './each-quote.ts'
import type { TpmRequirements } from './inputs.ts'
import type { LogVerdict } from './log-replay.ts'

/**
 * Records what a log says. Where policy makes the log optional a bad or absent one is waived and named: sending a bad
 * log and leaving it out come to the same (EVD-07).
 */
export class LogChecks {
  #checklist: TpmChecklist
  #waiver: string | null

  constructor(checklist: TpmChecklist, member: 'eventLog' | 'ima', requirements: TpmRequirements) {
    this.#checklist = checklist
    this.#waiver = requirements[member] === 'optional' ? `requirements.${member} is optional` : null
  }

  record(id: TpmCheckId, { ok, detail }: LogVerdict): void {
    if (ok) this.#checklist.pass(id, detail)
    else if (this.#waiver === null) this.#checklist.fail(id, detail)
    else this.#checklist.waive(id, `${this.#waiver}; ${detail}`)
  }

  /** For checks that a value of policy does without, which `detail` names. */
  waive(id: TpmCheckId, detail: string): void {
    this.#checklist.waive(id, detail)
  }

  /** For checks that have nothing to judge because another one does not hold. */
  skip(...ids: readonly TpmCheckId[]): void {
    for (const id of ids) if (this.#waiver !== null) this.#checklist.waive(id, this.#waiver)
  }
}
