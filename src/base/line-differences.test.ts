import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { differenceOfLines, type LineDifference } from './line-differences.ts'

const shown = (before: string, after: string) =>
  differenceOfLines(before, after).map(({ is, line }) => `${{ same: ' ', removed: '-', added: '+' }[is]}${line}`)

const textOf = (differences: readonly LineDifference[], without: LineDifference['is']) =>
  differences
    .filter(({ is }) => is !== without)
    .map(({ line }) => line)
    .join('\n')

describe('the difference of two texts', () => {
  it.each([
    ['', '', [' ']],
    ['a\nb', 'a\nb', [' a', ' b']],
    ['a\nb\nc', 'a\nx\nc', [' a', '-b', '+x', ' c']],
    ['a\nb\nc', 'a\nc', [' a', '-b', ' c']],
    ['a\nc', 'a\nb\nc', [' a', '+b', ' c']],
    ['a', 'b', ['-a', '+b']],
    ['a\n', 'a\r\n', ['-a', '+a\r', ' ']],
    ['a\nb\nc\na\nb\nb\na', 'c\nb\na\nb\na\nc', ['-a', '-b', ' c', '+b', ' a', ' b', '-b', ' a', '+c']],
  ])('%j to %j', (before, after, expected) => {
    expect(shown(before, after)).toEqual(expected)
  })

  it('has both texts in it, and no more changes than lines differ', () => {
    const text = fc.array(fc.constantFrom('a', 'b', 'c', ''), { maxLength: 12 }).map((lines) => lines.join('\n'))
    fc.assert(
      fc.property(text, text, (before, after) => {
        const differences = differenceOfLines(before, after)
        expect(textOf(differences, 'added')).toBe(before)
        expect(textOf(differences, 'removed')).toBe(after)
        expect(differences.filter(({ is }) => is === 'same')).toHaveLength(longestCommon(before, after))
      }),
      { numRuns: 500 },
    )
  })

  it('is bounded for texts that share nothing', () => {
    const [before, after] = ['a\n'.repeat(30_000), 'b\n'.repeat(30_000)]
    const differences = differenceOfLines(before, after)
    expect(textOf(differences, 'added')).toBe(before)
    expect(textOf(differences, 'removed')).toBe(after)
  })
})

/** Lines of the longest common subsequence, by the table that everybody knows. */
function longestCommon(before: string, after: string): number {
  const [left, right] = [before.split('\n'), after.split('\n')]
  let row = new Array<number>(right.length + 1).fill(0)
  for (const line of left) {
    const next = [0]
    right.forEach((other, at) => {
      next.push(line === other ? (row[at] ?? 0) + 1 : Math.max(row[at + 1] ?? 0, next[at] ?? 0))
    })
    row = next
  }
  return row.at(-1) ?? 0
}
