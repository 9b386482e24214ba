import type { Clock } from '../../base/clock.ts'
import { drawUnit, type RandomSource } from '../../base/random.ts'
import { registryErrors } from '../errors.ts'
import type { PolicyEvent } from './policy-outcome.ts'
import type { PolicyAct, PolicyChange, PolicySituation, PolicySlot, PolicyStore } from './policy-store.ts'

/** What somebody who wants to change something found, and what there is to write; without `change`, nothing. */
export interface Attempt<T> {
  readonly result: T
  readonly change?: Omit<PolicyChange, 'expected'>
  readonly event?: PolicyEvent
}

export interface PolicyWriterOptions {
  readonly store: PolicyStore
  readonly clock: Pick<Clock, 'now' | 'sleep'>
  /** Of the pauses behind somebody who was faster. */
  readonly random: RandomSource
  /** For the audit log: told of each change once it is durable. */
  readonly report?: (event: PolicyEvent) => void
}

/** So often others may have been faster. */
const attempts = 8
/** Milliseconds that the first pause is shorter than; each may be twice as long as the one before. */
const firstPause = 8
/** POL-442, behind what the name is of. */
const slotForm = /^(?:id|type):[A-Za-z0-9._-]{1,128}$/
const nameForm = /^[\x20-\x7e]{1,128}$/

/** Throws `policy_slot` for a name that POL-442 does not allow. */
export function requireSlot(slot: PolicySlot): void {
  if (slotForm.test(slot)) return
  throw registryErrors.error('policy_slot', 'a policy has a name of 1 to 128 letters, digits, dots, _ and -')
}

/** Makes changes one after the other: what a change rests on is read, judged, and still so when it is written. */
export class PolicyWriter {
  #options: PolicyWriterOptions

  constructor(options: PolicyWriterOptions) {
    this.#options = options
  }

  /**
   * Runs `attempt` on what there is, again where somebody else was faster, and writes its change. Throws what it throws,
   * `policy_conflict`, and what the store throws: the change may have been made if that is `registry_unavailable`.
   */
  async write<T>(
    slot: PolicySlot,
    by: string,
    attempt: (situation: PolicySituation, act: PolicyAct) => Attempt<T> | Promise<Attempt<T>>,
  ): Promise<T> {
    const { store, clock, report } = this.#options
    if (!nameForm.test(by)) throw new TypeError('who changes policies has a name of 1 to 128 printable characters')
    for (let tried = 0; tried < attempts; tried++) {
      if (tried > 0) await this.#pause(tried)
      const situation = await store.situation(slot)
      const { result, change, event } = await attempt(situation, { at: clock.now(), by })
      if (change === undefined) return result
      if (await store.commit({ expected: situation.revision, ...change })) {
        if (event) report?.(event)
        return result
      }
    }
    throw registryErrors.error('policy_conflict', `other changes were faster ${attempts} times`)
  }

  /** Of unequal length: two writers in step with each other would overtake one another for ever. */
  async #pause(tried: number): Promise<void> {
    const { clock, random } = this.#options
    await clock.sleep(drawUnit(random) * firstPause * 2 ** (tried - 1))
  }
}
