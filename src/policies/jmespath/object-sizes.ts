import type { StepMeter } from '../step-meter.ts'
import type { JsonMembers } from './exact-json.ts'

/**
 * How many members objects have. An engine can only tell by listing all of them, even to say that there is one: with a
 * million members that takes as long as a million steps. So each object is counted once, and paid for (POL-608).
 */
export class ObjectSizes {
  readonly #meter: StepMeter
  readonly #known = new WeakMap<JsonMembers, number>()

  constructor(meter: StepMeter) {
    this.#meter = meter
  }

  of(object: JsonMembers): number {
    const known = this.#known.get(object)
    if (known !== undefined) return known
    const size = Object.keys(object).length
    this.#known.set(object, size)
    this.#meter.take(size)
    return size
  }
}
