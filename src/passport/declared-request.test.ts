import { describe, expect, it } from 'vitest'
import { asDeclared, BrokerRig } from '../../test/support/broker-rig.ts'
import { FakeTokenSource, tokenRequest, upstreamErrors } from '../../test/support/fake-token-source.ts'

const request = tokenRequest({ audience: ['https://sts.example'] })

describe('a declared request of a token file (BRK-21, BRK-70)', () => {
  it('is fetched and kept fresh without a use, and is no reason of the broker for not being ready', async () => {
    const rig = new BrokerRig({ sinks: [request] }).keepFresh()
    expect(rig.broker.status()).toMatchObject({ ready: true, reasons: [] })
    await rig.clock.advance(3 * 900_000)
    expect(rig.source.calls.length).toBeGreaterThan(3)
    expect(rig.broker.status().entries[0]).toMatchObject({ warm: false, sink: true, state: 'fresh' })
    await rig.stop()
  })

  it.each([
    [1_799, 0.7 * 1_799, 0.8 * 1_799],
    [1_801, 1_200, 1_201],
    [2_000, 1_399, 1_400],
    [3_600, 0.7 * 3_600, 0.8 * 3_600],
  ])('with %i s to live is renewed with ten minutes left where that is sooner', async (lifeS, least, most) => {
    for (let seed = 1; seed <= 20; seed++) {
      const rig = new BrokerRig({ sinks: [request], seed, sources: [['bundled', lifeS]] }).keepFresh()
      await rig.clock.advance(2_000)
      const [first] = rig.source.calls
      const { refreshAt } = rig.broker.describe(request)
      const after = (refreshAt ?? 0) - Math.floor((first?.wall ?? 0) / 1000)
      expect(after).toBeGreaterThanOrEqual(Math.floor(least) - 1)
      expect(after).toBeLessThanOrEqual(Math.ceil(most))
      await rig.stop()
    }
  })

  it('moves the renewal of a token that was at hand before', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const rig = new BrokerRig({ warm: [request], seed, sources: [['bundled', 2_000]] }).keepFresh()
      await rig.clock.advance(2_000)
      const before = rig.broker.describe(request)
      const told = rig.events.length
      rig.broker.replaceSources(rig.sources, asDeclared([request], true))
      const after = rig.broker.describe(request)
      expect(after).toMatchObject({ generation: before.generation, expiresAt: before.expiresAt })
      expect((after.expiresAt ?? 0) - (after.refreshAt ?? 0)).toBeGreaterThanOrEqual(600)
      const stories = rig.events.slice(told).map(({ event }) => event)
      expect(stories).not.toContain('ended')
      await rig.clock.advance(1_400_000)
      expect(rig.source.calls.length).toBe(2)
      await rig.stop()
    }
  })

  it('may be warm as well: the broker speaks for that, and no more when it is only a file again', async () => {
    const rig = new BrokerRig({ warm: [request], sinks: [request] }).keepFresh()
    rig.source.behaviour = { kind: 'fail', error: upstreamErrors.error('UPSTREAM_DOWN', 'down') }
    await rig.clock.advance(3_000)
    expect(rig.broker.status()).toMatchObject({ ready: false, entries: [{ warm: true, sink: true }] })
    rig.broker.replaceSources(rig.sources, asDeclared([request], true))
    expect(rig.broker.status()).toMatchObject({ ready: true, entries: [{ warm: false, sink: true }] })
    await rig.stop()
  })
})

describe('what is offered to those who deliver', () => {
  it('is the token at hand with its end on both clocks, is no use and starts nothing', async () => {
    const rig = new BrokerRig()
    expect(rig.broker.offer(request)).toBeNull()
    expect(rig.source.calls).toHaveLength(0)
    const { served } = await rig.ask(request)
    const offer = rig.broker.offer(request)
    expect(offer).toMatchObject({ token: served?.token, expiresAt: served?.expiresAt, generation: 1, lifeMs: 900_000 })
    expect((offer?.wallExpiry ?? 0) - rig.clock.now()).toBe(900_000)
    expect((offer?.bootExpiry ?? 0) - rig.clock.boottime()).toBe(900_000)
  })

  it('is nothing from the moment on in which either clock has passed its end (BRK-62)', async () => {
    for (const move of [(rig: BrokerRig) => rig.clock.suspend(900_000), (rig: BrokerRig) => rig.clock.jump(900_000)]) {
      const rig = new BrokerRig()
      await rig.ask(request)
      move(rig)
      expect(rig.broker.offer(request)).toBeNull()
    }
  })
})

describe('a token of an earlier run (BRK-117)', () => {
  const recognising = (about: Partial<Awaited<ReturnType<FakeTokenSource['acceptToken']>>> = {}) => {
    const rig = new BrokerRig()
    const now = Math.floor(rig.clock.now() / 1000)
    const accepted = { issuer: 'https://i.example', jti: 'j', kid: 'k', issuedAt: now - 100, expiresAt: now + 800 }
    const source = Object.assign(new FakeTokenSource(rig.clock), {
      recogniseToken: async () => ({ ...accepted, audience: request.audience, ...about }),
    })
    rig.broker.replaceSources([source])
    return { rig, now, recognised: () => rig.broker.recogniseToken('a.b.c', request) }
  }

  it('has the life that the wall clock leaves it', async () => {
    const { rig, now, recognised } = recognising()
    const offer = await recognised()
    expect(offer).toMatchObject({ token: 'a.b.c', expiresAt: now + 800, generation: 0, lifeMs: 900_000 })
    expect((offer?.bootExpiry ?? 0) - rig.clock.boottime()).toBe(800_000)
  })

  it.each([
    ['for another audience', { audience: ['https://other.example'] }],
    ['for one more audience', { audience: [...request.audience, 'https://other.example'] }],
    ['that has expired', { expiresAt: 0 }],
    ['that would live for longer than any may', { expiresAt: 2 ** 40 }],
  ])('%s is not believed', async (_, about) => {
    expect(await recognising(about).recognised()).toBeNull()
  })

  it('is not believed where its issuer is unknown, cannot tell, or says no', async () => {
    const rig = new BrokerRig()
    expect(await rig.broker.recogniseToken('a.b.c', { ...request, issuer: 'nobody' })).toBeNull()
    expect(await rig.broker.recogniseToken('a.b.c', request)).toBeNull()
    const refusing = async () => Promise.reject(upstreamErrors.error('UPSTREAM_UNTRUSTED', 'no'))
    rig.broker.replaceSources([Object.assign(new FakeTokenSource(rig.clock), { recogniseToken: refusing })])
    expect(await rig.broker.recogniseToken('a.b.c', request)).toBeNull()
    const broken = async () => Promise.reject(new TypeError('a bug'))
    rig.broker.replaceSources([Object.assign(new FakeTokenSource(rig.clock), { recogniseToken: broken })])
    await expect(rig.broker.recogniseToken('a.b.c', request)).rejects.toThrow('a bug')
  })
})
