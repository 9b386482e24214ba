import { EvaluationFailure } from './evaluation-failure.ts'

/** Characters for one step: compared at once by the engine, or looked at or written one by one. */
const comparedPerStep = 32
const charactersPerStep = 4
/** An array or object takes two hundred bytes, however little is in it. */
const stepsPerContainer = 8

/**
 * Counts the work of one evaluation (POL-608): claim tests, visits of query nodes, elements, JSON values; arrays and
 * objects that are made by their memory, long strings by their length. No clock is asked, so that the same input always
 * ends at the same place.
 */
export class StepMeter {
  #taken = 0
  readonly #limit: number

  constructor(limit: number) {
    this.#limit = limit
  }

  get taken(): number {
    return this.#taken
  }

  take(count = 1): void {
    this.#taken += count
    if (this.#taken > this.#limit) throw new EvaluationFailure('POL-608', `takes more than ${this.#limit} steps`)
  }

  takeContainer(): void {
    this.take(stepsPerContainer)
  }

  takeCompared(characters: number): void {
    if (characters >= comparedPerStep) this.take(Math.floor(characters / comparedPerStep))
  }

  takeCharacters(characters: number): void {
    if (characters >= charactersPerStep) this.take(Math.floor(characters / charactersPerStep))
  }
}
