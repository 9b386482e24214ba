import { describe, expect, it } from 'vitest'
import { encodeImaCheckpoint, encodeImaStage, type ImaCheckpoint } from './checkpoint.ts'
import { continueImaLog, type ImaPresent } from './continued-log.ts'
import { type ImaCounts, imaCountNames } from './ima-progress.ts'

const akName = Uint8Array.of(0, 11, 7)
const basis = { pcr: 10, judgedBy: 'x', references: null, signedFilesAllowed: true, acceptSha1Padded: false } as const
const present: ImaPresent = { akName, resetCount: 4, banks: ['sha256'], basis }

const kept: ImaCheckpoint = {
  akName,
  resetCount: 4,
  restartCount: 0,
  pending: { records: 2, sha256: new Uint8Array(32) },
  judgedBy: 'x',
  pcr: 10,
  records: 7,
  running: [{ bank: 'sha256', pcr: 10, form: 'native', value: new Uint8Array(32) }],
  bootAggregate: null,
  counts: Object.fromEntries(imaCountNames.map((name) => [name, 0])) as ImaCounts,
  named: [],
  keys: [],
}

const checkpoint = (change: Partial<ImaCheckpoint> = {}) => encodeImaCheckpoint({ ...kept, ...change })
const stage = (change: Partial<ImaCheckpoint> = {}) => encodeImaStage({ ...kept, records: 9, ...change })
const padded = [{ bank: 'sha256', pcr: 10, form: 'sha1-padded', value: new Uint8Array(32) }] as const

describe('a log that goes on (IMA-10, IMA-11)', () => {
  it('begins where the last one ended, with its pending records', () => {
    const from = continueImaLog(7, { checkpoint: checkpoint(), stage: null }, present)
    expect(from).toMatchObject({ before: { records: 7 }, pending: { first: 7, records: 2 }, problem: null, base: 4 })
  })

  it.each<[string, Partial<ImaCheckpoint>, number]>([
    ['another key', { akName: Uint8Array.of(0, 11, 8) }, 0],
    ['an earlier boot', { resetCount: 3 }, 0],
    ['a later boot', { resetCount: 5 }, 0],
    ['other reference values', { judgedBy: 'y' }, 0],
    ['another register', { pcr: 11 }, 0],
    ['a bank of which nothing is known', { running: [] }, 0],
    ['the value of another register', { running: [{ ...padded[0], form: 'native', pcr: 11 }] }, 0],
    ['padded values, which are no longer accepted', { running: padded }, 0],
    ['fewer records', { records: 6 }, 6],
    ['more records', { records: 8 }, 8],
  ])('is not judged from what was kept of %s', (_what, change, wanted) => {
    for (const given of [
      { checkpoint: checkpoint(change), stage: null },
      { checkpoint: checkpoint({ records: 7 }), stage: stage({ records: 7, ...change }) },
    ]) {
      const from = continueImaLog(7, given, present)
      expect(from).toMatchObject({ before: null, pending: null, wanted })
      expect(from.problem).not.toBeNull()
    }
  })

  it('goes on from padded values where they are accepted', () => {
    const accepting = { ...present, basis: { ...basis, acceptSha1Padded: true } }
    const given = { checkpoint: checkpoint({ running: padded }), stage: null }
    expect(continueImaLog(7, given, accepting).problem).toBeNull()
  })

  it('is not judged from bytes that are no checkpoint of this version', () => {
    const whole = checkpoint() ?? expect.unreachable()
    for (const bytes of [whole.with(5, 2), whole.subarray(1), stage() ?? expect.unreachable()]) {
      expect(continueImaLog(7, { checkpoint: bytes, stage: null }, present)).toMatchObject({ before: null, wanted: 0 })
      expect(continueImaLog(0, { checkpoint: bytes, stage: null }, present).problem).toBeNull()
    }
    expect(continueImaLog(9, { checkpoint: whole, stage: whole }, present)).toMatchObject({ before: null, wanted: 0 })
  })

  it('from record 0 needs nothing, whatever was kept; what was pending in this boot is compared', () => {
    const from = continueImaLog(0, { checkpoint: checkpoint(), stage: stage() }, present)
    expect(from).toMatchObject({ before: null, problem: null, pending: { first: 7, records: 2 }, wanted: 0 })
    const rebooted = { checkpoint: checkpoint({ resetCount: 3 }), stage: stage() }
    expect(continueImaLog(0, rebooted, present)).toMatchObject({ before: null, problem: null, pending: null })
  })

  it('goes on from its parts before it goes on from a checkpoint (IMA-24)', () => {
    const from = continueImaLog(9, { checkpoint: checkpoint({ records: 9 }), stage: stage() }, present)
    expect(from).toMatchObject({ before: { records: 9 }, pending: null, problem: null })
  })
})
