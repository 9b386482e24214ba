import { MalformedError } from '../../base/errors.ts'
import { EvaluationFailure } from '../evaluation-failure.ts'
import { type Json, parseExactJson } from '../jmespath/exact-json.ts'
import { ObjectSizes } from '../jmespath/object-sizes.ts'
import type { PolicyLimits } from '../policy-limits.ts'
import { StepMeter } from '../step-meter.ts'

/** What all rules of one evaluation share: limits, the count of steps, and JSON texts that were read before. */
export class EvaluationContext {
  readonly limits: PolicyLimits
  readonly meter: StepMeter
  readonly sizes: ObjectSizes
  #documents = new Map<string, Json>()
  #characters = 0

  constructor(limits: PolicyLimits) {
    this.limits = limits
    this.meter = new StepMeter(limits.steps)
    this.sizes = new ObjectSizes(this.meter)
  }

  /** Reads a JSON text; most policies ask the same document many times. POL-501. */
  document(text: string): Json {
    const known = this.#documents.get(text)
    if (known !== undefined) return known
    const document = this.reading(text, () => parseExactJson(text, 'JSON', this.onJsonValue))
    this.#keep(text, document)
    return document
  }

  /** Pays for reading a text by its length, and turns what a strict reader refuses into POL-501. */
  reading<T>(text: string, read: () => T): T {
    this.meter.takeCharacters(text.length)
    try {
      return read()
    } catch (error) {
      if (error instanceof MalformedError) throw new EvaluationFailure('POL-501', error.message)
      throw error
    }
  }

  readonly onJsonValue = (isContainer: boolean): void => {
    this.meter.take()
    if (isContainer) this.meter.takeContainer()
  }

  #keep(text: string, document: Json): void {
    if (this.#characters + text.length > this.limits.stringBytes) {
      this.#documents = new Map()
      this.#characters = 0
    }
    this.#characters += text.length
    this.#documents.set(text, document)
  }
}
