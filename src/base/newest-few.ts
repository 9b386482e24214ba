/**
 * What takes long to make and can be made again: the newest few are kept, each under the key that says what it is made of.
 * Whoever sends many different things costs time, and no memory.
 */
export class NewestFew<Made> {
  readonly #most: number
  readonly #kept = new Map<string, Made>()

  /** `most`: at least 1. */
  constructor(most: number) {
    this.#most = most
  }

  /** What was made for this key, or else what `make` gives. Nothing is kept where it throws. */
  of(key: string, make: () => Made): Made {
    const known = this.#kept.get(key)
    if (known !== undefined) return known
    const made = make()
    const [oldest] = this.#kept.keys()
    if (oldest !== undefined && this.#kept.size >= this.#most) this.#kept.delete(oldest)
    this.#kept.set(key, made)
    return made
  }
}
