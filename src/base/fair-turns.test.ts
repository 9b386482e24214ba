import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FakeClock, settled } from '../../test/support/fake-clock.ts'
import type { Standing } from './fair-queue.ts'
import { FairTurns } from './fair-turns.ts'

const of = (caller: string, background = false): Standing => ({ caller, background })

/** Work that takes a second of a device that does one thing at a time. */
function device(capacity = 64) {
  const clock = new FakeClock(0, 1)
  const turns = new FairTurns({ clock, capacity, refuse: (waitMs) => new Error(`full: ${waitMs}`) })
  const order: string[] = []
  let busy = 0
  const ask = (name: string, standing = of(name.charAt(0)), signal?: AbortSignal) => {
    const said = { text: undefined as string | undefined, at: clock.monotonic() }
    const work = async () => {
      expect(++busy).toBe(1)
      order.push(name)
      await clock.sleep(1000)
      busy--
      return `done ${name}`
    }
    const note = (text: string) => {
      said.text = text
      said.at = clock.monotonic()
    }
    turns.take(work, signal, standing).then(note, (error: Error) => note(error.message))
    return said
  }
  return { clock, turns, order, ask }
}

describe('turns that go round over callers (API-84)', () => {
  it('one flooding caller delays another by at most one turn', async () => {
    const { ask, clock, order } = device()
    for (let at = 0; at < 60; at++) ask(`flood ${at}`)
    await settled(1)
    const other = ask('other')
    await clock.advance(2000)
    expect(order.slice(0, 3)).toEqual(['flood 0', 'other', 'flood 1'])
    expect(other.text).toBe('done other')
  })

  it('say what a wait would take, and who has no place when to come again (BRK-81)', async () => {
    const { ask, clock, turns } = device(2)
    ask('a1')
    await clock.advance(1000)
    expect(turns.expectedWaitMs(of('a'))).toBe(0)
    ask('a2')
    await settled(1)
    expect(turns.expectedWaitMs(of('a'))).toBe(1000)
    const [third, fourth] = [ask('a3'), ask('a4')]
    expect(turns.expectedWaitMs(of('a'))).toBe(3000)
    expect(turns.expectedWaitMs(of('b'))).toBe(1000)
    expect(turns.expectedWaitMs(of('a'), 0)).toBe(1000)
    const fifth = ask('a5')
    await settled(1)
    expect([third.text, fourth.text, fifth.text]).toEqual([undefined, undefined, 'full: 3000'])
    const other = ask('b1')
    await settled(1)
    expect([other.text, fourth.text]).toEqual([undefined, 'full: 3000'])
    expect(turns.queued).toBe(2)
  })

  it('go on after work that fails, in whichever way', async () => {
    const { turns } = device()
    const thrown = turns.take(() => {
      throw new Error('at once')
    })
    const rejected = turns.take(() => Promise.reject(new Error('later')))
    const good = turns.take(async () => 'good')
    await expect(thrown).rejects.toThrow('at once')
    await expect(rejected).rejects.toThrow('later')
    expect(await good).toBe('good')
  })

  it('are given up by who waits, and taken to their end by who has begun', async () => {
    const { ask, clock, order, turns } = device()
    const [first, second] = [new AbortController(), new AbortController()]
    const begun = ask('a1', of('a'), first.signal)
    const waiting = ask('b1', of('b'), second.signal)
    await settled(1)
    first.abort(new Error('left'))
    second.abort(new Error('left'))
    await settled(1)
    expect([begun.text, waiting.text]).toEqual([undefined, 'left'])
    await expect(turns.take(async () => 'never', AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone')
    await clock.advance(5000)
    expect(begun.text).toBe('done a1')
    expect(order).toEqual(['a1'])
  })

  it('whatever comes and goes: one at a time, one answer each, and nobody waits for more than one turn of every other', async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ caller: fc.constantFrom('a', 'b', 'c'), background: fc.boolean() }) },
      { weight: 1, arbitrary: fc.constant('pass' as const) },
      { weight: 1, arbitrary: fc.nat() },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const { ask, clock, turns } = device(8)
        const asked: { said: { text: string | undefined; at: number }; leave: AbortController }[] = []
        for (const next of steps) {
          const leave = new AbortController()
          if (next === 'pass') await clock.advance(700)
          else if (typeof next === 'number') asked[next % Math.max(asked.length, 1)]?.leave.abort(new Error('left'))
          else asked.push({ said: ask(`${next.caller}${asked.length}`, next, leave.signal), leave })
          expect(turns.queued).toBeLessThanOrEqual(8)
        }
        await settled(1)
        const lone = ask('z', of('z'))
        const since = clock.monotonic()
        await clock.advance(20_000)
        expect(lone.text).toBe('done z')
        // One under way, one of each of three callers, its own.
        expect(lone.at - since).toBeLessThanOrEqual(5000)
        for (const { said } of asked) expect(said.text).toBeDefined()
        expect(clock.sleeping).toBe(0)
      }),
      { numRuns: 60 },
    )
  })
})
