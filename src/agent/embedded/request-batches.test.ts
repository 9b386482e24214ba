import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { testTurns } from '../../../test/support/embedded-machine.ts'
import { FakeClock, settled } from '../../../test/support/fake-clock.ts'
import type { Standing } from '../../base/fair-queue.ts'
import { BatchLedger, type BatchRecord } from './batch-ledger.ts'
import { RequestBatches } from './request-batches.ts'

const of = (caller: string, background = false): Standing => ({ caller, background })

interface Asked {
  readonly item: string
  readonly leave: () => void
  /** `item@index/size of batch`, or what was thrown; undefined while there is no answer. */
  answer: string | undefined
  answers: number
}

/** A device that takes a second for a batch, and who waits for it. */
function bench({ seconds = 1 } = {}) {
  const clock = new FakeClock(0, 1)
  const records: BatchRecord[] = []
  const ledger = new BatchLedger(clock, (record) => records.push(record))
  const turns = testTurns(clock)
  const begun: (readonly string[])[] = []
  const signals: AbortSignal[] = []
  let busy = 0
  let failure: Error | null = null
  const batches = new RequestBatches<string, readonly string[]>({
    turns,
    ledger,
    name: 'local',
    answer: async (items, signal) => {
      expect(++busy).toBe(1)
      begun.push(items)
      signals.push(signal)
      await clock.sleep(seconds * 1000)
      busy--
      if (failure !== null) throw failure
      return items
    },
  })
  const ask = (item: string, standing = of(item.replace(/\d+$/, ''))): Asked => {
    const caller = new AbortController()
    const asked: Asked = { item, leave: () => caller.abort(new Error('left')), answer: undefined, answers: 0 }
    const answered = (text: string) => {
      asked.answer = text
      asked.answers++
    }
    batches.join(item, standing, caller.signal).then(
      ({ answer, index }) => answered(`${answer[index]}@${index}/${answer.length}`),
      (error: Error & { code?: string }) => answered(error.code ?? error.message),
    )
    return asked
  }
  const fail = (error: Error | null) => {
    failure = error
  }
  return { clock, ledger, records, turns, begun, signals, batches, ask, fail }
}

describe('batches of requests (BRK-85)', () => {
  it('begin at once with who is alone; who comes while one is under way forms the next', async () => {
    const { ask, begun, clock } = bench()
    const first = ask('a1')
    await settled(1)
    const rest = ['b1', 'c1', 'a2'].map((item) => ask(item))
    await clock.advance(999)
    const last = ask('d1')
    expect(begun).toEqual([['a1']])
    await clock.advance(1)
    expect(first.answer).toBe('a1@0/1')
    expect(begun).toEqual([['a1'], ['b1', 'c1', 'a2', 'd1']])
    const late = ask('e1')
    await clock.advance(1000)
    expect([...rest, last].map(({ answer }) => answer)).toEqual(['b1@0/4', 'c1@1/4', 'a2@2/4', 'd1@3/4'])
    expect(late.answer).toBeUndefined()
    await clock.advance(1000)
    expect(late.answer).toBe('e1@0/1')
    expect(clock.sleeping).toBe(0)
  })

  it('have at most 1 024 items; those that come later wait for the next', async () => {
    const { ask, begun, clock } = bench()
    ask('x1')
    await settled(1)
    const all = Array.from({ length: 1024 }, (_, at) => ask(`a${at}`))
    await clock.advance(2000)
    expect(begun.map(({ length }) => length)).toEqual([1, 1024])
    expect(all.every(({ answers }) => answers === 1)).toBe(true)
  })

  it('turn away the 1 025th at once, and say when to come again (BRK-81)', async () => {
    const { ask, clock, batches } = bench({ seconds: 2.5 })
    ask('x1')
    await clock.advance(2500)
    expect(batches.expectedWaitMs()).toBe(0)
    ask('x2')
    await settled(1)
    expect(batches.expectedWaitMs()).toBe(2500)
    const waiting = Array.from({ length: 1024 }, (_, at) => ask(`a${at}`))
    const refused = ask('a1024')
    await settled(1)
    expect(refused.answer).toBe('quote_queue_full')
    // Another caller takes the place of the newest of the flood: it is not the one to be turned away (API-84).
    const other = ask('b1')
    await settled(1)
    expect(waiting.filter(({ answer }) => answer !== undefined).map(({ item }) => item)).toEqual(['a1023'])
    await clock.advance(5000)
    expect(other.answer).toBe('b1@1/1024')
  })

  it('hold at most 256 that nobody waits for, and put them behind the others', async () => {
    const { ask, begun, clock } = bench()
    ask('x1')
    await settled(1)
    const refreshes = Array.from({ length: 257 }, (_, at) => ask(`r${at}`, of(`r${at}`, true)))
    ask('a1')
    await settled(1)
    expect(refreshes.filter(({ answer }) => answer === 'quote_queue_full')).toHaveLength(1)
    await clock.advance(1000)
    expect(begun[1]?.slice(0, 2)).toEqual(['a1', 'r0'])
    expect(begun[1]).toHaveLength(257)
  })

  it('fail as one: what went wrong reaches everyone in the batch and nobody else', async () => {
    const { ask, clock, fail, records } = bench()
    const one = [ask('a1'), ask('b1')]
    await settled(1)
    const next = ask('c1')
    fail(new Error('not affirmed'))
    await clock.advance(1000)
    expect(one.map(({ answer }) => answer)).toEqual(['not affirmed', 'not affirmed'])
    fail(null)
    await clock.advance(1000)
    expect(next.answer).toBe('c1@0/1')
    expect(records).toEqual([
      { requests: 2, tookMs: 1000, affirmed: false },
      { requests: 1, tookMs: 1000, affirmed: true },
    ])
  })

  it('are left at once and by oneself alone; the batch ends with the last who leaves', async () => {
    const { ask, clock, signals, begun } = bench()
    const [one, two] = [ask('a1'), ask('b1')]
    await settled(1)
    const waiting = [ask('c1'), ask('d1')]
    one.leave()
    waiting[0]?.leave()
    await settled(1)
    expect([one.answer, waiting[0]?.answer]).toEqual(['left', 'left'])
    expect(signals[0]?.aborted).toBe(false)
    two.leave()
    await settled(1)
    expect(signals[0]?.aborted).toBe(true)
    await clock.advance(2000)
    expect(begun).toEqual([['a1', 'b1'], ['d1']])
    expect(waiting[1]?.answer).toBe('d1@0/1')
  })

  it('do not begin when all have left before, nor for who has left before', async () => {
    const { ask, clock, begun, batches } = bench()
    ask('a1')
    await settled(1)
    ask('b1').leave()
    await expect(batches.join('c1', of('c'), AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone')
    await clock.advance(5000)
    expect(begun).toEqual([['a1']])
  })

  it('share their turns with others: no batch begins before their turn, and it closes no earlier', async () => {
    const { ask, clock, turns, begun } = bench()
    const foreign = turns.take(() => clock.sleep(3000))
    ask('a1')
    await clock.advance(2999)
    ask('b1')
    expect(begun).toEqual([])
    await clock.advance(1)
    await foreign
    expect(begun).toEqual([['a1', 'b1']])
  })

  it('are counted, with what they take', async () => {
    const { ask, clock, ledger } = bench()
    expect(ledger.status()).toEqual({ ended: 0, requests: 0, largest: 0, underWay: 0, usualMs: 0 })
    ask('a1')
    await settled(1)
    for (const item of ['b1', 'c1', 'd1']) ask(item)
    expect(ledger.status()).toMatchObject({ ended: 0, underWay: 1 })
    await clock.advance(2000)
    expect(ledger.status()).toEqual({ ended: 2, requests: 4, largest: 3, underWay: 0, usualMs: 1000 })
  })

  it('1 000 requests at once on a device that takes a second are answered within 3 quotes (BRK-168)', async () => {
    const { ask, clock, begun } = bench()
    const all = Array.from({ length: 1000 }, (_, at) => ask(`c${at % 7}-${at}`, of(`c${at % 7}`)))
    await clock.advance(3000)
    expect(all.every(({ answer }) => answer?.startsWith('c'))).toBe(true)
    expect(begun.length).toBeLessThanOrEqual(3)
  })
})

/** What may happen, in any order. */
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      caller: fc.constantFrom('a', 'b', 'c', 'd'),
      background: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), who: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 1500 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('break' as const), broken: fc.boolean() }) },
)

describe('whatever happens', () => {
  it('everybody gets exactly one answer, of a batch that had not begun when they came, after at most two quotes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { ask, clock, begun, fail, ledger } = bench()
        const all: { asked: Asked; begunBefore: number; at: number; gone: boolean }[] = []
        for (const next of steps) {
          if (next.do === 'ask') {
            const asked = ask(`${next.caller}${all.length}`, of(next.caller, next.background))
            all.push({ asked, begunBefore: begun.length, at: clock.monotonic(), gone: false })
            await settled(1)
          } else if (next.do === 'leave' && all.length > 0) {
            const one = all[next.who % all.length]
            if (one !== undefined && one.asked.answer === undefined) one.gone = true
            one?.asked.leave()
            await settled(1)
          } else if (next.do === 'pass') await clock.advance(next.ms)
          else if (next.do === 'break') fail(next.broken ? new Error('broken') : null)
          for (const { asked, at } of all) if (clock.monotonic() - at > 2000) expect(asked.answers).toBe(1)
        }
        await clock.advance(2000)
        for (const { asked, begunBefore, gone } of all) {
          expect(asked.answers).toBe(1)
          if (gone) expect(asked.answer).toBe('left')
          const batch = begun.findIndex((items) => items.includes(asked.item))
          if (batch >= 0) expect(batch).toBeGreaterThanOrEqual(begunBefore)
          if (asked.answer?.includes('@')) expect(asked.answer.startsWith(`${asked.item}@`)).toBe(true)
        }
        expect(ledger.status().underWay).toBe(0)
        expect(clock.sleeping).toBe(0)
      }),
      { numRuns: 60 },
    )
  })
})
