import { describe, expect, it } from 'vitest'
import { contentDigest, MeasuringKernel } from '../../../test/support/measuring-kernel.ts'
import { stageImaLog } from './stage-ima-log.ts'

const basis = { pcr: 10, judgedBy: 'x', references: null, signedFilesAllowed: true, acceptSha1Padded: false } as const
const stage = (kernel: MeasuringKernel, given: Partial<Parameters<typeof stageImaLog>[1]> = {}) =>
  stageImaLog(kernel.part(), { basis, before: null, pending: null, banks: ['sha256'], ...given })

describe('a part of a log before its quote (IMA-24)', () => {
  const kernel = new MeasuringKernel().file('/a', contentDigest('a'))

  it('leads to the value of the register after it', () => {
    const running = [{ bank: 'sha256', pcr: 10, form: 'native', value: kernel.value('sha256') }]
    expect(stage(kernel)).toMatchObject({ records: 2, running })
  })

  it('is not gone on from where what was pending is other, or not all of it is there (IMA-09)', () => {
    const sha256 = new Uint8Array(32)
    expect(stage(kernel, { pending: { first: 1, records: 1, sha256 } })).toBeNull()
    expect(stage(kernel, { pending: { first: 1, records: 2, sha256 } })).toBeNull()
  })

  it('is not gone on from where it has records of other registers, or a wrong column', () => {
    expect(stage(new MeasuringKernel().file('/a', contentDigest('a'), { pcr: 11 }))).toBeNull()
    const part = kernel.part()
    const wrong = { ...part, data: part.data.with(5, (part.data[5] ?? 0) ^ 1) }
    expect(stageImaLog(wrong, { basis, before: null, pending: null, banks: ['sha256'] })).toBeNull()
  })
})
