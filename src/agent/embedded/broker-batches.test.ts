import { describe, expect, it } from 'vitest'
import { testTurns } from '../../../test/support/embedded-machine.ts'
import { FakeClock, settled } from '../../../test/support/fake-clock.ts'
import { FakeTokenSource, tokenRequest } from '../../../test/support/fake-token-source.ts'
import { seededRandom } from '../../../test/support/seeded-random.ts'
import type { Standing } from '../../base/fair-queue.ts'
import { createBroker } from '../../passport/broker.ts'
import type { TokenRequest } from '../../results/token-request.ts'
import { BatchLedger } from './batch-ledger.ts'
import { RequestBatches } from './request-batches.ts'

/** A source whose tokens cost one quote a batch, as those of the bundled verifier, on a device that takes a second. */
class BatchingSource extends FakeTokenSource {
  readonly ledger: BatchLedger
  readonly #batches: RequestBatches<TokenRequest, null>

  constructor(clock: FakeClock) {
    super(clock)
    this.ledger = new BatchLedger(clock)
    const answer = async () => {
      await clock.sleep(1_000)
      return null
    }
    this.#batches = new RequestBatches({ answer, turns: testTurns(clock), ledger: this.ledger, name: 'local' })
  }

  override async obtainToken(request: TokenRequest, signal: AbortSignal, standing?: Standing): Promise<string> {
    await this.#batches.join(request, standing ?? { caller: '', background: false }, signal)
    return super.obtainToken(request, signal)
  }

  expectedWaitMs(): number {
    return this.#batches.expectedWaitMs()
  }
}

function rig() {
  const clock = new FakeClock(Date.UTC(2026, 0, 1), 1)
  const source = new BatchingSource(clock)
  const broker = createBroker({ sources: [source], clock, random: seededRandom(1) })
  const counts = { served: 0, refused: [] as string[] }
  const ask = (at: number, caller: string, timeoutMs = 15_000) => {
    const request = tokenRequest({ nonces: [`nonce-${String(at).padStart(6, '0')}`] })
    const demand = { minValidS: null, timeoutMs, caller }
    const said: { code?: string; at?: number } = {}
    broker.obtainToken(request, demand, new AbortController().signal).then(
      () => {
        counts.served++
        said.code = 'served'
        said.at = clock.monotonic()
      },
      (error: { code: string }) => {
        counts.refused.push(error.code)
        said.code = error.code
        said.at = clock.monotonic()
      },
    )
    return said
  }
  return { clock, source, broker, counts, ask }
}

describe('broker and batches together', () => {
  it('answer 1 000 nonce requests at once within 3 quotes of a device that takes a second (BRK-168)', async () => {
    const { clock, source, broker, counts, ask } = rig()
    for (let at = 0; at < 1000; at++) ask(at, `uid:${at % 10}`)
    await clock.advance(3_000)
    expect(counts).toEqual({ served: 1000, refused: [] })
    expect(source.ledger.status()).toMatchObject({ requests: 1000, underWay: 0 })
    expect(source.ledger.status().ended).toBeLessThanOrEqual(3)
    expect(broker.status()).toMatchObject({ flights: 0, waiters: 0 })
    expect(clock.sleeping).toBe(0)
  })

  it('let a flood of one caller delay another by no more than the batch under way', async () => {
    const { clock, counts, ask } = rig()
    ask(0, 'uid:flood')
    await settled(1)
    for (let at = 1; at <= 3000; at++) ask(at, 'uid:flood')
    await clock.advance(500)
    const other = ask(5000, 'uid:other')
    const since = clock.monotonic()
    await clock.advance(1_500)
    expect(other.code).toBe('served')
    expect((other.at ?? Infinity) - since).toBeLessThanOrEqual(1_500)
    expect(new Set(counts.refused)).toEqual(new Set(['quote_queue_full']))
    expect(counts.served).toBe(1 + 1024)
  })

  it('refuse at once who has less time than the batch under way usually takes (BRK-81)', async () => {
    const { clock, ask } = rig()
    ask(0, 'uid:1')
    await clock.advance(1_000)
    ask(1, 'uid:1')
    await settled(1)
    const [hurried, patient] = [ask(2, 'uid:2', 999), ask(3, 'uid:2', 2_500)]
    await settled(1)
    expect([hurried.code, patient.code]).toEqual(['quote_queue_full', undefined])
    await clock.advance(2_000)
    expect(patient.code).toBe('served')
  })
})
