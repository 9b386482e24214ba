import { describe, expect, it } from 'vitest'
import {
  type RecordedMachine,
  type RecordedStep,
  recordedEnrolment,
  recordedEvidence,
  recordedInputs,
} from '../../../test/support/recorded-tpm.ts'
import { haveVectors, vector, vectorJson } from '../../../test/support/vectors.ts'
import { concatBytes } from '../../base/bytes.ts'
import { appraiseTpm, type TpmAppraisal } from './appraise-tpm.ts'
import type { TpmCounters, TpmEnrolment } from './inputs.ts'

/** One machine over three boots, as a verifier with a memory sees it (TT-4). */

const machine: RecordedMachine = haveVectors ? vectorJson('tpm/sequence/sequence.json') : { aks: {}, steps: [] }

interface Memory {
  readonly counters: TpmCounters | null
  readonly checkpoint: Uint8Array | null
}

/** The records of a log with a SHA-1 column and templates that write their length. */
function recordsOf(log: Uint8Array): Uint8Array[] {
  const view = new DataView(log.buffer, log.byteOffset, log.length)
  const records: Uint8Array[] = []
  for (let at = 0; at < log.length; ) {
    const data = at + 24 + 4 + view.getUint32(at + 24, true)
    const end = data + 4 + view.getUint32(data, true)
    records.push(log.subarray(at, end))
    at = end
  }
  return records
}

function stepNamed(id: string): RecordedStep {
  const step = machine.steps.find((one) => one.id === id)
  if (!step) throw new TypeError(`no step ${id}`)
  return step
}

const recordsAt = (id: string) => recordsOf(vector(`tpm/sequence/${stepNamed(id).ima.file}`))

/** Appraises a step with records of its log from `from` on; `edit` is what the guest makes of them. */
function appraise(
  id: string,
  memory: Memory | null,
  from = 0,
  edit: (records: readonly Uint8Array[]) => readonly Uint8Array[] = (records) => records,
): TpmAppraisal {
  const step = stepNamed(id)
  const ak = machine.aks[step.ak]
  if (!ak) throw new TypeError(`no key ${step.ak}`)
  const at = `sequence/${id}`
  const files = { attest: `${at}.attest`, signature: `${at}.sig`, pcrs: `${at}.pcrs.json`, eventLog: step.eventLog }
  const evidence = recordedEvidence({ ak: `sequence/${ak.file}`, ...files })
  const data = concatBytes(...edit(recordsAt(id)).slice(from))
  const enrolment: TpmEnrolment = {
    ...recordedEnrolment(`sequence/${ak.file}`, `sequence/${ak.parent}.tpmt`),
    counters: memory?.counters ?? null,
    imaCheckpoint: memory?.checkpoint ?? null,
  }
  const inputs = recordedInputs(step, enrolment, { eventLog: 'required', ima: 'required' })
  const imaPolicy = { maxViolations: 9 }
  return appraiseTpm(
    { ...evidence, ima: { from, column: 'sha1', data } },
    { ...inputs, requirements: { ...inputs.requirements, imaPolicy } },
  )
}

const failed = ({ findings }: TpmAppraisal) =>
  findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)

function kept(appraisal: TpmAppraisal): Memory {
  if (appraisal.counters === null) throw new Error(`not affirmed: ${failed(appraisal).join(' ')}`)
  return { counters: appraisal.counters, checkpoint: appraisal.imaCheckpoint }
}

const ima = ({ claims }: TpmAppraisal) => claims['ima'] as Record<string, unknown>

describe.skipIf(!haveVectors)('the recorded machine, with what was kept of it', () => {
  const first = () => kept(appraise('s1', null))

  it('s1: 18 of 21 records are covered, three are pending', () => {
    expect(ima(appraise('s1', null))).toMatchObject({ verified: true, entry_count: 18, pending_count: 3 })
  })

  it('s2 quotes SHA-384 for the first time, which has no running value: its whole log is needed (IMA-10)', () => {
    const [part, whole] = [appraise('s2', first(), 18), appraise('s2', first())]
    expect([failed(part), failed(whole)]).toEqual([['tpm.ima.offset'], []])
    expect(ima(whole)).toMatchObject({ entry_count: 39, pending_count: 0, violation_count: 2 })
    expect(whole.newBoot).toBe(false)
  })

  it.each([17, 19, 21, 39])('s2 does not go on at record %i (IMA-10)', (from) => {
    const appraisal = appraise('s2', first(), from)
    expect(failed(appraisal)).toEqual(['tpm.ima.offset'])
    expect(appraisal.imaCheckpoint).toBeNull()
  })

  it('s2 does not go on for a verifier without a checkpoint', () => {
    expect(failed(appraise('s2', { ...first(), checkpoint: null }, 18))).toEqual(['tpm.ima.offset'])
  })

  it('s2 is refused where a record that was pending at s1 is another one now (IMA-09)', () => {
    const exchanged = (records: readonly Uint8Array[]) => [
      ...records.slice(0, 19),
      ...records.slice(19, 21).reverse(),
      ...records.slice(21),
    ]
    const lied = appraise('s1', null, 0, exchanged)
    expect(failed(lied)).toEqual([])
    expect(failed(appraise('s2', kept(lied)))).toEqual(['tpm.ima.pending'])
  })

  it('s3 is another boot: nothing that was kept holds, and the whole log is needed (TPM-27, IMA-11)', () => {
    const before = kept(appraise('s2', first()))
    expect(failed(appraise('s3', before, 7))).toEqual(['tpm.ima.offset'])
    const appraisal = appraise('s3', before)
    expect([failed(appraisal), appraisal.newBoot]).toEqual([[], true])
    expect(ima(appraisal)).toMatchObject({ entry_count: 7, pending_count: 0 })
  })

  it('s4 and s6 go on with nothing new; a resume ends no log, but its checkpoint (IMA-10)', () => {
    const third = kept(appraise('s3', null))
    const [part, whole] = [appraise('s4', third, 7), appraise('s4', third)]
    expect(ima(part)).toMatchObject({ verified: true, entry_count: 7 })
    expect(ima(part)).toEqual(ima(whole))
    for (const from of [6, 8]) expect(failed(appraise('s4', third, from))).toEqual(['tpm.ima.offset'])
    const fifth = kept(appraise('s5', kept(part)))
    expect(ima(appraise('s6', fifth))).toMatchObject({ verified: true, entry_count: 8 })
  })

  it('keys do not share a checkpoint: s2r is by another key (IMA-11)', () => {
    const { checkpoint } = first()
    expect(failed(appraise('s2r', { counters: null, checkpoint }, 18))).toEqual(['tpm.ima.offset'])
  })
})
