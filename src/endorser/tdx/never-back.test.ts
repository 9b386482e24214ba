import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CollateralOptions } from '../../../mocks/tdx/collateral.ts'
import {
  authenticate,
  FakePccs,
  FakeStore,
  rigBase,
  rigNow,
  rigQuery,
  status,
} from '../../../test/support/collateral-rig.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { seededRandom } from '../../../test/support/seeded-random.ts'
import { createCollateralSource } from './collateral-source.ts'
import { createPccsSource } from './pccs-source.ts'

const hour = 3_600_000

/** What may happen to a cache: the maker, the network, the disk, the clock, the process. */
type Step =
  | { readonly do: 'publish'; readonly agoHours: number; readonly number: number; readonly leftHours: number }
  | { readonly do: 'fail'; readonly code: number }
  | { readonly do: 'recover' }
  | { readonly do: 'ask' }
  | { readonly do: 'pass'; readonly hours: number }
  | { readonly do: 'jump'; readonly hours: number }
  | { readonly do: 'restart' }
  | { readonly do: 'disk'; readonly fault: 'full' | 'stored' | null }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ do: 'ask' } as const) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('publish' as const),
      agoHours: fc.integer({ min: 0, max: 40 }),
      number: fc.integer({ min: 15, max: 18 }),
      leftHours: fc.integer({ min: -1, max: 20 }),
    }),
  },
  fc.record({ do: fc.constant('pass' as const), hours: fc.integer({ min: 1, max: 30 }) }),
  fc.record({ do: fc.constant('jump' as const), hours: fc.integer({ min: -40, max: 40 }) }),
  fc.record({ do: fc.constant('fail' as const), code: fc.constantFrom(404, 503) }),
  fc.constant({ do: 'recover' } as const),
  fc.constant({ do: 'restart' } as const),
  fc.record({ do: fc.constant('disk' as const), fault: fc.constantFrom('full' as const, 'stored' as const, null) }),
)

/** One cache over several lives of the process, and the newest that each life may have to remember. */
class Lives {
  readonly clock = new FakeClock(rigNow, 1)
  readonly pccs = new FakePccs(() => this.clock.now())
  readonly store = new FakeStore()
  #source = this.#open()
  answered = 0
  #lost = false
  #seen: { issued: number; number: number } | null = null

  #open() {
    const random = seededRandom(3)
    return createCollateralSource({
      sources: [createPccsSource({ base: rigBase(), transport: this.pccs, clock: this.clock, random })],
      authenticate,
      store: this.store,
      clock: this.clock,
      random,
      lifetime: new AbortController().signal,
    })
  }

  async take(step: Step): Promise<void> {
    if (step.do === 'ask') await this.#ask()
    else if (step.do === 'publish') this.pccs.options = this.#publication(step)
    else if (step.do === 'fail') this.pccs.meddle = () => status(step.code)
    else if (step.do === 'recover') this.pccs.meddle = () => null
    else if (step.do === 'pass') await this.#pass(step.hours)
    else if (step.do === 'jump') this.clock.jump(step.hours * hour)
    else if (step.do === 'disk') this.#break(step.fault)
    else this.#restart()
  }

  #break(fault: FakeStore['fault']): void {
    this.store.fault = fault
    this.#lost ||= fault === 'full'
  }

  #publication({ agoHours, number, leftHours }: Step & { do: 'publish' }): CollateralOptions {
    const now = Math.floor(this.clock.now() / hour) * hour
    const issued = now - agoHours * hour
    const period = { issued, nextUpdate: now + leftHours * hour }
    return { evaluationNumber: number, periods: { tcbInfo: period, qeIdentity: period } }
  }

  async #pass(hours: number): Promise<void> {
    const stop = new AbortController()
    const kept = this.#source.keepCurrent(stop.signal)
    // Minutes would be many steps of the clock; the task looks once, at the end of what passes.
    await this.clock.advance(1)
    this.clock.suspend(hours * hour)
    await this.clock.advance(60_000)
    await this.clock.advance(20_000)
    stop.abort()
    await kept
  }

  /** What was on the disk counts in the next life; what a full disk lost is lost. */
  #restart(): void {
    if (this.#lost) this.#seen = null
    this.#lost = this.store.fault === 'full'
    this.#source = this.#open()
  }

  async #ask(): Promise<void> {
    const asked = this.#source.collateralFor(rigQuery, new AbortController().signal)
    const settled = asked.then(
      ({ tcbInfo }) => JSON.parse(tcbInfo),
      (error: Error & { code?: string }) => error,
    )
    await this.clock.advance(25_000)
    const answer = await settled
    if (answer instanceof Error) {
      expect(answer).toHaveProperty('kind')
      return
    }
    const { issueDate, nextUpdate, tcbEvaluationDataNumber: number } = answer
    const issued = Date.parse(issueDate)
    expect(issued).toBeLessThanOrEqual(this.clock.now())
    expect(Date.parse(nextUpdate)).toBeGreaterThanOrEqual(this.clock.now() - 25_000 - 1_000)
    const seen = this.#seen ?? { issued, number }
    expect(issued).toBeGreaterThanOrEqual(seen.issued)
    expect(number).toBeGreaterThanOrEqual(seen.number)
    this.#seen = { issued, number }
    this.answered++
  }
}

describe('the cache never goes back (TDX-212)', () => {
  it('whatever is published, fails, passes, jumps or restarts', async () => {
    let answered = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 24, size: 'max' }), async (steps) => {
        const lives = new Lives()
        for (const each of steps) await lives.take(each)
        answered += lives.answered
      }),
      { numRuns: 150 },
    )
    // Else nothing was tried.
    expect(answered).toBeGreaterThan(300)
  }, 60_000)
})
