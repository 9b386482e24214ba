import { describe, expect, it } from 'vitest'
import { ClosingStack, openTogether } from './closing-stack.ts'

const told: string[] = []
const room = (name: string, error?: Error): AsyncDisposable => ({
  [Symbol.asyncDispose]: async () => {
    await Promise.resolve()
    told.push(name)
    if (error !== undefined) throw error
  },
})
/** What was closed since the last look, in order. */
const closed = () => told.splice(0)

describe('what was opened together', () => {
  it('is closed one after the other, the newest first, and once', async () => {
    const stack = new ClosingStack()
    const first = room('first')
    expect(stack.use(first)).toBe(first)
    stack.use(room('second'))
    await stack[Symbol.asyncDispose]()
    await stack[Symbol.asyncDispose]()
    expect(closed()).toEqual(['second', 'first'])
  })

  it('is closed also where another one fails, and the first error is told', async () => {
    const stack = new ClosingStack()
    const error = new Error('third')
    for (const [name, fails] of [['first'], ['second', new Error('second')], ['third', error]] as const) {
      stack.use(room(name, fails))
    }
    await expect(stack[Symbol.asyncDispose]()).rejects.toBe(error)
    expect(closed()).toEqual(['third', 'second', 'first'])
  })
})

describe('opening several things', () => {
  it('leaves them open where all could be opened', async () => {
    const opened = await openTogether(async (stack) => stack.use(room('only')))
    expect(closed()).toEqual([])
    await opened[Symbol.asyncDispose]()
    expect(closed()).toEqual(['only'])
  })

  it.each([
    ['', undefined],
    [', also where one cannot be closed', new Error('stuck')],
  ])('closes them where a later one cannot be opened%s', async (_, stuck) => {
    const error = new Error('late')
    const opening = openTogether(async (stack) => {
      stack.use(room('first'))
      stack.use(room('second', stuck))
      throw error
    })
    await expect(opening).rejects.toBe(error)
    expect(closed()).toEqual(['second', 'first'])
  })
})
