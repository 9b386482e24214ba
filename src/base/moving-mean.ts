/** Share of the newest value in the mean. */
const newestShare = 0.2

/** Exponentially weighted moving mean; 0 before the first value. */
export class MovingMean {
  #mean: number | null = null

  get value(): number {
    return this.#mean ?? 0
  }

  note(value: number): void {
    this.#mean = this.#mean === null ? value : (1 - newestShare) * this.#mean + newestShare * value
  }
}
