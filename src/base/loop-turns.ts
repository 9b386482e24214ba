/**
 * Lets at most so many begin in one turn of the event loop: of many that become ready at once each would take its part of a
 * millisecond, and together they would hold up everything else. First come, first served.
 */
export class LoopTurns {
  readonly #most: number
  readonly #nextRound: () => Promise<void>
  readonly #waiting: (() => void)[] = []
  #begun = 0

  /** `nextRound` resolves when the event loop has been round; by default at once. */
  constructor(most: number, nextRound: () => Promise<void> = async () => undefined) {
    this.#most = most
    this.#nextRound = nextRound
  }

  /** Resolves in this turn, or in the next one that has room. */
  begin(): Promise<void> {
    if (this.#begun === 0) void this.#nextRound().then(() => this.#next())
    this.#begun += 1
    if (this.#begun <= this.#most) return Promise.resolve()
    return new Promise((resolve) => void this.#waiting.push(resolve))
  }

  #next(): void {
    const turn = this.#waiting.splice(0, this.#most)
    // Who still waits counts, so that whoever comes now comes behind them.
    this.#begun = turn.length + this.#waiting.length
    if (this.#begun > 0) void this.#nextRound().then(() => this.#next())
    for (const resolve of turn) resolve()
  }
}
