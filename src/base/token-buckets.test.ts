import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { TokenBuckets } from './token-buckets.ts'

const rate = { perS: 10, burst: 4 }

describe('token buckets (API-85)', () => {
  it('give the burst, then the rate, and the exact time to wait', async () => {
    const clock = new FakeClock()
    const buckets = new TokenBuckets(clock)
    expect([1, 2, 3, 4, 5].map(() => buckets.take('a', rate))).toEqual([0, 0, 0, 0, 100])
    await clock.advance(99)
    expect(buckets.take('a', rate)).toBe(1)
    await clock.advance(1)
    expect(buckets.take('a', rate)).toBe(0)
    expect(buckets.take('a', rate)).toBe(100)
    expect(buckets.take('b', rate)).toBe(0)
    await clock.advance(60_000)
    expect(buckets.left('a', rate)).toBe(4)
  })

  it('are dropped after ten minutes without use', async () => {
    const clock = new FakeClock()
    const buckets = new TokenBuckets(clock)
    buckets.take('a', rate)
    await clock.advance(300_000)
    buckets.take('b', rate)
    await clock.advance(299_999)
    buckets.take('c', rate)
    expect(buckets.size).toBe(3)
    await clock.advance(1)
    buckets.take('c', rate)
    expect(buckets.size).toBe(2)
  })

  it('are at most 4096; the one that idled longest goes, and a newcomer has a quarter of the burst', async () => {
    const clock = new FakeClock()
    const buckets = new TokenBuckets(clock)
    for (let at = 0; at < 4096; at++) buckets.take(`k${at}`, rate)
    buckets.take('k0', rate)
    expect([buckets.take('new', rate), buckets.take('new', rate)]).toEqual([0, 100])
    expect(buckets.size).toBe(4096)
    expect([buckets.left('k0', rate), buckets.left('k1', rate), buckets.left('k2', rate)]).toEqual([2, 4, 3])
  })

  it('never let more than burst + rate × time through, whatever the pattern', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(500), fc.nat(5)), { maxLength: 30 }), async (steps) => {
        const clock = new FakeClock()
        const buckets = new TokenBuckets(clock)
        const start = clock.monotonic()
        let taken = 0
        for (const [pause, tries] of steps) {
          await clock.advance(pause)
          for (let at = 0; at < tries; at++) if (buckets.take('a', rate) === 0) taken++
          expect(taken).toBeLessThanOrEqual(rate.burst + ((clock.monotonic() - start) / 1000) * rate.perS + 1e-6)
        }
      }),
      { numRuns: 50 },
    )
  })

  it('give a token exactly when they said', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 300 }), fc.nat(40), async (perS, pause) => {
        const clock = new FakeClock()
        const buckets = new TokenBuckets(clock)
        const one = { perS, burst: 1 }
        buckets.take('a', one)
        await clock.advance(pause)
        const wait = buckets.take('a', one)
        if (wait === 0) return
        await clock.advance(wait - 1)
        if (wait > 1) expect(buckets.take('a', one)).toBe(1)
        await clock.advance(1)
        expect(buckets.take('a', one)).toBe(0)
      }),
      { numRuns: 100 },
    )
  })
})
