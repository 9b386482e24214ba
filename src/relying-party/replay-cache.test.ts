import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { processorMs } from '../../test/support/processor-time.ts'
import { attestdPayload, createTestIssuer, tokenNow } from '../../test/support/test-issuer.ts'
import { createReplayCache, type ReplayCache, type ReplayVerdict } from './replay-cache.ts'
import { createTokenVerifier } from './token-verifier.ts'

const admit = (cache: ReplayCache, jti: string, expiresAt: number, now: number, issuer = 'https://a.test') =>
  cache.admit({ issuer, jti, expiresAt, now })

describe('the replay cache in memory', () => {
  it('admits a pair of issuer and jti once', () => {
    const cache = createReplayCache()
    expect(admit(cache, 'a', 100, 0)).toBe('admitted')
    expect(admit(cache, 'a', 100, 99.9)).toBe('seen')
    expect(admit(cache, 'a', 200, 0)).toBe('seen')
    expect(admit(cache, 'a', 100, 0, 'https://b.test')).toBe('admitted')
    expect(admit(cache, '["https://a.test","a"]', 100, 0)).toBe('admitted')
    expect(admit(cache, 'sta', 100, 0, 'https://a.te')).toBe('admitted')
  })

  it('refuses when it is full of unexpired entries, and never forgets one', () => {
    const cache = createReplayCache({ capacity: 3 })
    for (const [index, jti] of ['a', 'b', 'c'].entries()) expect(admit(cache, jti, 100 + index, 0)).toBe('admitted')
    expect(admit(cache, 'd', 200, 99)).toBe('full')
    expect(admit(cache, 'd', 200, 100)).toBe('admitted')
    expect(admit(cache, 'e', 200, 100)).toBe('full')
    expect([admit(cache, 'b', 101, 100), admit(cache, 'c', 102, 100), admit(cache, 'd', 200, 100)]).toEqual(
      Array(3).fill('seen'),
    )
    expect([admit(cache, 'e', 200, 102), admit(cache, 'f', 200, 102), admit(cache, 'g', 200, 102)]).toEqual([
      'admitted',
      'admitted',
      'full',
    ])
  })

  it('of one issuer takes so many and no more, and all others as before', () => {
    const cache = createReplayCache({ capacity: 5, perIssuer: 2 })
    expect(['a', 'b', 'c', 'd'].map((jti) => admit(cache, jti, 100, 0))).toEqual([
      'admitted',
      'admitted',
      'full',
      'full',
    ])
    expect(admit(cache, 'a', 100, 0)).toBe('seen')
    expect(['a', 'b', 'c'].map((jti) => admit(cache, jti, 50, 0, 'https://b.test'))).toEqual([
      'admitted',
      'admitted',
      'full',
    ])
    expect(admit(cache, 'a', 100, 0, 'https://c.test')).toBe('admitted')
    expect(admit(cache, 'a', 100, 0, 'https://d.test')).toBe('full')
    // Those of one issuer end earlier and make room for it and for others.
    expect(admit(cache, 'c', 100, 50, 'https://b.test')).toBe('admitted')
    expect(admit(cache, 'c', 100, 50)).toBe('full')
    expect(admit(cache, 'c', 200, 100)).toBe('admitted')
  })

  it('forgets nothing of what may still be accepted, in whatever order tokens come and end', () => {
    const entry = fc.record({
      who: fc.nat(2),
      jti: fc.nat(30),
      lifeS: fc.integer({ min: 1, max: 40 }),
      waitS: fc.nat(9),
    })
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 200 }), (entries) => {
        const cache = createReplayCache({ capacity: 20, perIssuer: 9 })
        const alive = new Map<string, { issuer: string; until: number }>()
        let now = 0
        for (const { who, jti, lifeS, waitS } of entries) {
          now += waitS
          for (const [key, { until }] of alive) if (until <= now) alive.delete(key)
          const issuer = `https://${who}.test`
          const of = [...alive.values()].filter((one) => one.issuer === issuer).length
          const verdict = admit(cache, String(jti), now + lifeS, now, issuer)
          const key = `${issuer} ${jti}`
          if (alive.has(key)) expect(verdict).toBe('seen')
          else if (verdict === 'full') expect(of >= 9 || alive.size >= 20).toBe(true)
          if (verdict === 'admitted') {
            expect(of < 9 && alive.size < 20).toBe(true)
            alive.set(key, { issuer, until: now + lifeS })
          }
        }
      }),
    )
  })

  it('is quick when it is full and something ends with every second', () => {
    const cache = createReplayCache({ capacity: 50_000 })
    for (let at = 0; at < 50_000; at++) admit(cache, `j${at}`, 1 + Math.floor(at / 500), 0)
    const started = processorMs()
    let admitted = 0
    for (let now = 1; now <= 100; now++) {
      for (let at = 0; at < 500; at++) if (admit(cache, `${now}-${at}`, 1000, now) === 'admitted') admitted++
    }
    expect(admitted).toBe(50_000)
    expect(processorMs() - started).toBeLessThan(5_000)
  })

  it('still refuses what it forgot when the clock is set back', () => {
    const cache = createReplayCache({ capacity: 1 })
    expect(admit(cache, 'a', 100, 0)).toBe('admitted')
    expect(admit(cache, 'b', 300, 150)).toBe('admitted')
    expect(admit(cache, 'a', 100, 50)).toBe('seen')
  })

  it.each([0, -1, 1.5, Number.POSITIVE_INFINITY])('has no bound of %d', (bound) => {
    expect(() => createReplayCache({ capacity: bound })).toThrow(TypeError)
    expect(() => createReplayCache({ perIssuer: bound })).toThrow(TypeError)
  })
})

describe('a verifier with a replay cache', () => {
  const issuer = createTestIssuer('ES256')
  const verifier = (replayCache: ReplayCache, clock = new FakeClock(tokenNow * 1000)) =>
    createTokenVerifier({
      issuer: 'https://verifier.test',
      audience: 'https://rp.test',
      keys: { jwks: { keys: [issuer.jwk] } },
      tee: ['acstdxnvgpu'],
      measurements: null,
      clientId: 'client-1',
      replayCache,
      clock,
    })
  const replayOf = async (judging: ReturnType<typeof verifier>, token: string, expected = {}) => {
    const { findings } = await judging.appraise(token, expected)
    return findings.find(({ id }) => id === 'token.replay')
  }

  it('accepts a token once, also of two at the same time', async () => {
    const token = issuer.sign(attestdPayload())
    const results = await Promise.allSettled([1, 2].map(() => judging.accept(token)))
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(await replayOf(judging, token)).toMatchObject({ outcome: 'failed', detail: 'the token was accepted before' })
  })
  const judging = verifier(createReplayCache())

  it('uses nothing up for a token that is refused anyway', async () => {
    const fresh = verifier(createReplayCache({ capacity: 1 }))
    const token = issuer.sign(attestdPayload())
    for (let attempt = 0; attempt < 3; attempt++) {
      expect((await replayOf(fresh, token, { eatNonce: 'another' }))?.outcome).toBe('unreached')
    }
    expect((await replayOf(fresh, token))?.outcome).toBe('passed')
    const next = issuer.sign({ ...attestdPayload(), jti: 'next' })
    expect(await replayOf(fresh, next)).toMatchObject({ outcome: 'failed', detail: expect.stringContaining('full') })
  })

  it('remembers until exp + skew, and asks a shared cache the same way', async () => {
    const entries: unknown[] = []
    const shared: ReplayCache = {
      async admit(entry): Promise<ReplayVerdict> {
        entries.push(entry)
        return 'admitted'
      },
    }
    await verifier(shared).accept(issuer.sign(attestdPayload()))
    const { exp, jti } = attestdPayload()
    expect(entries).toEqual([{ issuer: 'https://verifier.test', jti, expiresAt: Number(exp) + 60, now: tokenNow }])
  })

  it('does not accept when the cache fails', async () => {
    const broken: ReplayCache = { admit: () => Promise.reject(new Error('store is down')) }
    await expect(verifier(broken).accept(issuer.sign(attestdPayload()))).rejects.toThrow('store is down')
  })
})
