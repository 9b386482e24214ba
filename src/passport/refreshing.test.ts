import { describe, expect, it } from 'vitest'
import { BrokerRig } from '../../test/support/broker-rig.ts'
import { type SourceCall, tokenRequest, upstreamErrors } from '../../test/support/fake-token-source.ts'

const warm = [tokenRequest({ audience: ['https://warm.example'] })]
const startsOf = (rig: BrokerRig) => rig.source.calls.map(({ monotonic }) => monotonic)
/** Milliseconds that the token of a call had left when it was issued: `iat` and `exp` are whole seconds. */
const lifeOf = (rig: BrokerRig, { token, wall }: SourceCall) =>
  (rig.source.issued.get(token ?? '')?.expiresAt ?? 0) * 1000 - wall

describe('declared tokens (BRK-24, BRK-70)', () => {
  it('are fetched within 2 s and kept fresh without anybody asking', async () => {
    const rig = new BrokerRig({ warm }).keepFresh()
    expect(rig.broker.status()).toMatchObject({ ready: false, reasons: ['warm:0:empty'] })
    await rig.clock.advance(2_000)
    expect(rig.source.calls).toHaveLength(1)
    expect(rig.broker.status()).toMatchObject({ ready: true, reasons: [] })
    for (let minute = 0; minute < 240; minute++) {
      await rig.clock.advance(60_000)
      expect(rig.broker.status().ready).toBe(true)
    }
    await rig.stop()
    expect(rig.leftovers()).toEqual({ flights: 0, waiters: 0, sleeping: 0 })
  })

  it('a caller that waits does not pay the jitter', async () => {
    const rig = new BrokerRig({ warm }).keepFresh()
    expect((await rig.ask({ audience: ['https://warm.example'] })).served).toBeDefined()
    await rig.stop()
  })

  it('are not ready with less than a tenth of their life', async () => {
    const rig = new BrokerRig({ warm }).keepFresh()
    await rig.clock.advance(2_000)
    rig.source.behaviour = { kind: 'hang' }
    const [call] = rig.source.calls
    if (call === undefined) throw new TypeError('no call')
    await rig.clock.advance(call.monotonic + Math.floor(0.9 * lifeOf(rig, call)) - rig.clock.monotonic())
    expect(rig.broker.status().ready).toBe(true)
    await rig.clock.advance(2)
    expect(rig.broker.status().reasons).toEqual(['warm:0:expiring'])
    await rig.stop()
  })

  it.each([{ fresh: true }, { nonces: ['nonce-0001'] }, { issuer: 'unknown' }])('cannot be %o', (about) => {
    expect(() => new BrokerRig({ warm: [tokenRequest(about)] })).toThrow(TypeError)
  })
})

describe('refresh ahead (BRK-20, F22)', () => {
  it.each([
    [5, 2],
    [11, 10],
    [60, 10],
    [300, 10],
    [3_600, 10],
    [21_600, 10],
    [86_400, 10],
  ])(
    'tokens of %i s are renewed at their refresh points, without gap and without loop',
    async (lifeS, minUsableLifeS) => {
      const limits = { minUsableLifeS, servingFloorS: 1 }
      const rig = new BrokerRig({ warm, limits }).keepFresh()
      rig.source.behaviour = { kind: 'issue', lifeS }
      await rig.clock.advance(2_000)
      await rig.clock.advance(lifeS * 4_000)
      const [low, high] = lifeS >= 1_201 ? [0.7, 0.8] : [0.45, 0.6]
      for (const [index, call] of rig.source.calls.slice(1).entries()) {
        const before = rig.source.calls[index]
        if (before === undefined) throw new TypeError('no call')
        const share = (call.monotonic - before.monotonic) / lifeOf(rig, before)
        expect(share).toBeGreaterThanOrEqual(low)
        expect(share).toBeLessThanOrEqual(high)
      }
      expect(rig.source.calls.length).toBeGreaterThan(5)
      expect((await rig.ask({ audience: ['https://warm.example'] })).served?.source).toBe('cache')
      await rig.stop()
    },
  )

  it('a life too short to use is a failure with backoff, not a loop (BRK-22)', async () => {
    const rig = new BrokerRig({ warm }).keepFresh()
    rig.source.behaviour = { kind: 'issue', lifeS: 9 }
    await rig.clock.advance(600_000)
    expect(rig.state(warm[0])).toBe('failed')
    expect(rig.source.calls.length).toBeLessThan(60)
    await rig.stop()
  })

  it('draws the point once per token: equal seeds, equal runs (I20)', async () => {
    const run = async (seed: number) => {
      const rig = new BrokerRig({ warm, seed }).keepFresh()
      await rig.clock.advance(36_000_000)
      await rig.stop()
      return startsOf(rig)
    }
    expect(await run(7)).toEqual(await run(7))
    expect(await run(7)).not.toEqual(await run(8))
  })

  it('starts at most three refreshes per second and issuer (BRK-74); who waits goes first', async () => {
    const many = Array.from({ length: 12 }, (_, index) => tokenRequest({ audience: [`https://${index}.example`] }))
    const rig = new BrokerRig({ warm: many }).keepFresh()
    rig.source.behaviour = { kind: 'issue', afterMs: 10_000 }
    await rig.clock.advance(2_000)
    const before = rig.source.calls.length
    const asked = await rig.ask()
    expect(rig.source.calls).toHaveLength(before + 1)
    await rig.clock.advance(20_000)
    expect(asked.served).toBeDefined()
    const starts = startsOf(rig).filter((_, index) => index !== before)
    expect(starts).toHaveLength(12)
    for (const [index, start] of starts.slice(3).entries())
      expect(start - (starts[index] ?? 0)).toBeGreaterThanOrEqual(1_000)
    await rig.stop()
  })
})

describe('demand (BRK-70 to BRK-73)', () => {
  it('ends after two refreshes without a use; the token lapses and is forgotten', async () => {
    const rig = new BrokerRig().keepFresh()
    await rig.ask()
    await rig.clock.advance(3_600_000)
    expect(rig.source.calls).toHaveLength(3)
    expect(rig.broker.status().entries).toEqual([])
    await rig.stop()
  })

  it('is idle first, which still serves, and a use brings it back', async () => {
    const rig = new BrokerRig().keepFresh()
    await rig.ask()
    while (rig.state() !== 'idle') await rig.clock.advance(10_000)
    expect(rig.source.calls).toHaveLength(3)
    expect((await rig.ask()).served?.source).toBe('cache')
    await rig.clock.advance(1_000)
    expect(rig.source.calls).toHaveLength(4)
    expect(rig.state()).toBe('fresh')
    await rig.stop()
  })

  it('counts uses of the key, whoever they come from: callers that live for a moment are as good as a daemon (BRK-72)', async () => {
    const rig = new BrokerRig().keepFresh()
    for (let turn = 0; turn < 20; turn++) {
      const { served } = await rig.ask({}, { caller: `pid-of-its-own:${turn}` })
      expect(served?.source).toBe(turn === 0 ? 'issued' : 'cache')
      await rig.clock.advance(800_000)
    }
    await rig.stop()
  })

  it('of a caller that is gone counts once, however often it had the token (BRK-72)', async () => {
    const refreshes = async (uses: number) => {
      const rig = new BrokerRig().keepFresh()
      for (let use = 0; use < uses; use++) (await rig.ask({}, { caller: 'unit:gone.service' })).leave()
      await rig.clock.advance(3_600_000)
      await rig.stop()
      return rig.source.calls.length
    }
    expect([await refreshes(1), await refreshes(50)]).toEqual([3, 3])
  })

  it('is there while somebody uses the token, however rarely within its life', async () => {
    const rig = new BrokerRig().keepFresh()
    await rig.ask()
    for (let turn = 0; turn < 20; turn++) {
      await rig.clock.advance(800_000)
      expect((await rig.ask()).served?.source).toBe('cache')
    }
    await rig.stop()
  })

  it('is not made by describe and status', async () => {
    const rig = new BrokerRig().keepFresh()
    await rig.ask()
    for (let turn = 0; turn < 360; turn++) {
      await rig.clock.advance(10_000)
      rig.broker.describe(tokenRequest())
      rig.broker.status()
    }
    expect(rig.source.calls).toHaveLength(3)
    await rig.stop()
  })

  it('ends under an outage too: nothing is asked for after two lives without a use (I7)', async () => {
    const rig = new BrokerRig().keepFresh()
    await rig.ask()
    rig.source.behaviour = { kind: 'fail', error: upstreamErrors.error('UPSTREAM_DOWN', 'down') }
    await rig.clock.advance(7_200_000)
    const last = startsOf(rig).at(-1) ?? 0
    expect(last).toBeGreaterThan(900_000)
    expect(last).toBeLessThanOrEqual(1_000 + 1_800_000)
    await rig.stop()
  })

  it('without the task there is no refresh, and callers are served all the same', async () => {
    const rig = new BrokerRig()
    await rig.ask()
    await rig.clock.advance(890_000)
    expect(rig.source.calls).toHaveLength(1)
    expect((await rig.ask()).served).toMatchObject({ source: 'issued', generation: 2 })
  })
})

describe('soft invalidation (section 8, BRK-75)', () => {
  it('renews soon and serves the old token meanwhile', async () => {
    const rig = new BrokerRig({ warm }).keepFresh()
    await rig.clock.advance(60_000)
    expect(rig.broker.invalidate({ issuer: 'bundled', hard: false })).toBe(1)
    expect((await rig.ask(warm[0])).served).toMatchObject({ generation: 1, source: 'cache' })
    await rig.clock.advance(1_000)
    expect((await rig.ask(warm[0])).served).toMatchObject({ generation: 2, source: 'cache' })
    await rig.stop()
  })

  it('events within a second are one', async () => {
    const rig = new BrokerRig({ warm }).keepFresh()
    await rig.clock.advance(60_000)
    for (let turn = 0; turn < 9; turn++) {
      rig.broker.invalidate({ all: true, hard: false })
      await rig.clock.advance(100)
    }
    await rig.clock.advance(10_000)
    expect(rig.source.calls).toHaveLength(2)
    await rig.stop()
  })

  it('during a flight asks again: that evidence may be from before the event', async () => {
    const rig = new BrokerRig({ warm }).keepFresh()
    rig.source.behaviour = { kind: 'issue', afterMs: 5_000 }
    await rig.clock.advance(4_000)
    rig.broker.invalidate({ all: true, hard: false })
    await rig.clock.advance(30_000)
    expect(rig.source.calls).toHaveLength(2)
    await rig.stop()
  })

  it('ends the pause after a failure, at most every 5 s (BRK-45)', async () => {
    const rig = new BrokerRig({ warm }).keepFresh()
    rig.source.behaviour = { kind: 'fail', error: upstreamErrors.error('UPSTREAM_MISSET', 'misset') }
    await rig.clock.advance(10_000)
    expect(rig.source.calls).toHaveLength(1)
    for (let turn = 0; turn < 20; turn++) {
      rig.broker.invalidate({ all: true, hard: false })
      await rig.clock.advance(1_000)
    }
    expect(rig.source.calls.length).toBeGreaterThanOrEqual(4)
    expect(rig.source.calls.length).toBeLessThanOrEqual(6)
    await rig.stop()
  })
})
