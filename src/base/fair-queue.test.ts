import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FairQueue, type Standing } from './fair-queue.ts'

const of = (caller: string, background = false): Standing => ({ caller, background })

function drain<T>(queue: FairQueue<T>): T[] {
  const taken: T[] = []
  for (let item = queue.take(); item !== undefined; item = queue.take()) taken.push(item)
  return taken
}

describe('a fair queue', () => {
  it('goes round over callers, and is first come first served for each (API-84)', () => {
    const queue = new FairQueue<string>(64)
    for (const item of ['a1', 'a2', 'a3', 'b1', 'c1', 'b2']) queue.add(item, of(item.charAt(0)))
    expect(drain(queue)).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3'])
  })

  it('lets a caller whose turn was just now wait for all others, also one who comes again and again', () => {
    const queue = new FairQueue<string>(64)
    for (const item of ['a1', 'a2', 'b1']) queue.add(item, of(item.charAt(0)))
    expect(queue.take()).toBe('a1')
    queue.add('a3', of('a'))
    expect(queue.take()).toBe('b1')
    queue.add('b2', of('b'))
    expect(drain(queue)).toEqual(['a2', 'b2', 'a3'])
  })

  it('puts who comes late before everybody else is served twice, and nobody who has just been served', () => {
    const queue = new FairQueue<string>(64)
    for (const item of ['a1', 'a2', 'a3']) queue.add(item, of('a'))
    expect(queue.take()).toBe('a1')
    expect([queue.ahead(of('b')), queue.ahead(of('a')), queue.ahead(of('a'), 0)]).toEqual([0, 2, 0])
    queue.add('b1', of('b'))
    expect(queue.take()).toBe('b1')
    queue.add('b2', of('b'))
    expect(drain(queue)).toEqual(['a2', 'b2', 'a3'])
  })

  it('serves background work when nothing else is left', () => {
    const queue = new FairQueue<string>(64)
    queue.add('refresh', of('a', true))
    queue.add('b1', of('b'))
    queue.add('a1', of('a'))
    expect(queue.ahead(of('c', true))).toBe(3)
    expect(drain(queue)).toEqual(['b1', 'a1', 'refresh'])
  })

  it.each([
    [64, 16],
    [1024, 256],
    [4, 1],
    [3, 0],
  ])('of %i places gives %i to background work (BRK-81)', (capacity, most) => {
    const queue = new FairQueue<number>(capacity)
    for (let at = 0; at < most; at++) expect(queue.add(at, of('a', true))).toBeNull()
    expect(queue.add(most, of('a', true))).toBe(most)
    expect(queue.size).toBe(most)
  })

  it('takes as many as it has places, and not one more of a caller who has most already', () => {
    const queue = new FairQueue<number>(64)
    for (let at = 0; at < 64; at++) expect(queue.add(at, of('a'))).toBeNull()
    expect(queue.add(64, of('a'))).toBe(64)
    expect(queue.size).toBe(64)
  })

  it('gives the place of the newest thing of a flood to another caller, until both have as many', () => {
    const queue = new FairQueue<string>(4)
    for (const item of ['a1', 'a2', 'a3', 'a4']) queue.add(item, of('a'))
    expect(queue.add('b1', of('b'))).toBe('a4')
    expect(queue.add('b2', of('b'))).toBe('a3')
    expect(queue.add('b3', of('b'))).toBe('b3')
    expect(queue.add('c1', of('c'))).toBe('a2')
    expect(drain(queue)).toEqual(['a1', 'b1', 'c1', 'b2'])
  })

  it('gives places of background work to callers who wait', () => {
    const queue = new FairQueue<string>(4)
    queue.add('refresh', of('x', true))
    for (const item of ['a1', 'a2', 'a3']) queue.add(item, of('a'))
    expect(queue.add('a4', of('a'))).toBe('refresh')
    expect(queue.add('other refresh', of('y', true))).toBe('other refresh')
  })

  it('forgets what is taken out, once', () => {
    const queue = new FairQueue<string>(4)
    queue.add('a1', of('a'))
    queue.add('a2', of('a'))
    expect([queue.remove('a1', of('a')), queue.remove('a1', of('a')), queue.remove('a2', of('b'))]).toEqual([
      true,
      false,
      false,
    ])
    expect(drain(queue)).toEqual(['a2'])
    expect(queue.size).toBe(0)
  })

  it('holds no more than it may, serves everything once, and says how many are before a newcomer', () => {
    const step = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.record({ caller: fc.constantFrom('a', 'b', 'c', 'flood'), background: fc.boolean() }),
      },
      { weight: 1, arbitrary: fc.constant('take' as const) },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const queue = new FairQueue<number>(12)
        const ended = new Set<number>()
        const end = (item: number | null | undefined) => {
          if (item === null || item === undefined) return
          expect(ended.has(item)).toBe(false)
          ended.add(item)
        }
        let added = 0
        for (const next of steps) {
          if (next === 'take') end(queue.take())
          else end(queue.add(added++, next))
          expect(queue.size).toBeLessThanOrEqual(12)
          expect(queue.size).toBe(added - ended.size)
        }
        const newcomer = of('new')
        const ahead = queue.ahead(newcomer)
        const refused = queue.add(added, newcomer)
        if (refused !== added) {
          end(refused)
          const order = drain(queue)
          expect(order.indexOf(added)).toBeLessThanOrEqual(ahead)
          expect(ahead).toBeLessThanOrEqual(4)
        }
      }),
    )
  })
})
