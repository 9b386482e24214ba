import { describe, expect, it } from 'vitest'
import { BrokerRig } from '../../test/support/broker-rig.ts'
import { settled } from '../../test/support/fake-clock.ts'
import { tokenRequest, upstreamErrors } from '../../test/support/fake-token-source.ts'
import { passportErrors } from './errors.ts'

const warm = [tokenRequest({ audience: ['https://warm.example'] })]
const gone = passportErrors.error('issuer_unavailable', 'no answer')
const local = upstreamErrors.error('UPSTREAM_DOWN', 'no device')
const verdict = upstreamErrors.error('UPSTREAM_REFUSED', 'not compliant')
const fail = (error: unknown, afterMs?: number) => ({ kind: 'fail' as const, error, ...(afterMs && { afterMs }) })
const gaps = (rig: BrokerRig, from = 0) => {
  const starts = rig.source.calls.slice(from).map(({ monotonic }) => monotonic)
  return starts.slice(1).map((start, index) => start - (starts[index] ?? 0))
}

describe('who waits (BRK-36, BRK-42)', () => {
  it('is served by a later try within its time', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = fail(local)
    const asked = rig.send()
    await rig.clock.advance(900)
    rig.source.behaviour = { kind: 'issue' }
    await rig.clock.advance(1_000)
    expect(asked.served?.source).toBe('issued')
    expect(rig.source.calls).toHaveLength(2)
  })

  it('gives up after three tries', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = fail(local)
    const asked = rig.send()
    await rig.clock.advance(15_000)
    expect(asked.error).toMatchObject({
      code: 'evidence_unavailable',
      status: 503,
      facts: { cause_code: 'UPSTREAM_DOWN' },
    })
    expect(rig.source.calls).toHaveLength(3)
  })

  it('gives up where another full try would not fit', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = fail(local, 6_000)
    const asked = rig.send({}, { timeoutMs: 12_500 })
    await rig.clock.advance(6_000)
    expect(asked.error).toMatchObject({ code: 'evidence_unavailable' })
    const longer = rig.send({}, { timeoutMs: 16_000 })
    await rig.clock.advance(16_000)
    expect(longer.error).toBeDefined()
    expect(rig.source.calls).toHaveLength(3)
  })

  it.each(['UPSTREAM_REFUSED', 'UPSTREAM_MISSET', 'UPSTREAM_UNFIT', 'UPSTREAM_FORBIDDEN'] as const)(
    'is told of %s at once, and so is who comes later, without another try',
    async (code) => {
      const rig = new BrokerRig()
      rig.source.behaviour = fail(upstreamErrors.error(code, 'so it is'))
      const [first, later] = [await rig.ask(), await rig.ask()]
      expect(first.error.message).toBe('so it is')
      expect(later.error.code).toBe(first.error.code)
      expect(later.answeredAt).toBe(first.answeredAt)
      expect(rig.source.calls).toHaveLength(1)
      await rig.clock.advance(359_999)
      rig.source.behaviour = { kind: 'issue' }
      expect((await rig.ask()).served).toBeDefined()
    },
  )

  it('a failure is no answer for who comes later: it waits for the next attempt', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = fail(local)
    const first = rig.send({}, { timeoutMs: 100 })
    await rig.clock.advance(100)
    expect(first.error).toMatchObject({ code: 'evidence_unavailable', facts: { retry_after_ms: 1_000 } })
    rig.source.behaviour = { kind: 'issue' }
    const later = rig.send()
    await rig.clock.advance(1_000)
    expect(later.served?.source).toBe('issued')
  })

  it('is not told of an attempt that was never made: too early is the deadline', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = { kind: 'hang' }
    const left = await rig.ask()
    left.leave()
    await settled(1)
    const asked = await rig.ask({}, { timeoutMs: 500 })
    expect(asked.error).toMatchObject({ code: 'deadline_exceeded', facts: { retry_after_ms: 1_000 } })
    expect(rig.source.calls).toHaveLength(1)
  })
})

describe('the schedule under an outage', () => {
  it('gets denser towards the end of the token, then tries at least every 30 s (BRK-40, BRK-41, I9)', async () => {
    const rig = new BrokerRig({ warm }).keepFresh()
    await rig.clock.advance(2_000)
    rig.source.behaviour = fail(local)
    await rig.clock.advance(897_000)
    const whileValid = gaps(rig, 1)
    expect(Math.max(...whileValid)).toBeLessThanOrEqual(60_000)
    expect(Math.min(...whileValid)).toBeGreaterThanOrEqual(1_000)
    expect(whileValid.length).toBeGreaterThan(25)
    const before = rig.source.calls.length
    await rig.clock.advance(600_000)
    const afterwards = gaps(rig, before)
    expect(Math.max(...afterwards)).toBeLessThanOrEqual(30_000)
    expect(afterwards.length).toBeGreaterThan(20)
    await rig.stop()
  })

  it('recovers within 30 s (I8, F01)', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const rig = new BrokerRig({ warm, seed }).keepFresh()
      rig.source.behaviour = fail(seed % 2 === 0 ? gone : local)
      await rig.clock.advance(1_900_000 + seed * 7_001)
      rig.source.behaviour = { kind: 'issue' }
      await rig.clock.advance(30_000)
      expect(rig.state(warm[0])).toBe('fresh')
      await rig.stop()
    }
  })

  it('a success helps the others that the issuer failed, before their pause is over (BRK-46)', async () => {
    const many = [1, 2, 3].map((n) => tokenRequest({ audience: [`https://${n}.example`] }))
    const rig = new BrokerRig({ warm: many }).keepFresh()
    rig.source.behaviour = fail(
      passportErrors.error('issuer_unavailable', 'busy', { facts: { retry_after_ms: 100_000 } }),
    )
    await rig.clock.advance(10_000)
    rig.source.behaviour = { kind: 'issue' }
    await rig.ask()
    await rig.clock.advance(100)
    expect(many.map((request) => rig.state(request))).toEqual(['fresh', 'fresh', 'fresh'])
    await rig.stop()
  })

  it('a failure in the foreground is made good without anybody asking again', async () => {
    const rig = new BrokerRig().keepFresh()
    await rig.ask()
    await rig.clock.advance(300_000)
    rig.source.behaviour = fail(gone)
    await rig.ask({}, { minValidS: 800, timeoutMs: 100 })
    expect(rig.state()).toBe('degraded')
    rig.source.behaviour = { kind: 'issue' }
    await rig.clock.advance(60_000)
    expect(rig.state()).toBe('fresh')
    await rig.stop()
  })

  it.each([
    ['Retry-After is honoured', 45_000, 45_000],
    ['up to 120 s', 3_600_000, 120_000],
  ])('%s (BRK-43, F03)', async (_, retryAfterMs, gap) => {
    const rig = new BrokerRig({ warm }).keepFresh()
    rig.source.behaviour = fail(
      passportErrors.error('evidence_unavailable', 'busy', { facts: { retry_after_ms: retryAfterMs } }),
    )
    await rig.clock.advance(400_000)
    expect(new Set(gaps(rig))).toEqual(new Set([gap]))
    await rig.stop()
  })
})

describe('the breaker (BRK-44)', () => {
  it('answers at once with the time to the next attempt, and serves what is cached', async () => {
    const rig = new BrokerRig()
    await rig.ask({ audience: ['https://cached.example'] })
    rig.source.behaviour = fail(gone)
    const others = await Promise.all([1, 2, 3, 4, 5].map((n) => rig.ask({ audience: [`https://${n}.example`] })))
    expect(rig.broker.status().issuers).toEqual([{ name: 'bundled', generation: 1, breaker: 'open' }])
    const late = [await rig.ask({ audience: ['https://late.example'] }), await rig.ask({ fresh: true })]
    for (const { error } of late) {
      expect(error).toMatchObject({ code: 'issuer_unavailable', status: 503 })
      expect(error.facts.retry_after_ms).toBeGreaterThanOrEqual(500)
      expect(error.facts.retry_after_ms).toBeLessThanOrEqual(1_000)
    }
    expect((await rig.ask({ audience: ['https://cached.example'] })).served?.source).toBe('cache')
    await rig.clock.advance(499)
    expect(rig.source.calls).toHaveLength(6)
    await rig.clock.advance(15_000)
    expect(others.every(({ error }) => error?.code === 'issuer_unavailable')).toBe(true)
  })

  it('opened by many entries, probes with one at a time, and a success helps all (BRK-46)', async () => {
    const many = Array.from({ length: 10 }, (_, n) => tokenRequest({ audience: [`https://${n}.example`] }))
    const rig = new BrokerRig({ warm: many }).keepFresh()
    rig.source.behaviour = fail(gone, 500)
    await rig.clock.advance(120_000)
    rig.source.onCall = () => expect(rig.source.active.length).toBeLessThanOrEqual(0)
    const before = rig.source.calls.length
    await rig.clock.advance(120_000)
    expect(rig.source.calls.length - before).toBeGreaterThanOrEqual(4)
    expect(rig.source.calls.length - before).toBeLessThanOrEqual(9)
    rig.source.onCall = () => undefined
    rig.source.behaviour = { kind: 'issue' }
    await rig.clock.advance(30_000 + 4_000)
    expect(rig.broker.status()).toMatchObject({ ready: true })
    await rig.stop()
  })
})

describe('a verdict against us (BRK-47)', () => {
  it('ends the service of the older token, and is asked again every 240 to 360 s', async () => {
    const rig = new BrokerRig({ warm }).keepFresh()
    await rig.clock.advance(2_000)
    rig.source.behaviour = fail(verdict)
    await rig.clock.advance(600_000)
    expect(rig.state(warm[0])).toBe('rejected')
    const refused = await rig.ask(warm[0])
    expect(refused.error).toMatchObject({
      code: 'issuer_rejected',
      status: 502,
      retryable: false,
      facts: { upstream_code: 'UPSTREAM_REFUSED' },
    })
    expect(refused.error.facts.retry_after_ms).toBeUndefined()
    await rig.clock.advance(3_600_000)
    for (const gap of gaps(rig, 1)) {
      expect(gap).toBeGreaterThanOrEqual(240_000)
      expect(gap).toBeLessThanOrEqual(360_000)
    }
    rig.source.behaviour = { kind: 'issue' }
    await rig.clock.advance(360_000)
    expect(rig.state(warm[0])).toBe('fresh')
    await rig.stop()
  })

  it('leaves the older token where the operator says so', async () => {
    const rig = new BrokerRig({ warm, limits: { onVerdictDenied: 'keep' } }).keepFresh()
    await rig.clock.advance(2_000)
    rig.source.behaviour = fail(verdict)
    await rig.clock.advance(600_000)
    expect((await rig.ask(warm[0])).served?.source).toBe('cache-degraded')
    await rig.clock.advance(300_000)
    expect((await rig.ask(warm[0])).error.code).toBe('issuer_rejected')
    await rig.stop()
  })

  it('makes the other tokens under the same policies prove themselves', async () => {
    const rig = new BrokerRig().keepFresh()
    await rig.ask({ audience: ['a'] })
    await rig.ask({ audience: ['b'], policyIds: ['other'] })
    await rig.clock.advance(60_000)
    rig.source.behaviour = fail(verdict)
    expect((await rig.ask({ audience: ['c'] })).error.code).toBe('issuer_rejected')
    await rig.clock.advance(2_000)
    expect(rig.state({ audience: ['a'] })).toBe('rejected')
    expect(rig.state({ audience: ['b'], policyIds: ['other'] })).toBe('fresh')
    await rig.stop()
  })

  it('is not repeated by young tokens, so that two verdicts do not chase each other', async () => {
    const rig = new BrokerRig().keepFresh()
    await rig.ask({ audience: ['a'] })
    await rig.clock.advance(59_999)
    rig.source.behaviour = fail(verdict)
    await rig.ask({ nonces: ['nonce-0001'] })
    await rig.clock.advance(2_000)
    expect(rig.state({ audience: ['a'] })).toBe('fresh')
    await rig.ask({ nonces: ['nonce-0001'] })
    await rig.clock.advance(2_000)
    expect(rig.state({ audience: ['a'] })).toBe('rejected')
    await rig.stop()
  })
})

it('attempts for one entry start at least a second apart, whatever callers do', async () => {
  const rig = new BrokerRig()
  rig.source.behaviour = { kind: 'hang' }
  for (let turn = 0; turn < 100; turn++) {
    const asked = rig.send()
    await rig.clock.advance(100)
    asked.leave()
    rig.broker.invalidate({ all: true, hard: turn % 2 === 0 })
  }
  expect(Math.min(...gaps(rig))).toBeGreaterThanOrEqual(1_000)
  expect(rig.source.calls.length).toBeGreaterThan(8)
})
