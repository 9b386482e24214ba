import { describe, expect, it } from 'vitest'
import {
  type RecordedMachine,
  type RecordedStep,
  recordedEnrolment,
  recordedEvidence,
  recordedInputs,
} from '../../../test/support/recorded-tpm.ts'
import { haveVectors, vector, vectorJson } from '../../../test/support/vectors.ts'
import { toBase64 } from '../../base/bytes.ts'
import { parseImaLog } from '../../evidence/ima/ima-log.ts'
import { digestSet } from '../../reference-values/digest-set.ts'
import { buildDigestTable } from '../../reference-values/digest-table.ts'
import { parseImaKeys } from '../../reference-values/ima-keys.ts'
import type { TpmReferences } from '../../reference-values/tpm-references.ts'
import { parseImaCheckpoint } from '../ima/checkpoint.ts'
import { appraiseTpm, type TpmAppraisal } from './appraise-tpm.ts'
import type { TpmCounters, TpmInputs } from './inputs.ts'

const { steps } = haveVectors ? (vectorJson('tpm/sequence/sequence.json') as RecordedMachine) : { steps: [] }
const required = { eventLog: 'required', ima: 'required' } as const
const failedOf = ({ findings }: TpmAppraisal) =>
  findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)
const stepNamed = (id: string) => steps.find((step) => step.id === id) ?? expect.unreachable()

interface Kept {
  readonly counters: TpmCounters | null
  readonly imaCheckpoint: Uint8Array | null
}
const nothingKept: Kept = { counters: null, imaCheckpoint: null }

interface Options {
  readonly kept?: Kept
  /** Send the log from this record on. */
  readonly from?: number
  readonly column?: 'sha1' | 'sha256'
  readonly references?: TpmReferences
  readonly policy?: TpmInputs['requirements']['imaPolicy']
  readonly edit?: (data: Uint8Array) => Uint8Array
}

/** The bytes behind the first `records` of a log. */
function behind(data: Uint8Array, records: number, column: 'sha1' | 'sha256'): Uint8Array {
  const last = parseImaLog(data, column)[records - 1]?.data
  return last === undefined ? data : data.subarray(last.byteOffset - data.byteOffset + last.length)
}

function appraise(step: RecordedStep, options: Options = {}): TpmAppraisal {
  const { kept = nothingKept, from = 0, column = 'sha1', edit = (data) => data } = options
  const file = (suffix: string) => `sequence/${step.id}.${suffix}`
  const imaFile = `sequence/${column === 'sha1' ? step.ima.file : step.ima.file.replace('.bin', '.sha256.bin')}`
  const parts = {
    ak: `sequence/${step.ak}.tpmt`,
    attest: file('attest'),
    signature: file('sig'),
    pcrs: file('pcrs.json'),
    eventLog: step.eventLog,
    ima: imaFile,
  }
  const data = edit(behind(vector(`tpm/${imaFile}`), from, column))
  const evidence = { ...recordedEvidence(parts), ima: { from, column, data } }
  const parent = step.ak === 'ak-p384' ? 'sequence/ek-p384.tpmt' : 'sequence/ek-rsa.tpmt'
  const enrolment = { ...recordedEnrolment(parts.ak, parent), ...kept }
  const inputs = recordedInputs(step, enrolment, required)
  const requirements = { ...inputs.requirements, imaPolicy: { maxViolations: 2, ...options.policy } }
  return appraiseTpm(evidence, { ...inputs, requirements, references: options.references ?? null })
}

const keptOf = ({ counters, imaCheckpoint }: TpmAppraisal): Kept => ({ counters, imaCheckpoint })

describe.skipIf(!haveVectors)('a recorded machine over three boots (TT-4)', () => {
  it.each(['sha1', 'sha256'] as const)(
    'sends what is new, in a column of %s, and is affirmed at each step',
    (column) => {
      const kept = new Map<string, Kept>()
      const froms: (readonly [string, number])[] = []
      for (const step of steps) {
        const before = kept.get(step.ak) ?? nothingKept
        const checkpoint = before.imaCheckpoint && parseImaCheckpoint(before.imaCheckpoint)
        // A new boot is known to the sender; another bank is not, and then the whole log is asked for.
        const isSame = checkpoint?.resetCount === step.attest.resetCount
        let appraisal = appraise(step, { kept: before, from: isSame ? checkpoint.records : 0, column })
        if (appraisal.imaLogWanted !== null)
          appraisal = appraise(step, { kept: before, from: appraisal.imaLogWanted, column })
        expect([step.id, failedOf(appraisal)]).toEqual([step.id, []])
        const { matchedPrefixEntries: covered, pending, violations } = step.ima
        expect(appraisal.ima).toMatchObject({ records: covered, pending, counts: { violations } })
        expect(appraisal.claims['ima']).toMatchObject({ verified: true, entry_count: covered })
        // Its digest is of SHA-256, a bank that one quote leaves out (IMA-13).
        const hasBank = step.select.some(([bank]) => bank === 'sha256')
        expect(appraisal.ima?.bootAggregate?.pcrs).toBe(hasBank ? '0-9' : null)
        kept.set(step.ak, keptOf(appraisal))
        froms.push([step.id, isSame ? (checkpoint?.records ?? 0) : 0])
      }
      expect(froms.filter(([, from]) => from > 0)).toEqual([
        ['s2', 18],
        ['s4', 7],
        ['s6', 8],
      ])
    },
  )

  it('whose quote has a bank that was not kept is asked for the whole log', () => {
    const kept = keptOf(appraise(stepNamed('s1')))
    const refused = appraise(stepNamed('s2'), { kept, from: 18 })
    expect([failedOf(refused), refused.imaLogWanted]).toEqual([['tpm.ima.offset'], 0])
  })

  it.each([[17], [19], [38]])('from record %i, which is not the last accepted one, is asked for that', (from) => {
    const kept = keptOf(appraise(stepNamed('s3')))
    const refused = appraise(stepNamed('s4'), { kept, from: Math.min(from, 6) })
    expect([failedOf(refused), refused.imaLogWanted]).toEqual([['tpm.ima.offset'], 7])
  })

  it('out of order, or with a step repeated, is refused, log or no log', () => {
    const kept = keptOf(appraise(stepNamed('s4')))
    expect(failedOf(appraise(stepNamed('s1'), { kept }))).toContain('tpm.counters.rollback')
    expect(failedOf(appraise(stepNamed('s4'), { kept, from: 7 }))).toContain('tpm.counters.rollback')
  })

  it('with a pending record changed is refused: it is covered now, and was another one before (IMA-09)', () => {
    const kept = keptOf(appraise(stepNamed('s1')))
    const edit = (data: Uint8Array) => {
      const changed = Uint8Array.from(data)
      const record = parseImaLog(data, 'sha1')[19]?.data ?? expect.unreachable()
      const at = record.byteOffset - data.byteOffset + 30
      changed[at] = (changed[at] ?? 0) ^ 1
      return changed
    }
    expect(failedOf(appraise(stepNamed('s2'), { kept, edit }))).toEqual(['tpm.ima.replay', 'tpm.ima.column'])
  })

  it('has the signatures that the manifest says, by listed keys (IMA-18)', () => {
    const keys = ['ima-rsa', 'ima-ec'].flatMap((name) => parseImaKeys(vector(`tpm/sequence/${name}.der`), '.ima'))
    const entries = [['/usr/bin/tool0', digestSet([{ algorithm: 'sha256', digest: new Uint8Array(32) }])]] as const
    const ima = { files: buildDigestTable(entries, [1, 2]), patterns: [], exclude: [], keys, buffers: [] }
    const references = { id: toBase64(new Uint8Array(3)), pcrs: [], ima }
    const refused = appraise(stepNamed('s2'), { references })
    expect(failedOf(refused)).toEqual(['tpm.ima.files', 'tpm.ima.signatures'])
    expect(refused.ima?.counts).toMatchObject({
      signatureValid: 5,
      signatureInvalid: 1,
      signatureUnknownKey: 1,
      changed: 1,
    })
    const names = refused.ima?.named
      .filter(({ kind }) => kind.startsWith('signature'))
      .map(({ kind, name }) => [kind, name])
    expect(names).toEqual([
      ['signature-invalid', '/usr/sbin/signed-other-content'],
      ['signature-unknown-key', '/usr/sbin/signed-unknown-keyid'],
    ])
    const unlisted = new Set(refused.ima?.named.filter(({ kind }) => kind === 'unlisted').map(({ name }) => name))
    expect(unlisted.has('/usr/sbin/signed-rsa')).toBe(false)
    expect(unlisted.has('/usr/sbin/unsigned')).toBe(true)
    const strict = appraise(stepNamed('s2'), { references, policy: { signedFiles: 'report' } })
    expect(strict.ima?.named.some(({ kind, name }) => kind === 'unlisted' && name === '/usr/sbin/signed-rsa')).toBe(
      true,
    )
  })
})
