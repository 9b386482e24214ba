import { describe, expect, it } from 'vitest'
import { FakeClock, settled } from '../../test/support/fake-clock.ts'
import { FakeTokenSource, tokenRequest } from '../../test/support/fake-token-source.ts'
import { seededRandom } from '../../test/support/seeded-random.ts'
import type { Standing } from '../base/fair-queue.ts'
import type { ServedToken } from '../results/served-token.ts'
import type { TokenDemand, TokenRequest } from '../results/token-request.ts'
import { createBroker } from './broker.ts'
import { passportErrors } from './errors.ts'

/** A source with a queue before its device, that tells how long it is. */
class QueuedSource extends FakeTokenSource {
  readonly standings: (Standing | undefined)[] = []
  readonly asked: Standing[] = []
  waitMs = 0

  override obtainToken(request: TokenRequest, signal: AbortSignal, standing?: Standing): Promise<string> {
    this.standings.push(standing)
    return super.obtainToken(request, signal)
  }

  expectedWaitMs(standing: Standing): number {
    this.asked.push(standing)
    return this.waitMs
  }
}

function rig() {
  const clock = new FakeClock(Date.UTC(2026, 0, 1), 1)
  const source = new QueuedSource(clock)
  const broker = createBroker({ sources: [source], clock, random: seededRandom(1) })
  const ask = (request: Partial<TokenRequest> = {}, demand: Partial<TokenDemand> = {}) => {
    const wished = { minValidS: null, timeoutMs: 15_000, caller: 'uid:7', ...demand }
    const said: { served?: ServedToken; error?: { code: string; facts: Record<string, unknown> } } = {}
    broker.obtainToken(tokenRequest(request), wished, new AbortController().signal).then(
      (served) => {
        said.served = served
      },
      (error) => {
        said.error = error
      },
    )
    return said
  }
  return { clock, source, broker, ask }
}

const kinds: readonly (readonly [string, Partial<TokenRequest>])[] = [
  ['a token for all', {}],
  ['a fresh one', { fresh: true }],
  ['one with a nonce', { nonces: ['nonce-0001'] }],
]

describe('admission to the quote device (BRK-81)', () => {
  it.each(kinds)(
    '%s is refused at once where the queue outlasts the deadline, to the millisecond',
    async (_what, request) => {
      const { clock, source, broker, ask } = rig()
      source.waitMs = 4_001
      const refused = ask(request, { timeoutMs: 4_000 })
      await settled(1)
      expect(refused.error).toMatchObject({ code: 'quote_queue_full', status: 503, facts: { retry_after_ms: 4_001 } })
      expect(source.calls).toHaveLength(0)
      expect(broker.status()).toMatchObject({ flights: 0, waiters: 0, counts: { started: 0, failed: 0 } })
      // It said nothing about the issuer, and nobody backs off: who has more time is served.
      const patient = ask(request, { timeoutMs: 4_002 })
      await clock.advance(1)
      expect(patient.served?.source).toBe('issued')
      expect(source.asked[0]).toEqual({ caller: 'uid:7', background: false })
    },
  )

  it('says when to come again: what waits, rounded up to whole milliseconds', async () => {
    const { source, ask } = rig()
    source.waitMs = 20_000.25
    const refused = ask({ fresh: true })
    await settled(1)
    expect(refused.error?.facts['retry_after_ms']).toBe(20_001)
  })

  it('does not keep anybody from a token that is there, or from an attempt that is under way', async () => {
    const { clock, source, ask } = rig()
    ask()
    await clock.advance(1)
    source.waitMs = 60_000
    const cached = ask()
    await settled(1)
    expect(cached.served?.source).toBe('cache')
    source.waitMs = 0
    source.behaviour = { kind: 'issue', afterMs: 1_000 }
    const audience = ['https://other.example']
    ask({ audience })
    await settled(1)
    source.waitMs = 60_000
    const joins = ask({ audience })
    await clock.advance(1_000)
    expect(joins.served).toBeDefined()
  })

  it.each(kinds.slice(1))('%s that the queue turned away is not tried again in here', async (_what, request) => {
    const { clock, source, ask } = rig()
    const error = passportErrors.error('quote_queue_full', 'full', { facts: { retry_after_ms: 2_500 } })
    source.behaviour = { kind: 'fail', error }
    const refused = ask(request)
    await clock.advance(10_000)
    expect(refused.error).toMatchObject({ code: 'quote_queue_full', facts: { retry_after_ms: 2_500 } })
    expect(source.calls).toHaveLength(1)
  })

  it('tells the source for whom an attempt is, and whether anybody waits for it (API-84)', async () => {
    const { clock, source, broker, ask } = rig()
    ask({}, { caller: 'uid:1' })
    ask({ fresh: true }, { caller: 'unit:x' })
    await clock.advance(1)
    const stop = new AbortController()
    const keeping = broker.keepFresh(stop.signal)
    await clock.advance(899_000)
    stop.abort(new Error('stop'))
    await keeping
    expect(source.standings.slice(0, 2)).toEqual([
      { caller: 'uid:1', background: false },
      { caller: 'unit:x', background: false },
    ])
    expect(source.standings[2]).toEqual({ caller: 'uid:1', background: true })
  })
})
