import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BrokerModel, runs } from '../../test/support/broker-model.ts'

/** `ATTESTD_SEED` repeats a run that failed elsewhere, or explores others. */
const seed = Number(process.env['ATTESTD_SEED'] ?? 1)

/** Without shrinking (ATTESTD_SHRINK=no) a failing run is told at once. */
const options = {
  numRuns: 1450,
  interruptAfterTimeLimit: 150_000,
  markInterruptAsFailure: true,
  endOnFailure: process.env['ATTESTD_SHRINK'] === 'no',
}

type Run = typeof runs extends fc.Arbitrary<infer T> ? T : never

async function play({ seed, before, after }: Run): Promise<BrokerModel> {
  const model = new BrokerModel(seed)
  await model.run(before)
  await model.recover()
  await model.run([{ do: 'drain' }, ...after])
  await model.end()
  return model
}

describe('the broker among callers, issuers and clocks that do as they like (broker.md section 15)', () => {
  it('keeps its invariants for 100 000 steps', async () => {
    let steps = 0
    const property = fc.asyncProperty(runs, async (run) => {
      const model = await play(run)
      steps += model.steps
      expect(model.violations).toEqual([])
    })
    await fc.assert(property, { seed, ...options })
    expect(steps).toBeGreaterThanOrEqual(100_000)
  }, 180_000)

  it('does the same for the same seed (I20)', async () => {
    const property = fc.asyncProperty(runs, async (run) => {
      const [one, other] = [await play(run), await play(run)]
      expect(one.trace.length).toBeGreaterThan(1)
      expect(one.trace).toEqual(other.trace)
    })
    await fc.assert(property, { seed, numRuns: 10 })
  })
})
