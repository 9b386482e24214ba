import { describe, expect, it } from 'vitest'
import { BrokerRig } from '../../test/support/broker-rig.ts'
import { tokenRequest, upstreamErrors } from '../../test/support/fake-token-source.ts'
import type { BrokerEvent } from './broker-events.ts'
import { passportErrors } from './errors.ts'

const warm = [tokenRequest({ audience: ['https://warm.example'] })]
const fail = (code: keyof typeof upstreamErrors.declared) =>
  ({ kind: 'fail', error: upstreamErrors.error(code, 'so it is') }) as const
const names = (events: readonly BrokerEvent[]) => events.map(({ event }) => event)

/** Tokens that are served, as far as an observer knows: what was stored and has not ended. */
function servedBy(events: readonly BrokerEvent[]): string[] {
  const served = new Set<string>()
  for (const told of events) {
    if (told.event === 'stored') served.add(told.token.jti)
    if (told.event === 'ended') served.delete(told.token.jti)
  }
  return [...served]
}

describe('what the broker tells (BRK-130)', () => {
  it('tells of a token that comes, with its facts and without its text', async () => {
    const rig = new BrokerRig()
    await rig.ask()
    const token = {
      issuer: 'bundled',
      audience: ['https://rp.example'],
      kid: 'k1',
      jti: 'jti-1',
      issuedAt: rig.clock.now() / 1000,
      expiresAt: rig.clock.now() / 1000 + 900,
      generation: 1,
    }
    expect(rig.events).toEqual([
      { event: 'attempt_started', issuer: 'bundled', audience: token.audience, background: false, unshared: false },
      { event: 'state_changed', request: tokenRequest(), from: 'empty', to: 'fetching' },
      { event: 'stored', request: tokenRequest(), token },
      { event: 'state_changed', request: tokenRequest(), from: 'fetching', to: 'fresh' },
      expect.objectContaining({ event: 'attempt_ended', result: 'landed', token, failure: null, durationMs: 0 }),
    ])
    expect(JSON.stringify(rig.events)).not.toContain('e30.')
  })

  it('says nothing when a token is served from the cache', async () => {
    const rig = new BrokerRig()
    await rig.ask()
    const before = rig.events.length
    for (let n = 0; n < 10; n++) await rig.ask()
    expect(rig.events).toHaveLength(before)
  })

  it('tells of a token that replaces another: the old one ends, then the new one is there', async () => {
    const rig = new BrokerRig({ warm }).keepFresh()
    await rig.clock.advance(2_000)
    await rig.clock.advance(800_000)
    expect(names(rig.events).filter((name) => name === 'stored' || name === 'ended')).toEqual([
      'stored',
      'ended',
      'stored',
    ])
    expect(rig.eventsOf('ended')[0]).toMatchObject({ why: 'replaced', token: { jti: 'jti-1', generation: 1 } })
    expect(servedBy(rig.events)).toEqual(['jti-2'])
    await rig.stop()
  })

  it.each([
    ['expired', async (rig: BrokerRig) => rig.clock.advance(900_000)],
    ['invalidated', async (rig: BrokerRig) => rig.broker.invalidate({ all: true, hard: true })],
    ['snapshot', async (rig: BrokerRig) => rig.clock.restore(1_000)],
    ['reload', async (rig: BrokerRig) => rig.broker.replaceSources([])],
  ] as const)('tells why a token ends: %s', async (why, end) => {
    const rig = new BrokerRig()
    await rig.ask()
    await end(rig)
    rig.broker.describe(tokenRequest())
    expect(rig.eventsOf('ended').map((told) => told.why)).toEqual([why])
    expect(servedBy(rig.events)).toEqual([])
  })

  it('tells of what makes room (BRK-04)', async () => {
    const rig = new BrokerRig()
    for (let n = 0; n < 17; n++) await rig.ask({ audience: [`https://${n}.example`] })
    expect(rig.eventsOf('ended')).toMatchObject([{ why: 'evicted', token: { jti: 'jti-1' } }])
    expect(servedBy(rig.events)).toHaveLength(16)
  })

  it('tells of a verdict, and of the token that it ends (BRK-47)', async () => {
    const rig = new BrokerRig()
    await rig.ask()
    rig.source.behaviour = fail('UPSTREAM_REFUSED')
    await rig.clock.advance(10_000)
    await rig.ask({}, { minValidS: 895 })
    expect(rig.eventsOf('ended')).toMatchObject([{ why: 'verdict' }])
    expect(rig.eventsOf('attempt_ended').at(-1)).toMatchObject({
      result: 'failed',
      token: null,
      failure: { class: 'verdict', code: 'issuer_rejected', upstreamCode: 'UPSTREAM_REFUSED', check: null },
    })
  })

  it('names the rule that a bad token broke', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = { kind: 'issue', audience: ['https://evil.example'] }
    await rig.ask({ fresh: true }, { timeoutMs: 100 })
    expect(rig.eventsOf('attempt_ended')[0]).toMatchObject({
      unshared: true,
      failure: { class: 'bad-token', code: 'issuer_bad_token', check: 'BRK-105' },
    })
    expect(rig.eventsOf('stored')).toEqual([])
  })

  it('tells of callers who join and of results that come too late (BRK-30, BRK-33)', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = { kind: 'issue', afterMs: 1_000, stubborn: true }
    const asked = [await rig.ask(), await rig.ask(), await rig.ask()]
    expect(rig.eventsOf('joined')).toHaveLength(2)
    for (const { leave } of asked) leave()
    await rig.clock.advance(1_000)
    expect(rig.eventsOf('late_result_dropped')).toEqual([
      { event: 'late_result_dropped', issuer: 'bundled', audience: ['https://rp.example'] },
    ])
    expect(rig.eventsOf('attempt_ended')).toMatchObject([{ result: 'superseded', token: null }])
  })

  it('counts a result as late too where it comes while its token is verified', async () => {
    const rig = new BrokerRig()
    rig.source.behaviour = { kind: 'issue', acceptAfterMs: 1_000 }
    const asked = await rig.ask()
    rig.broker.invalidate({ all: true, hard: true })
    expect(rig.eventsOf('invalidated')).toEqual([
      { event: 'invalidated', issuer: null, audience: null, kid: null, hard: true, entries: 1 },
    ])
    await rig.clock.advance(2_100)
    expect(rig.eventsOf('late_result_dropped')).toHaveLength(1)
    expect(asked.served?.jti).toBe('jti-2')
  })

  it('tells when the breaker opens and closes, once each (BRK-44)', async () => {
    const rig = new BrokerRig({ warm }).keepFresh()
    rig.source.behaviour = { kind: 'fail', error: passportErrors.error('issuer_unavailable', 'gone') }
    await rig.clock.advance(300_000)
    rig.source.behaviour = { kind: 'issue' }
    await rig.clock.advance(60_000)
    expect(rig.eventsOf('breaker').map(({ state }) => state)).toEqual(['open', 'closed'])
    await rig.stop()
  })

  it('tells of the clocks (BRK-61, BRK-64)', async () => {
    const rig = new BrokerRig({ warm }).keepFresh()
    await rig.clock.advance(2_000)
    rig.clock.jump(-3_600_000)
    await rig.clock.advance(10_000)
    rig.clock.suspend(3_600_000)
    await rig.clock.advance(10_000)
    rig.clock.restore(100_000)
    await rig.clock.advance(10_000)
    expect(rig.eventsOf('clock').map(({ kind, ms }) => [kind, ms])).toEqual([
      ['wall-step', -3_600_000],
      ['suspend', 3_600_000],
      ['snapshot', 0],
    ])
    expect(rig.eventsOf('clock_judged').map(({ safe }) => safe)).toEqual([false, true])
    await rig.stop()
  })

  it('tells which issuers changed, and that no attempt starts any more', async () => {
    const rig = new BrokerRig()
    rig.broker.replaceSources([])
    await rig.broker.drain()
    expect(rig.events).toEqual([{ event: 'sources_replaced', changed: ['bundled'] }, { event: 'draining' }])
  })
})
