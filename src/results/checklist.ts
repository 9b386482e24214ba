import type { Checks, Finding, Outcome } from './appraisal.ts'

interface Entry {
  readonly outcome: Outcome
  readonly detail: string | undefined
}

const unreached: Entry = { outcome: 'unreached', detail: undefined }
const passed: Entry = { outcome: 'passed', detail: undefined }

/**
 * Records the outcomes of declared checks. What is never recorded stays `unreached`, so forgetting a check
 * fails closed. A failure is final: no later pass or waiver of the same check hides it.
 */
export class Checklist<Id extends string> {
  #declared: Checks<Id>
  #entries = new Map<Id, Entry>()

  constructor(declared: Checks<Id>) {
    this.#declared = declared
  }

  pass(id: Id, detail?: string): true {
    this.#record(id, detail === undefined ? passed : { outcome: 'passed', detail })
    return true
  }

  fail(id: Id, detail: string): false {
    this.#record(id, { outcome: 'failed', detail })
    return false
  }

  /** `detail` names the policy value that waives the check. */
  waive(id: Id, detail: string): void {
    this.#record(id, { outcome: 'waived', detail })
  }

  /** Passes or fails; `problem` is only asked for on failure. Gives `holds` back. */
  judge(id: Id, holds: boolean, problem: () => string, detail?: string): boolean {
    return holds ? this.pass(id, detail) : this.fail(id, problem())
  }

  outcome(id: Id): Outcome {
    return this.#entries.get(id)?.outcome ?? 'unreached'
  }

  passed(...ids: readonly Id[]): boolean {
    return ids.every((id) => this.outcome(id) === 'passed')
  }

  affirmed(): boolean {
    return this.#ids().every((id) => {
      const outcome = this.outcome(id)
      return outcome === 'passed' || outcome === 'waived'
    })
  }

  /** Every declared check, in the order of declaration. */
  findings(): Finding<Id>[] {
    return this.#ids().map((id) => {
      const { outcome, detail } = this.#entries.get(id) ?? unreached
      return detail === undefined ? { id, outcome } : { id, outcome, detail }
    })
  }

  #ids(): Id[] {
    return Object.keys(this.#declared) as Id[]
  }

  #record(id: Id, entry: Entry): void {
    if (!Object.hasOwn(this.#declared, id)) throw new TypeError(`check ${id} is not declared`)
    const before = this.#entries.get(id)
    if (before?.outcome === 'failed' || (before?.outcome === 'waived' && entry.outcome === 'passed')) return
    this.#entries.set(id, entry)
  }
}
