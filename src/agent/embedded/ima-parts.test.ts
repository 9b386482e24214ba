import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { SoftwareTpm } from '../../../test/support/software-tpm.ts'
import type { ImaLogPart } from '../../evidence/tpm/evidence.ts'
import { defaultTpmRequirements, type ImaStageInputs } from '../../verifier/index.ts'
import type { ImaRecords } from './guest.ts'
import { ImaStages, type ImaStart, imaPartBytes, imaStartFor, wholeLog } from './ima-parts.ts'
import { stageImaParts } from './stage-ima-parts.ts'

const tpm = new SoftwareTpm()
const key = Uint8Array.of(0, 11, 1)
const stageOf = (from: number): ImaStart => ({ from, stage: Uint8Array.of(from) })

describe('stages of IMA logs (IMA-24)', () => {
  it('are kept for ten minutes, one for each key', async () => {
    const clock = new FakeClock()
    const stages = new ImaStages(clock)
    stages.keep(key, stageOf(5))
    stages.keep(Uint8Array.of(9), stageOf(1))
    stages.keep(key, stageOf(7))
    await clock.advance(599_999)
    expect([stages.find(key), stages.find(Uint8Array.of(9))]).toEqual([stageOf(7), stageOf(1)])
    await clock.advance(1)
    expect(stages.find(key)).toBeNull()
  })

  it('are forgotten when they are of no use any more, and when there are too many', () => {
    const stages = new ImaStages(new FakeClock())
    stages.keep(key, stageOf(5))
    stages.drop(key)
    expect(stages.find(key)).toBeNull()
    for (let other = 0; other < 17; other++) stages.keep(Uint8Array.of(other), stageOf(other))
    expect([0, 1, 16].map((other) => stages.find(Uint8Array.of(other))?.from)).toEqual([undefined, 1, 16])
  })

  it('come before a checkpoint; a checkpoint that cannot be read is none', () => {
    const stages = new ImaStages(new FakeClock())
    const enrolment = tpm.enrolment()
    expect(imaStartFor(enrolment, stages)).toEqual(wholeLog)
    expect(imaStartFor({ ...enrolment, imaCheckpoint: Uint8Array.of(1, 2, 3) }, stages)).toEqual(wholeLog)
    stages.keep(enrolment.akName, stageOf(5))
    expect(imaStartFor(enrolment, stages)).toEqual(stageOf(5))
  })
})

/** A log of so many records, ten in a part, and what came of it. */
function staging(records: number, stage: (part: ImaLogPart, from: Uint8Array | null) => ImaStart | null) {
  const asked: number[] = []
  const plan = { enrolment: tpm.enrolment(), selection: [] }
  const guestTpm = {
    ...{ requirements: defaultTpmRequirements, references: null, simulator: false },
    attester: {
      readIma: async (from: number, most: number): Promise<ImaRecords> => {
        expect(most).toBe(imaPartBytes)
        asked.push(from)
        if (asked.length > 100) throw new Error('the log is read for ever')
        const start = from <= records ? from : 0
        return { from: start, column: 'sha1', data: new Uint8Array(), continues: start + 10 < records }
      },
    },
  }
  const appraiser = {
    stageImaPart: async (part: ImaLogPart, { imaStage = null }: ImaStageInputs) => stage(part, imaStage),
  }
  const stages = new ImaStages(new FakeClock())
  const run = (first: ImaStart, signal = new AbortController().signal) =>
    stageImaParts({ tpm: guestTpm, plan, appraiser, stages }, first, signal)
  return { asked, run, kept: () => stages.find(plan.enrolment.akName) }
}

describe('the parts of a long log', () => {
  const tenMore = ({ from }: ImaLogPart) => stageOf(from + 10)

  it.each([
    [0, [0], 0],
    [10, [0], 0],
    [11, [0, 10], 10],
    [35, [0, 10, 20, 30], 30],
  ])('of %i records are read once, and the last is left for the quote', async (records, asked, last) => {
    const staged = staging(records, tenMore)
    expect((await staged.run(wholeLog)).from).toBe(last)
    expect(staged.asked).toEqual(asked)
    expect(staged.kept()?.from).toBe(last === 0 ? undefined : last)
  })

  it('build on each other; what another log begins with builds on nothing', async () => {
    const before: (number | undefined)[] = []
    const staged = staging(35, (part, stage) => {
      before.push(stage?.[0])
      return tenMore(part)
    })
    expect(await staged.run(stageOf(99))).toEqual({ from: 0, stage: null })
    expect(await staged.run(stageOf(10))).toEqual(stageOf(30))
    expect(before).toEqual([undefined, 10, 20])
  })

  it.each([
    ['cannot be judged', () => null],
    ['leads nowhere', ({ from }: ImaLogPart) => stageOf(from)],
  ])('end where one of them %s', async (_what, stage) => {
    const staged = staging(35, stage)
    expect(await staged.run(wholeLog)).toEqual({ from: 0, stage: null })
    expect(staged.asked).toEqual([0])
  })

  it('stay for the next caller when one hangs up', async () => {
    const hangUp = new AbortController()
    const staged = staging(35, (part) => {
      if (part.from === 10) hangUp.abort(new Error('hung up'))
      return tenMore(part)
    })
    await expect(staged.run(wholeLog, hangUp.signal)).rejects.toThrow('hung up')
    expect(staged.kept()?.from).toBe(20)
  })
})
