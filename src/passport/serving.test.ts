import { describe, expect, it } from 'vitest'
import { BrokerRig } from '../../test/support/broker-rig.ts'
import { tokenRequest, upstreamErrors } from '../../test/support/fake-token-source.ts'
import { passportErrors } from './errors.ts'

describe('from the cache (API-90, API-91)', () => {
  it('serves what the claims say, without asking again (API-98)', async () => {
    const rig = new BrokerRig()
    await rig.ask()
    const { served } = await rig.ask({}, { caller: 'unit:other.service' })
    const now = rig.clock.now() / 1000
    expect(served).toMatchObject({
      token: rig.source.calls[0]?.token,
      issuer: 'https://bundled.example',
      audience: ['https://rp.example'],
      issuedAt: now,
      expiresAt: now + 900,
      jti: 'jti-1',
      source: 'cache',
      generation: 1,
    })
    expect(served?.refreshAt).toBeGreaterThanOrEqual(now + 405)
    expect(served?.refreshAt).toBeLessThanOrEqual(now + 540)
  })

  it('has one token for callers of any kind, and tells no source who they are (BRK-02, BRK-03)', async () => {
    const rig = new BrokerRig()
    const callers = ['uid:0', 'unit:a.service', 'unit:b.service', 'tcp-uid:1001']
    const served = await Promise.all(callers.map(async (caller) => (await rig.ask({}, { caller })).served?.token))
    expect(new Set(served).size).toBe(1)
    // What a source is not told it cannot put into claims: the key has no caller in it.
    expect(rig.source.calls.map(({ request }) => request)).toEqual([tokenRequest()])
  })

  it('serves while a refresh hangs, and says so (BRK-166)', async () => {
    const rig = new BrokerRig().keepFresh()
    await rig.ask()
    rig.source.behaviour = { kind: 'hang' }
    await rig.clock.advance(600_000)
    expect((await rig.ask()).served?.source).toBe('cache-refreshing')
    await rig.stop()
  })

  it.each([
    [60, 840_000],
    [5, 895_000],
  ])('a demand of %i s is met to the millisecond', async (minValidS, lastMs) => {
    const rig = new BrokerRig()
    await rig.ask()
    rig.source.behaviour = { kind: 'hang' }
    await rig.clock.advance(lastMs)
    expect((await rig.ask({}, { minValidS })).served).toBeDefined()
    await rig.clock.advance(1)
    expect((await rig.ask({}, { minValidS })).served).toBeUndefined()
  })

  it('never serves below the floor: 5 s, or 1 s where the caller takes anything (BRK-12)', async () => {
    const rig = new BrokerRig()
    await rig.ask()
    rig.source.behaviour = { kind: 'hang' }
    await rig.clock.advance(895_001)
    expect((await rig.ask({}, { minValidS: 1 })).served).toBeUndefined()
    expect((await rig.ask({}, { minValidS: 0 })).served).toBeDefined()
    await rig.clock.advance(3_999)
    expect((await rig.ask({}, { minValidS: 0 })).served).toBeDefined()
    await rig.clock.advance(1)
    expect((await rig.ask({}, { minValidS: 0 })).served).toBeUndefined()
  })
})

it.each([false, true])(
  'decides on clocks that are read after all waiting: what ended meanwhile is not handed over, fresh: %s (BRK-35)',
  async (fresh) => {
    let landed = 0
    const rig: BrokerRig = new BrokerRig({
      // The machine sleeps between the arrival of the first token and the answer to who waits for it.
      observe: (told) => {
        if (told.event === 'attempt_ended' && told.result === 'landed' && landed++ === 0) rig.clock.suspend(3_600_000)
      },
    })
    const asked = rig.send({ fresh })
    await rig.clock.advance(10_000)
    expect([landed, rig.source.calls.length]).toEqual([2, 2])
    expect(asked.served?.token).toBe(rig.source.calls[1]?.token)
  },
)

describe('a demand that the token at hand does not meet (API-92, API-93, BRK-25)', () => {
  it('is met by a new token where it can be, which is then everybody’s', async () => {
    const rig = new BrokerRig()
    await rig.ask()
    await rig.clock.advance(300_000)
    expect((await rig.ask({}, { minValidS: 895 })).served).toMatchObject({ source: 'issued', generation: 2 })
    expect((await rig.ask()).served).toMatchObject({ source: 'cache', generation: 2 })
  })

  it('is refused where the issuer does not issue such tokens, and starts nothing', async () => {
    const rig = new BrokerRig()
    const asked = await rig.ask({}, { minValidS: 896 })
    expect(asked.error).toMatchObject({ code: 'min_valid_unattainable', status: 409, facts: { max_valid_s: 895 } })
    const shorter = await rig.ask({ ttlS: 300 }, { minValidS: 296 })
    expect(shorter.error.facts).toEqual({ max_valid_s: 295 })
    const fresh = await rig.ask({ fresh: true }, { minValidS: 896 })
    expect(fresh.error.code).toBe('min_valid_unattainable')
    expect(rig.source.calls).toHaveLength(0)
  })

  it('is met from the cache although the usual life would not do', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = { kind: 'issue', lifeS: 3_600 }
    await rig.ask()
    expect((await rig.ask({}, { minValidS: 3_000 })).served?.source).toBe('cache')
  })

  it('starts no loop where the issuer gives less than usual', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = { kind: 'issue', lifeS: 300 }
    const asked = await rig.ask({}, { minValidS: 600 })
    expect(asked.error).toMatchObject({ code: 'min_valid_unattainable', facts: { max_valid_s: 300 } })
    expect(rig.source.calls).toHaveLength(1)
    const alone = await rig.ask({ fresh: true }, { minValidS: 600 })
    expect(alone.error).toMatchObject({ code: 'min_valid_unattainable', facts: { max_valid_s: 300 } })
  })

  it('tells what could have been had where the issuer fails', async () => {
    const rig = new BrokerRig()
    await rig.ask()
    await rig.clock.advance(600_000)
    rig.source.behaviour = { kind: 'fail', error: upstreamErrors.error('UPSTREAM_REFUSED', 'no') }
    expect((await rig.ask({}, { minValidS: 600 })).error.facts['best_available_valid_s']).toBeUndefined()
    const down = new BrokerRig()
    await down.ask()
    await down.clock.advance(600_000)
    down.source.behaviour = { kind: 'fail', error: upstreamErrors.error('UPSTREAM_DOWN', 'no') }
    const asked = down.send({}, { minValidS: 600, timeoutMs: 900 })
    await down.clock.advance(900)
    expect(asked.error).toMatchObject({ code: 'evidence_unavailable', facts: { best_available_valid_s: 300 } })
    expect((await down.ask()).served?.source).toBe('cache-degraded')
  })
})

describe('tokens for one caller (API-94, API-95, I11)', () => {
  it.each([{ nonces: ['nonce-0001'] }, { fresh: true }])(
    '%o is neither looked up nor stored nor shared',
    async (own) => {
      const rig = new BrokerRig()
      await rig.ask()
      const asked = await Promise.all([rig.ask(own), rig.ask(own)])
      const again = await rig.ask(own)
      const tokens = [...asked, again].map(({ served }) => served?.token)
      expect(new Set(tokens).size).toBe(3)
      expect(again.served).toMatchObject({ source: 'issued', generation: 0 })
      expect((await rig.ask()).served?.token).toBe(rig.source.calls[0]?.token)
      expect(rig.broker.status().entries).toHaveLength(1)
      expect(rig.broker.describe(rig.source.calls[1]?.request ?? ({} as never)).state).toBe('empty')
    },
  )

  it('the request is collected for after it arrived, with its nonces in order', async () => {
    const rig = new BrokerRig()
    await rig.ask({ nonces: ['nonce-b', 'nonce-a', 'nonce-b'] })
    expect(rig.source.calls[0]?.request.nonces).toEqual(['nonce-b', 'nonce-a', 'nonce-b'])
  })

  it('a caller that leaves ends its own attempt only', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = { kind: 'issue', afterMs: 500 }
    const [one, other] = [await rig.ask({ fresh: true }), await rig.ask({ fresh: true })]
    one.leave()
    await rig.clock.advance(500)
    expect(rig.source.calls.map(({ signal }) => signal.aborted)).toEqual([true, true])
    expect(other.served).toBeDefined()
    expect(rig.leftovers()).toEqual({ flights: 0, waiters: 0, sleeping: 0 })
  })

  it('tries three times where that may help, then tells the failure (BRK-42)', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = { kind: 'fail', error: upstreamErrors.error('UPSTREAM_DOWN', 'down') }
    const asked = rig.send({ nonces: ['nonce-0001'] })
    await rig.clock.advance(10_000)
    expect(asked.error).toMatchObject({ code: 'evidence_unavailable' })
    expect(rig.source.calls).toHaveLength(3)
  })

  it('wait as long as the issuer asks before the next try (BRK-43)', async () => {
    const rig = new BrokerRig()
    const busy = passportErrors.error('issuer_unavailable', 'busy', { facts: { retry_after_ms: 5_000 } })
    rig.source.behaviour = { kind: 'fail', error: busy }
    const asked = rig.send({ nonces: ['nonce-0001'] })
    await rig.clock.advance(4_999)
    rig.source.behaviour = { kind: 'issue' }
    expect(rig.source.calls).toHaveLength(1)
    await rig.clock.advance(1)
    expect(asked.served?.source).toBe('issued')
  })

  it('are bounded in number', async () => {
    const rig = new BrokerRig({ limits: { unsharedFlights: 2 } })
    rig.source.behaviour = { kind: 'issue', afterMs: 100 }
    const asked = [rig.send({ fresh: true }), rig.send({ fresh: true }), rig.send({ fresh: true })]
    await rig.clock.advance(100)
    expect(asked.map(({ error }) => error?.code)).toEqual([undefined, undefined, 'quote_queue_full'])
    expect(rig.source.calls).toHaveLength(2)
  })

  it('are superseded by a hard invalidation while they are under way', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = { kind: 'issue', afterMs: 500 }
    const asked = rig.send({ fresh: true })
    await rig.clock.advance(200)
    rig.broker.invalidate({ issuer: 'bundled', hard: true })
    await rig.clock.advance(500)
    expect(rig.source.calls).toHaveLength(2)
    expect(asked.served?.token).toBe(rig.source.calls[1]?.token)
  })
})

describe('verification (BRK-34, I19, API-98)', () => {
  it('a token that fails is nowhere', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = { kind: 'forge' }
    const asked = rig.send({}, { timeoutMs: 400 })
    const alone = rig.send({ fresh: true }, { timeoutMs: 400 })
    await rig.clock.advance(400)
    for (const { error } of [asked, alone]) expect(error).toMatchObject({ code: 'issuer_bad_token', status: 502 })
    const said = JSON.stringify([asked.error.message, asked.error.facts, rig.broker.status()])
    for (const token of rig.source.issued.keys()) expect(said).not.toContain(token)
    expect(rig.state()).toBe('failed')
  })

  it('the old token stays when a newer one fails (F08)', async () => {
    const rig = new BrokerRig().keepFresh()
    const first = await rig.ask()
    rig.source.behaviour = { kind: 'issue', audience: ['https://evil.example'] }
    await rig.clock.advance(700_000)
    expect(rig.source.calls.length).toBeGreaterThan(1)
    expect((await rig.ask()).served).toMatchObject({ token: first.served?.token, source: 'cache-degraded' })
    await rig.stop()
  })
})

it('an issuer that is not configured is said to be so', async () => {
  const rig = new BrokerRig()
  expect((await rig.ask({ issuer: 'other' })).error).toMatchObject({ code: 'issuer_misconfigured' })
  expect((await rig.ask({ issuer: 'other', fresh: true })).error).toMatchObject({ code: 'issuer_misconfigured' })
  expect(rig.state({ issuer: 'other' })).toBe('empty')
})
