import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { attesterErrors } from '../../attester/errors.ts'
import type { TdxAttester, TdxCollection } from '../../attester/tdx/tdx-attester.ts'
import { WatchedTd } from './watched-td.ts'

const reportData = new Uint8Array(64)
const never = new AbortController().signal
const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

/** A TD that does what `next` says. */
function machine() {
  const clock = new FakeClock(0)
  const asked: Uint8Array[] = []
  const td = { next: (): void => undefined, probe: async () => true }
  const attester = {
    probe: () => td.probe(),
    collect: async (data: Uint8Array) => {
      asked.push(data)
      td.next()
      return {} as TdxCollection
    },
  } as unknown as TdxAttester
  return { clock, asked, td, watched: new WatchedTd(attester, { clock, random: randomBytes }) }
}

const failing = (code: 'quote_empty' | 'quote_busy') => () => {
  throw attesterErrors.error(code, 'no quote')
}

describe('a TD that is watched', () => {
  it('tells the code of its last failure until a quote comes', async () => {
    const { td, watched } = machine()
    td.next = failing('quote_empty')
    await expect(watched.collect(reportData, never)).rejects.toMatchObject({ code: 'quote_empty' })
    expect(watched.lastError).toBe('quote_empty')
    td.next = () => undefined
    await watched.collect(reportData, never)
    expect(watched.lastError).toBeNull()
  })

  it('is not blamed for a full queue, for a caller that hangs up, and for a bug', async () => {
    const { td, watched } = machine()
    await watched.collect(reportData, never)
    td.next = failing('quote_busy')
    await expect(watched.collect(reportData, never)).rejects.toMatchObject({ code: 'quote_queue_full' })
    td.next = failing('quote_empty')
    await expect(watched.collect(reportData, AbortSignal.abort())).rejects.toMatchObject({ code: 'quote_empty' })
    td.next = () => {
      throw new TypeError('bug')
    }
    await expect(watched.collect(reportData, never)).rejects.toThrow('bug')
    expect(watched.lastError).toBeNull()
  })

  it('counts as untried until it was looked at, and needs no quote for that where it is there (BRK-141)', async () => {
    const { asked, watched } = machine()
    expect(watched.lastError).toBe('untried')
    const stop = new AbortController()
    const reports: (string | null)[] = []
    const ended = watched.keepTried((failure) => reports.push(failure))(stop.signal)
    await settled()
    expect([watched.lastError, asked.length, reports]).toEqual([null, 0, []])
    stop.abort()
    await ended
  })

  it.each<[string, () => Promise<boolean>]>([
    ['has no entry to ask in', async () => false],
    ['cannot be looked at', async () => failing('quote_busy')() ?? true],
  ])('that %s is asked at the start, and again, and is told until it answers (BRK-141)', async (_, probe) => {
    const { clock, asked, td, watched } = machine()
    td.probe = probe
    td.next = failing('quote_empty')
    const stop = new AbortController()
    const reports: (string | null)[] = []
    const ended = watched.keepTried((failure) => reports.push(failure))(stop.signal)
    await settled()
    expect([watched.lastError, asked.length, reports]).toEqual(['quote_empty', 1, ['quote_empty']])
    td.next = () => undefined
    await clock.advance(10_000)
    await settled()
    expect([watched.lastError, asked.length, reports]).toEqual([null, 2, ['quote_empty', null]])
    stop.abort()
    await ended
  })

  it('is not looked at any more when a caller was faster', async () => {
    const { asked, td, watched } = machine()
    let answer = (_: boolean) => {}
    td.probe = () => new Promise((resolve) => (answer = resolve))
    const stop = new AbortController()
    const ended = watched.keepTried(() => undefined)(stop.signal)
    await watched.collect(reportData, never)
    answer(false)
    await settled()
    expect([watched.lastError, asked.length]).toEqual([null, 1])
    stop.abort()
    await ended
  })

  it('is tried every 10 s after it failed, over report data of nobody, until it answers', async () => {
    const { clock, asked, td, watched } = machine()
    const stop = new AbortController()
    const reports: (string | null)[] = []
    const ended = watched.keepTried((failure) => reports.push(failure))(stop.signal)
    const pass = async (ms: number) => {
      await clock.advance(ms)
      await settled()
    }
    await pass(60_000)
    expect([asked.length, reports]).toEqual([0, []])
    td.next = failing('quote_empty')
    await watched.collect(reportData, never).catch(() => undefined)
    await pass(10_000)
    await pass(10_000)
    expect([asked.length, reports]).toEqual([3, ['quote_empty']])
    td.next = () => undefined
    await pass(10_000)
    await pass(60_000)
    expect([asked.length, reports]).toEqual([4, ['quote_empty', null]])
    expect(asked[1]).not.toEqual(asked[2])
    stop.abort()
    await ended
  })

  it('ends with the agent when a try meets a bug', async () => {
    const { clock, td, watched } = machine()
    td.next = failing('quote_empty')
    await watched.collect(reportData, never).catch(() => undefined)
    td.next = () => {
      throw new TypeError('bug')
    }
    const ended = watched.keepTried(() => undefined)(never)
    const outcome = expect(ended).rejects.toThrow('bug')
    await clock.advance(10_000)
    await outcome
  })
})
