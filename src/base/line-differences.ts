/** One line of a comparison, without its line feed; a carriage return before it belongs to the line. */
export interface LineDifference {
  readonly is: 'same' | 'removed' | 'added'
  readonly line: string
}

/** Lines that are removed and added: beyond, what differs is shown as replaced as a whole, for the work grows with it. */
const mostChanges = 512

/**
 * The shortest way from one text to another by whole lines, in order: what is removed stands before what is added. Two
 * equal texts give `same` lines only. Work and memory are bounded for any two texts.
 */
export function differenceOfLines(before: string, after: string): readonly LineDifference[] {
  const [left, right] = [before.split('\n'), after.split('\n')]
  let start = 0
  while (start < left.length && start < right.length && left[start] === right[start]) start++
  let end = 0
  while (end < left.length - start && end < right.length - start && left.at(-1 - end) === right.at(-1 - end)) end++
  return [
    ...marked('same', left.slice(0, start)),
    ...differenceBetween(left.slice(start, left.length - end), right.slice(start, right.length - end)),
    ...marked('same', left.slice(left.length - end)),
  ]
}

function marked(is: LineDifference['is'], lines: readonly string[]): LineDifference[] {
  return lines.map((line) => ({ is, line }))
}

/** Furthest line of the left text on each diagonal (left minus right), for one number of changes. */
type Frontier = ReadonlyMap<number, number>

/** E. Myers, "An O(ND) difference algorithm and its variations", Algorithmica 1986. */
function differenceBetween(left: readonly string[], right: readonly string[]): readonly LineDifference[] {
  const frontiers: Frontier[] = []
  let frontier: Frontier = new Map([[1, 0]])
  for (let changes = 0; changes <= mostChanges; changes++) {
    frontiers.push(frontier)
    frontier = advance(frontier, changes, left, right)
    if ((frontier.get(left.length - right.length) ?? -1) >= left.length) return wayBack(frontiers, left, right)
  }
  return [...marked('removed', left), ...marked('added', right)]
}

function comesFromRight(frontier: Frontier, diagonal: number, changes: number): boolean {
  const [below, above] = [frontier.get(diagonal - 1) ?? -1, frontier.get(diagonal + 1) ?? -1]
  return diagonal === -changes || (diagonal !== changes && below < above)
}

function startOn(frontier: Frontier, diagonal: number, changes: number): number {
  const isAdded = comesFromRight(frontier, diagonal, changes)
  return isAdded ? (frontier.get(diagonal + 1) ?? 0) : (frontier.get(diagonal - 1) ?? 0) + 1
}

function advance(frontier: Frontier, changes: number, left: readonly string[], right: readonly string[]): Frontier {
  const next = new Map<number, number>()
  for (let diagonal = -changes; diagonal <= changes; diagonal += 2) {
    let at = startOn(frontier, diagonal, changes)
    while (at < left.length && at - diagonal < right.length && left[at] === right[at - diagonal]) at++
    next.set(diagonal, at)
  }
  return next
}

function wayBack(frontiers: readonly Frontier[], left: readonly string[], right: readonly string[]): LineDifference[] {
  const reversed: LineDifference[] = []
  let [at, diagonal] = [left.length, left.length - right.length]
  for (let changes = frontiers.length - 1; changes >= 0; changes--) {
    const frontier = frontiers[changes] ?? new Map()
    const start = startOn(frontier, diagonal, changes)
    for (; at > start; at--) reversed.push({ is: 'same', line: left[at - 1] ?? '' })
    if (changes === 0) break
    const isAdded = comesFromRight(frontier, diagonal, changes)
    if (isAdded) reversed.push({ is: 'added', line: right[at - diagonal - 1] ?? '' })
    else reversed.push({ is: 'removed', line: left[--at] ?? '' })
    diagonal += isAdded ? 1 : -1
  }
  return reversed.reverse()
}
