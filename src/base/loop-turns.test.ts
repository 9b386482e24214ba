import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { LoopTurns } from './loop-turns.ts'

const round = () => nextTurn()

describe('turns of the event loop', () => {
  it('begin as many as they may, in the order in which they came', async () => {
    const turns = new LoopTurns(3, round)
    const begun: number[] = []
    for (let index = 0; index < 8; index++) void turns.begin().then(() => begun.push(index))
    await Promise.resolve()
    const seen: number[] = [begun.length]
    while (begun.length < 8) {
      await nextTurn()
      seen.push(begun.length)
    }
    expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    const grown = seen.map((count, at) => count - (seen[at - 1] ?? 0))
    expect(Math.max(...grown)).toBe(3)
    expect(seen[0]).toBe(3)
  })

  it('let nobody past those who wait', async () => {
    const turns = new LoopTurns(1, round)
    const begun: string[] = []
    const enter = (name: string) => turns.begin().then(() => begun.push(name))
    const all = [enter('a'), enter('b'), enter('c')]
    await nextTurn()
    all.push(enter('d'))
    await Promise.all(all)
    expect(begun).toEqual(['a', 'b', 'c', 'd'])
  })

  it('are as they were when nobody waits any more', async () => {
    const turns = new LoopTurns(1, round)
    await Promise.all([turns.begin(), turns.begin()])
    await nextTurn()
    await nextTurn()
    let begun = false
    void turns.begin().then(() => {
      begun = true
    })
    await Promise.resolve()
    expect(begun).toBe(true)
  })

  it('go by without waiting where nobody says when the loop has been round', async () => {
    const turns = new LoopTurns(1)
    await Promise.all([turns.begin(), turns.begin(), turns.begin()])
  })
})
