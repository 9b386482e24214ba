import { describe, expect, it } from 'vitest'
import { FakeClock, settled } from '../../../test/support/fake-clock.ts'
import { codeOf } from '../../../test/support/tdx-guest-rig.ts'
import type { AttestdError } from '../../base/errors.ts'
import type { Standing } from '../../base/fair-queue.ts'
import { DeviceTurns } from './device-turns.ts'

/** A device whose jobs end when the test says so. */
function device() {
  const clock = new FakeClock()
  const warnings: string[] = []
  const warn = (message: string) => {
    warnings.push(message)
  }
  const turns = new DeviceTurns({ clock, deadlineMs: 35_000, warn })
  const begun: string[] = []
  const ends = new Map<string, { readonly give: () => void; readonly fail: (error: Error) => void }>()
  const signals = new Map<string, AbortSignal>()
  const work = (name: string) => (signal: AbortSignal) => {
    begun.push(name)
    signals.set(name, signal)
    return new Promise<string>((resolve, reject) => {
      ends.set(name, { give: () => resolve(`answer of ${name}`), fail: reject })
    })
  }
  const ask = (name: string, key: string | null = name, signal?: AbortSignal, standing?: Standing) => {
    const answer = turns.take(key, work(name), signal, standing)
    answer.catch(() => undefined)
    return answer
  }
  const end = async (name: string) => {
    ends.get(name)?.give()
    await settled()
  }
  return { clock, turns, begun, ends, signals, ask, end, warnings }
}

const refusal = (answer: Promise<unknown>) =>
  answer.then(
    () => 'answered',
    (error: unknown) => codeOf(error) ?? error,
  )

describe('turns on the device', () => {
  it('are one at a time, first come first served (TDX-011, BRK-80)', async () => {
    const { ask, begun, end, turns } = device()
    const answers = ['a', 'b', 'c'].map((name) => ask(name))
    expect(begun).toEqual(['a'])
    expect(turns.queued).toBe(2)
    await end('a')
    expect(begun).toEqual(['a', 'b'])
    await end('b')
    await end('c')
    expect(await Promise.all(answers)).toEqual(['answer of a', 'answer of b', 'answer of c'])
    expect(turns).toMatchObject({ queued: 0, inFlightMs: null, stuck: false })
  })

  it('go on after a job that failed', async () => {
    const { ask, begun, ends, end } = device()
    const failed = ask('a')
    const good = ask('b')
    ends.get('a')?.fail(new Error('no'))
    await expect(failed).rejects.toThrow('no')
    await end('b')
    expect(await good).toBe('answer of b')
    expect(begun).toEqual(['a', 'b'])
  })

  it('are shared by equal requests that wait, and never with the job in flight', async () => {
    const { ask, begun, end } = device()
    const first = ask('first', 'same')
    const [second, third] = [ask('second', 'same'), ask('third', 'same')]
    await end('first')
    expect(begun).toEqual(['first', 'second'])
    await end('second')
    expect(await Promise.all([first, second, third])).toEqual([
      'answer of first',
      'answer of second',
      'answer of second',
    ])
  })

  it('without a key are shared by nobody', async () => {
    const { ask, begun, end } = device()
    for (const name of ['a', 'b', 'c']) void ask(name, null)
    await end('a')
    await end('b')
    expect(begun).toEqual(['a', 'b', 'c'])
  })

  it('are waited for by 64 jobs, not by 65', async () => {
    const { ask, turns } = device()
    void ask('in flight')
    for (let at = 1; at <= 64; at++) void ask(`waits ${at}`)
    expect(turns.queued).toBe(64)
    const refused = ask('one too many')
    expect(await refusal(refused)).toBe('quote_busy')
    expect(await refused.catch((error: AttestdError) => error.retryable)).toBe(true)
    const shared = ask('waits 64 as well', 'waits 64')
    shared.catch(() => undefined)
    expect(turns.queued).toBe(64)
  })

  it('one job is waited for by 1024 requests, not by 1025', async () => {
    const { ask } = device()
    void ask('in flight')
    for (let at = 1; at <= 1024; at++) void ask('shared')
    expect(await refusal(ask('shared'))).toBe('quote_busy')
  })
})

describe('turns of several callers', () => {
  const of = (caller: string, background = false): Standing => ({ caller, background })

  it('go round: one flooding caller delays others by at most one quote (API-84)', async () => {
    const { ask, begun, end } = device()
    for (let at = 0; at < 64; at++) void ask(`flood ${at}`, null, undefined, of('flood'))
    void ask('other', null, undefined, of('other'))
    await end('flood 0')
    expect(begun).toEqual(['flood 0', 'other'])
  })

  it('give the place of the newest of a flood to who has none; that one is refused and never done', async () => {
    const { ask, begun, end, turns } = device()
    void ask('in flight')
    const flood = Array.from({ length: 64 }, (_, at) => ask(`flood ${at}`, `flood ${at}`, undefined, of('flood')))
    void ask('other', 'other', undefined, of('other'))
    expect(await refusal(flood[63] ?? Promise.resolve())).toBe('quote_busy')
    expect(turns.queued).toBe(64)
    await end('in flight')
    for (let at = 0; at < 63; at++) {
      await end(`flood ${at}`)
      if (at === 0) await end('other')
    }
    expect(begun).not.toContain('flood 63')
    expect(begun).toContain('other')
  })

  it('serve the background last, and give it a quarter of the places (BRK-81)', async () => {
    const { ask, begun, end, turns } = device()
    void ask('in flight')
    const refreshes = Array.from({ length: 17 }, (_, at) => ask(`refresh ${at}`, null, undefined, of(`${at}`, true)))
    expect(await refusal(refreshes[16] ?? Promise.resolve())).toBe('quote_busy')
    void ask('caller', null, undefined, of('caller'))
    await end('in flight')
    expect(begun).toEqual(['in flight', 'caller'])
    expect(turns.queued).toBe(16)
  })

  it('say what a wait would take for whom', async () => {
    const { ask, clock, end, turns } = device()
    void ask('a', null, undefined, of('a'))
    await clock.advance(2000)
    await end('a')
    for (const name of ['b', 'c', 'd', 'e']) void ask(name, null, undefined, of('flood'))
    expect(turns.expectedWaitMs(of('flood'))).toBe(8000)
    expect(turns.expectedWaitMs(of('other'))).toBe(2000)
    expect(turns.expectedWaitMs(of('other', true))).toBe(8000)
  })
})

describe('who waits too long', () => {
  it('in the queue is told that it was not its turn; the job is not done', async () => {
    const { ask, begun, clock, end } = device()
    void ask('a')
    const late = refusal(ask('b'))
    await clock.advance(34_999)
    const other = ask('c')
    await clock.advance(1)
    expect(await late).toBe('quote_busy')
    await end('a')
    expect(begun).toEqual(['a', 'c'])
    await end('c')
    expect(await other).toBe('answer of c')
  })

  it('in flight is told so at the deadline, to the millisecond; the signal of the job aborts', async () => {
    const { ask, clock, signals } = device()
    const answer = ask('a')
    let told: unknown
    answer.catch((error: unknown) => {
      told = codeOf(error)
    })
    await clock.advance(34_999)
    expect(told).toBeUndefined()
    expect(signals.get('a')?.aborted).toBe(false)
    await clock.advance(1)
    expect(told).toBe('quote_timeout')
    expect(signals.get('a')?.aborted).toBe(true)
  })

  it('keeps the device: no other job begins before the first has ended (BRK-82)', async () => {
    const { ask, begun, clock, end, turns } = device()
    const [first, waiting] = [refusal(ask('a')), ask('b')]
    await clock.advance(20_000)
    const later = ask('c')
    expect(turns.stuck).toBe(false)
    await clock.advance(15_000)
    expect(await first).toBe('quote_timeout')
    expect(await refusal(waiting)).toBe('quote_busy')
    expect(turns.stuck).toBe(true)
    expect(await refusal(ask('d'))).toBe('quote_stuck')
    expect(begun).toEqual(['a'])
    await end('a')
    expect(turns.stuck).toBe(false)
    expect(begun).toEqual(['a', 'c'])
    await end('c')
    expect(await later).toBe('answer of c')
  })

  it('is refused at once where the queue would outlast its deadline (BRK-81)', async () => {
    const { ask, clock, end } = device()
    void ask('slow')
    await clock.advance(10_000)
    await end('slow')
    for (const name of ['a', 'b', 'c']) void ask(name)
    void ask('d')
    const refused = ask('e')
    const error = await refused.catch((reason: AttestdError) => reason)
    expect(error).toMatchObject({ code: 'quote_busy', facts: { retryAfterSeconds: 40 } })
  })

  it('one stuck job does not close the device for good', async () => {
    const { ask, clock, end } = device()
    void ask('stuck')
    await clock.advance(600_000)
    await end('stuck')
    const [next, behind] = [ask('next'), ask('behind')]
    await end('next')
    await end('behind')
    expect(await Promise.all([next, behind])).toEqual(['answer of next', 'answer of behind'])
  })

  it('is warned of after five seconds, once', async () => {
    const { ask, clock, warnings, end } = device()
    void ask('a')
    await clock.advance(4_999)
    expect(warnings).toEqual([])
    await clock.advance(1)
    expect(warnings).toHaveLength(1)
    await end('a')
    void ask('b')
    await clock.advance(1_000)
    await end('b')
    await clock.advance(60_000)
    expect(warnings).toHaveLength(1)
    expect(clock.sleeping).toBe(0)
  })
})

describe('who gives up', () => {
  it('alone takes a waiting job along', async () => {
    const { ask, begun, end, turns } = device()
    void ask('a')
    const stop = new AbortController()
    const answer = ask('b', 'b', stop.signal)
    stop.abort(new Error('gone'))
    await expect(answer).rejects.toThrow('gone')
    expect(turns.queued).toBe(0)
    await end('a')
    expect(begun).toEqual(['a'])
  })

  it('leaves the job to others who wait for it', async () => {
    const { ask, begun, end } = device()
    void ask('a')
    const stop = new AbortController()
    const [leaves, stays] = [ask('b', 'b', stop.signal), ask('b', 'b')]
    stop.abort(new Error('gone'))
    await expect(leaves).rejects.toThrow('gone')
    await end('a')
    await end('b')
    expect(await stays).toBe('answer of b')
    expect(begun).toEqual(['a', 'b'])
  })

  it('in flight aborts the signal of the job only as the last one', async () => {
    const { ask, signals, end } = device()
    void ask('first')
    const [one, two] = [new AbortController(), new AbortController()]
    const answers = [ask('b', 'b', one.signal), ask('b', 'b', two.signal)]
    await end('first')
    one.abort(new Error('one'))
    expect(signals.get('b')?.aborted).toBe(false)
    two.abort(new Error('two'))
    expect(signals.get('b')?.aborted).toBe(true)
    expect(await Promise.all(answers.map(refusal))).toEqual([new Error('one'), new Error('two')])
  })

  it('before it asks is not heard', async () => {
    const { ask, begun } = device()
    await expect(ask('a', 'a', AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone')
    expect(begun).toEqual([])
  })
})
