import { describe, expect, it } from 'vitest'
import { asDeclared, BrokerRig } from '../../test/support/broker-rig.ts'
import { settled } from '../../test/support/fake-clock.ts'
import { type Behaviour, FakeTokenSource, tokenRequest, upstreamErrors } from '../../test/support/fake-token-source.ts'

const warm = [tokenRequest({ audience: ['https://warm.example'] })]

describe('hard invalidation (section 8, BRK-76)', () => {
  it.each([
    [{ all: true }, 3, []],
    [{ issuer: 'one' }, 2, ['other']],
    [{ audience: 'a' }, 2, ['b']],
    [{ issuer: 'one', audience: 'a' }, 1, ['b', 'other']],
    [{ kid: 'k1' }, 2, ['other']],
    [{ kid: 'unknown' }, 0, ['a', 'b', 'other']],
    [{}, 0, ['a', 'b', 'other']],
    [{ all: false }, 0, ['a', 'b', 'other']],
  ])('of %j ends the tokens it names and no others', async (which, count, left) => {
    const rig = new BrokerRig({
      sources: [
        ['one', 900],
        ['other', 900],
      ],
    })
    const other = rig.sources[1]
    if (other) other.behaviour = { kind: 'issue', kid: 'k2' }
    const requests = {
      a: { issuer: 'one', audience: ['a', 'x'] },
      b: { issuer: 'one', audience: ['b'] },
      other: { issuer: 'other', audience: ['a'] },
    }
    for (const request of Object.values(requests)) await rig.ask(request)
    expect(rig.broker.invalidate({ ...which, hard: true })).toBe(count)
    const fresh = Object.entries(requests).filter(([, request]) => rig.state(request) === 'fresh')
    expect(fresh.map(([name]) => name)).toEqual(left)
    expect(rig.broker.invalidate({ ...which, hard: true })).toBe('kid' in which ? 0 : count)
  })

  it('of a key also cuts off what is under way and may be signed with it', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = { kind: 'issue', afterMs: 500, kid: 'old' }
    const asked = rig.send()
    await rig.clock.advance(400)
    rig.broker.invalidate({ kid: 'old', hard: true })
    rig.source.behaviour = { kind: 'issue', kid: 'new' }
    await rig.clock.advance(1_000)
    expect(rig.source.issued.get(asked.served?.token ?? '')?.kid).toBe('new')
  })

  it('renews at once what has demand', async () => {
    const rig = new BrokerRig({ warm }).keepFresh()
    await rig.clock.advance(10_000)
    rig.broker.invalidate({ all: true, hard: true })
    expect(rig.state(warm[0])).toBe('empty')
    await settled(1)
    expect(rig.state(warm[0])).toBe('fresh')
    await rig.stop()
  })
})

describe('a new configuration (BRK-142, F23)', () => {
  it('drops what belongs to changed issuers and keeps the rest', async () => {
    const rig = new BrokerRig({
      sources: [
        ['one', 900],
        ['other', 900],
      ],
    })
    const [one] = rig.sources
    const kept = await rig.ask({ issuer: 'one' })
    await rig.ask({ issuer: 'other' })
    const changed = new FakeTokenSource(rig.clock, { name: 'other', generation: 2 })
    rig.broker.replaceSources([one as FakeTokenSource, changed])
    expect((await rig.ask({ issuer: 'one' })).served?.token).toBe(kept.served?.token)
    expect((await rig.ask({ issuer: 'other' })).served?.token).toContain('other-2-')
  })

  it('who waits gets a token of the new configuration', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = { kind: 'hang' }
    const [shared, alone] = [await rig.ask(), await rig.ask({ fresh: true })]
    rig.broker.replaceSources([new FakeTokenSource(rig.clock, { generation: 2 })])
    await settled(1)
    expect(shared.served?.token).toContain('bundled-2-')
    expect(alone.served?.token).toContain('bundled-2-')
    expect(rig.source.calls.every(({ signal }) => signal.aborted)).toBe(true)
  })

  it('without the issuer says so', async () => {
    const rig = new BrokerRig({ warm })
    rig.source.behaviour = { kind: 'hang' }
    const asked = await rig.ask()
    rig.broker.replaceSources([])
    await settled(1)
    expect(asked.error.code).toBe('issuer_misconfigured')
    expect(rig.broker.status().entries).toEqual([])
  })

  it('forgets the failures of the old one', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = { kind: 'fail', error: upstreamErrors.error('UPSTREAM_MISSET', 'misset') }
    await rig.ask()
    rig.broker.replaceSources([new FakeTokenSource(rig.clock, { generation: 2 })])
    expect((await rig.ask()).served).toBeDefined()
  })

  it('declares other requests, and takes over what is there', async () => {
    const rig = new BrokerRig({ warm }).keepFresh()
    await rig.clock.advance(2_000)
    const used = await rig.ask({ audience: ['https://used.example'] })
    const next = [
      tokenRequest({ audience: ['https://used.example'] }),
      tokenRequest({ audience: ['https://new.example'] }),
    ]
    rig.broker.replaceSources(rig.sources, asDeclared(next))
    await settled(1)
    expect(rig.broker.status().entries.map(({ audience, warm }) => [audience[0], warm])).toEqual([
      ['https://used.example', true],
      ['https://new.example', true],
    ])
    expect((await rig.ask(next[0])).served?.token).toBe(used.served?.token)
    expect(rig.state(next[1])).toBe('fresh')
    await rig.stop()
  })

  it('is refused as a whole where it contradicts itself', async () => {
    const rig = new BrokerRig({ warm })
    expect(() => rig.broker.replaceSources([], asDeclared(warm))).toThrow(TypeError)
    expect(() => rig.broker.replaceSources([rig.source, rig.source])).toThrow(TypeError)
    expect((await rig.ask(warm[0])).served).toBeDefined()
  })
})

describe('the end (BRK-143, I15)', () => {
  it('serves what is cached, starts nothing, and lets end what callers wait for', async () => {
    const rig = new BrokerRig({ warm }).keepFresh()
    await rig.clock.advance(2_000)
    rig.source.behaviour = { kind: 'issue', afterMs: 4_000 }
    const waiting = await rig.ask()
    const calls = rig.source.calls.length
    let drained = false
    const draining = rig.broker.drain().then(() => {
      drained = true
    })
    const later = [await rig.ask(), await rig.ask({ audience: ['x'] }), await rig.ask({ fresh: true })]
    expect(later.map(({ error }) => error.code)).toEqual(['draining', 'draining', 'draining'])
    expect((await rig.ask(warm[0])).served).toBeDefined()
    expect(drained).toBe(false)
    await rig.clock.advance(4_000)
    await draining
    expect(waiting.served?.source).toBe('issued')
    await rig.clock.advance(10_000_000)
    expect(rig.source.calls).toHaveLength(calls)
    expect(rig.broker.status()).toMatchObject({ draining: true, ready: false })
    await rig.stop()
    expect(rig.leftovers()).toEqual({ flights: 0, waiters: 0, sleeping: 0 })
  })

  it.each<Behaviour>([
    { kind: 'hang' },
    { kind: 'issue', acceptAfterMs: 60_000 },
    { kind: 'issue', afterMs: 60_000, stubborn: true },
  ])('waits 5 s at most (%j)', async (behaviour) => {
    const rig = new BrokerRig()
    rig.source.behaviour = behaviour
    const asked = [await rig.ask(), await rig.ask({ nonces: ['nonce-0001'] })]
    const draining = rig.broker.drain()
    await rig.clock.advance(4_999)
    expect(asked[0]?.error).toBeUndefined()
    await rig.clock.advance(1)
    await draining
    expect(asked.map(({ error }) => error.code)).toEqual(['draining', 'draining'])
    await rig.clock.advance(60_000)
    expect(rig.leftovers()).toEqual({ flights: 0, waiters: 0, sleeping: 0 })
  })

  it('ends refreshes that nobody waits for at once', async () => {
    const rig = new BrokerRig({ warm }).keepFresh()
    rig.source.behaviour = { kind: 'hang' }
    await rig.clock.advance(2_000)
    expect(rig.source.active).toHaveLength(1)
    await rig.broker.drain()
    expect(rig.source.active).toHaveLength(0)
    await rig.stop()
  })

  it.each([{}, { fresh: true }])('tells who waits for the next try (%o)', async (request) => {
    const rig = new BrokerRig()
    rig.source.behaviour = { kind: 'fail', error: upstreamErrors.error('UPSTREAM_DOWN', 'down') }
    const asked = await rig.ask(request)
    await rig.broker.drain()
    await settled(1)
    expect(asked.error.code).toBe('draining')
    expect(rig.leftovers().sleeping).toBe(0)
  })
})

it('describe tells state, times and the last failure of an entry, and no more', async () => {
  const rig = new BrokerRig({ warm }).keepFresh()
  expect(rig.broker.describe(tokenRequest())).toEqual({
    state: 'empty',
    expiresAt: null,
    refreshAt: null,
    generation: 0,
    lastError: null,
  })
  await rig.clock.advance(2_000)
  rig.source.behaviour = { kind: 'fail', error: upstreamErrors.error('UPSTREAM_DOWN', 'down') }
  await rig.clock.advance(600_000)
  const described = rig.broker.describe(warm[0] ?? tokenRequest())
  expect(described).toMatchObject({ state: 'degraded', generation: 1, lastError: { code: 'evidence_unavailable' } })
  const now = rig.clock.now() / 1_000
  expect(described.expiresAt).toBeGreaterThan(now)
  expect(described.refreshAt).toBeLessThan(now)
  expect(Math.abs(now - (described.lastError?.at ?? 0))).toBeLessThan(61)
  await rig.stop()
})
