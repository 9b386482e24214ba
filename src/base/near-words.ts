/** Fewest insertions, deletions and exchanges between two words. */
function distance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, at) => at)
  for (const [i, letter] of [...left].entries()) {
    const next = [i + 1]
    for (const [j, other] of [...right].entries()) {
      const exchange = (row[j] ?? 0) + (letter === other ? 0 : 1)
      next.push(Math.min(exchange, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 0
}

/** Those of `allowed` that at most two slips of the pen away from `word` is: for hints. The caller bounds the length. */
export function nearWords<Word extends string>(word: string, allowed: readonly Word[]): Word[] {
  return allowed.filter((other) => Math.abs(word.length - other.length) <= 2 && distance(word, other) <= 2)
}
