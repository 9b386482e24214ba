import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { SentQuotes } from './sent-quotes.ts'

const sent = (at: number) => ({ reportData: new Uint8Array(64).fill(at % 256), members: {}, at })

describe('the quotes that were sent', () => {
  it('are taken once, each by its own token', () => {
    const quotes = new SentQuotes(new FakeClock())
    quotes.note('a.b.c', sent(1))
    quotes.note('a.b.d', sent(2))
    expect(quotes.take('a.b.d')?.at).toBe(2)
    expect(quotes.take('a.b.c')?.at).toBe(1)
    expect([quotes.take('a.b.c'), quotes.take('x.y.z'), quotes.size]).toEqual([undefined, undefined, 0])
  })

  it('one token for two quotes is refused, and the first pairing stays', () => {
    const quotes = new SentQuotes(new FakeClock())
    quotes.note('a.b.c', sent(1))
    expect(() => quotes.note('a.b.c', sent(2))).toThrowError(expect.objectContaining({ code: 'issuer_bad_token' }))
    expect(quotes.take('a.b.c')?.at).toBe(1)
  })

  it('are forgotten after two minutes, whatever the wall clock does', async () => {
    const clock = new FakeClock()
    const quotes = new SentQuotes(clock)
    quotes.note('a.b.c', sent(1))
    clock.jump(-86_400_000)
    await clock.advance(119_999)
    quotes.note('a.b.d', sent(2))
    expect(quotes.size).toBe(2)
    await clock.advance(1)
    quotes.note('a.b.e', sent(3))
    expect([quotes.take('a.b.c'), quotes.take('a.b.d')?.at, quotes.take('a.b.e')?.at]).toEqual([undefined, 2, 3])
  })

  it('are at most 256: the oldest makes room, and nothing leaks however many never come back', () => {
    const quotes = new SentQuotes(new FakeClock())
    for (let at = 0; at < 256; at++) quotes.note(`a.b.${at}`, sent(at))
    expect(quotes.size).toBe(256)
    quotes.note('a.b.new', sent(256))
    expect([quotes.size, quotes.take('a.b.0'), quotes.take('a.b.1')?.at]).toEqual([256, undefined, 1])
    for (let at = 0; at < 10_000; at++) quotes.note(`x.y.${at}`, sent(at))
    expect(quotes.size).toBe(256)
  })
})
