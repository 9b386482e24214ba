import { describe, expect, it } from 'vitest'
import { BrokerRig } from '../../test/support/broker-rig.ts'
import { tokenRequest, upstreamErrors } from '../../test/support/fake-token-source.ts'

const warm = [tokenRequest({ audience: ['https://warm.example'] })]
const hour = 3_600_000
const day = 24 * hour
const fail = { kind: 'fail', error: upstreamErrors.error('UPSTREAM_DOWN', 'down') } as const

describe('suspend (BRK-63, F13)', () => {
  it.each([10_000, 2 * hour, 2 * day])(
    'of %i ms: nothing that expired is served, and all is renewed within 5 s',
    async (ms) => {
      const rig = new BrokerRig({ warm }).keepFresh()
      await rig.clock.advance(2_000)
      const before = rig.source.calls.length
      rig.clock.suspend(ms)
      rig.source.behaviour = { kind: 'issue', afterMs: 100 }
      expect((await rig.ask(warm[0])).served !== undefined).toBe(ms < 900_000)
      await rig.clock.advance(5_100)
      expect(rig.source.calls.length).toBeGreaterThan(before)
      expect((await rig.ask(warm[0])).served?.generation).toBeGreaterThan(1)
      await rig.stop()
    },
  )

  it('ends the pause after a failure', async () => {
    const rig = new BrokerRig({ warm }).keepFresh()
    rig.source.behaviour = { kind: 'fail', error: upstreamErrors.error('UPSTREAM_MISSET', 'misset') }
    await rig.clock.advance(2_000)
    rig.source.behaviour = { kind: 'issue' }
    rig.clock.suspend(5_000)
    await rig.clock.advance(11_000)
    expect(rig.state(warm[0])).toBe('fresh')
    await rig.stop()
  })

  it('does not count as time in which nobody used the token', async () => {
    const rig = new BrokerRig().keepFresh()
    await rig.ask()
    rig.clock.suspend(2 * day)
    await rig.clock.advance(11_000)
    expect(rig.state()).toBe('fresh')
    await rig.stop()
  })

  it('is found by the next request where no task runs', async () => {
    const rig = new BrokerRig()
    await rig.ask()
    rig.clock.suspend(900_000)
    expect((await rig.ask()).served).toMatchObject({ source: 'issued', generation: 2 })
  })
})

describe('the sampler (BRK-60)', () => {
  it('reads all three clocks every 5 s though nobody asks and nothing is due', async () => {
    const rig = new BrokerRig().keepFresh()
    await rig.clock.advance(60_000)
    for (let turn = 1; turn <= 5; turn++) {
      rig.clock.suspend(10_000)
      await rig.clock.advance(5_000)
      expect(rig.eventsOf('clock')).toHaveLength(turn)
    }
    await rig.stop()
  })

  it('is not waited for by who asks: the decision to serve reads them itself', async () => {
    const rig = new BrokerRig()
    await rig.ask()
    rig.clock.suspend(3_600_000)
    expect((await rig.ask({}, { timeoutMs: 1 })).served?.generation).not.toBe(1)
    expect(rig.eventsOf('clock')).toHaveLength(1)
  })
})

describe('steps of the wall clock (BRK-62, BRK-64, F14)', () => {
  it.each([-hour, -day, -50 * 365 * day])('set back by %i ms does not lengthen a life (I16)', async (ms) => {
    const rig = new BrokerRig()
    await rig.ask()
    rig.clock.jump(ms)
    rig.source.behaviour = { kind: 'hang' }
    expect((await rig.ask()).served).toBeDefined()
    await rig.clock.advance(840_001)
    expect((await rig.ask()).served).toBeUndefined()
  })

  it.each([hour, day, 70 * 365 * day])('set forward by %i ms ends it', async (ms) => {
    const rig = new BrokerRig()
    await rig.ask()
    await rig.clock.advance(1_000)
    rig.clock.jump(ms)
    expect((await rig.ask()).served).toMatchObject({ source: 'issued', generation: 2 })
  })

  it.each([
    [299_000, 1],
    [301_000, 2],
    [-299_000, 1],
    [-301_000, 2],
  ])('a step of %i ms: %i tokens, once the clock is believable', async (ms, generation) => {
    const rig = new BrokerRig({ warm }).keepFresh()
    rig.source.behaviour = { kind: 'issue', lifeS: 3_600 }
    await rig.clock.advance(2_000)
    rig.clock.jump(ms)
    await rig.clock.advance(11_000)
    expect((await rig.ask(warm[0])).served?.generation).toBe(generation)
    await rig.stop()
  })

  it('a clock before the newest token is unsafe: nothing is obtained, what is there is served', async () => {
    const rig = new BrokerRig({ warm }).keepFresh()
    await rig.clock.advance(2_000)
    rig.clock.jump(-hour)
    expect((await rig.ask(warm[0])).served).toBeDefined()
    expect((await rig.ask()).error).toMatchObject({ code: 'clock_unsafe', status: 503 })
    expect((await rig.ask({ fresh: true })).error.code).toBe('clock_unsafe')
    expect(rig.broker.status()).toMatchObject({ clock: 'unsafe', ready: false, reasons: ['clock_unsafe'] })
    await rig.clock.advance(600_000)
    expect(rig.source.calls).toHaveLength(1)
    rig.clock.jump(hour)
    await rig.clock.advance(11_000)
    expect(rig.state(warm[0])).toBe('fresh')
    expect(rig.source.calls.length).toBeGreaterThan(1)
    await rig.stop()
  })

  it('a clock before the build of the package is unsafe', async () => {
    const rig = new BrokerRig({ limits: { builtAtS: Date.UTC(2026, 0, 1) / 1000 + 1 } })
    expect((await rig.ask()).error.code).toBe('clock_unsafe')
    await rig.clock.advance(1_000)
    expect((await rig.ask()).served).toBeDefined()
  })

  it('an issuer ahead of us is met with backoff (BRK-65)', async () => {
    const rig = new BrokerRig({ warm }).keepFresh()
    rig.source.behaviour = { kind: 'issue', datedS: 3_600 }
    const asked = await rig.ask()
    expect(asked.error).toMatchObject({ code: 'clock_unsafe', facts: { skew_s: 3_600 } })
    await rig.clock.advance(300_000)
    expect(rig.source.calls.length).toBeLessThan(25)
    await rig.stop()
  })

  it('slow slew: ends with whichever clock is ahead', async () => {
    const rig = new BrokerRig()
    await rig.ask()
    rig.source.behaviour = { kind: 'hang' }
    for (let turn = 0; turn < 40; turn++) {
      await rig.clock.advance(10_000)
      rig.clock.jump(1_000)
      rig.broker.status()
    }
    expect((await rig.ask({}, { minValidS: 460 })).served).toBeDefined()
    expect((await rig.ask({}, { minValidS: 461 })).served).toBeUndefined()
  })
})

describe('a restored snapshot (BRK-63, F15)', () => {
  it('ends all tokens and all that is under way, and begins anew', async () => {
    const rig = new BrokerRig({ warm }).keepFresh()
    await rig.clock.advance(2_000)
    rig.source.behaviour = { kind: 'issue', afterMs: 2_000 }
    const [shared, alone] = [rig.send(), rig.send({ fresh: true })]
    await rig.clock.advance(100)
    rig.clock.restore(3_000)
    const cached = rig.send(warm[0])
    expect(rig.source.calls.map(({ signal }) => signal.aborted)).toEqual([false, true, true, false])
    await rig.clock.advance(10_000)
    const tokens = [shared, alone, cached].map(({ served }) => rig.source.issued.get(served?.token ?? '')?.call.number)
    expect(Math.min(...tokens.map(Number))).toBeGreaterThan(3)
    await rig.stop()
  })

  it('an attempt that was cut off does not take the next one of the same entry along (BRK-33)', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = { kind: 'issue', afterMs: 2_000 }
    const asked = [rig.send()]
    await rig.clock.advance(100)
    rig.clock.restore(3_000)
    asked.push(rig.send())
    await rig.clock.advance(2_000)
    expect(rig.source.calls.map(({ signal }) => signal.aborted)).toEqual([true, false])
    expect(asked.map(({ served }) => served?.token)).toEqual(Array(2).fill(rig.source.calls[1]?.token))
  })

  it('is noticed even when the token for one caller alone arrives, which then is not handed over', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = { kind: 'issue', afterMs: 2_000 }
    const asked = rig.send({ nonces: ['nonce-0001'] })
    await rig.clock.advance(1_000)
    rig.clock.restore(3_000)
    await rig.clock.advance(3_000)
    expect(rig.source.calls).toHaveLength(2)
    expect(asked.served?.token).toBe(rig.source.calls[1]?.token)
  })

  it('does not leave pauses or schedules in a future that is far away', async () => {
    const rig = new BrokerRig({ warm }).keepFresh()
    await rig.clock.advance(10_000_000)
    rig.source.behaviour = fail
    await rig.clock.advance(1_000_000)
    rig.clock.restore(9_000_000)
    rig.source.behaviour = { kind: 'issue' }
    await rig.clock.advance(40_000)
    expect(rig.state(warm[0])).toBe('fresh')
    await rig.stop()
  })
})
