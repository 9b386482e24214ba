import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { contentDigest, digestField, MeasuringKernel, templateData } from '../../../test/support/measuring-kernel.ts'
import { makeSoftwareAk, makeSoftwareEk, SoftwareTpm } from '../../../test/support/software-tpm.ts'
import type { HashName } from '../../evidence/tpm/algorithms.ts'
import type { ImaLogPart, TpmEvidence } from '../../evidence/tpm/evidence.ts'
import { digestSet } from '../../reference-values/digest-set.ts'
import { buildDigestTable } from '../../reference-values/digest-table.ts'
import type { TpmReferences } from '../../reference-values/tpm-references.ts'
import { parseImaCheckpoint } from '../ima/checkpoint.ts'
import { appraiseTpm, type TpmAppraisal } from './appraise-tpm.ts'
import { imaCheckIds } from './ima-checks.ts'
import type { ImaPolicy } from './ima-policy.ts'
import type { PcrBankSelection, TpmInputs } from './inputs.ts'
import { stageImaPart } from './stage-ima.ts'

const allPcrs = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
const [a, b, c] = ['a', 'b', 'c'].map((content) => contentDigest(content)) as [Uint8Array, Uint8Array, Uint8Array]

interface Given {
  readonly part?: ImaLogPart | null
  /** Records that the quote covers. */
  readonly covered?: number
  readonly padded?: boolean
  readonly banks?: readonly HashName[]
  readonly pcrs?: readonly number[]
  readonly requirements?: Partial<TpmInputs['requirements']>
  readonly policy?: Partial<ImaPolicy>
  readonly references?: TpmReferences | null
  readonly checkpoint?: Uint8Array | null
  readonly stage?: Uint8Array | null
}

/** Made once: they take most of the time. */
const keys = { ek: makeSoftwareEk(), ak: makeSoftwareAk() }

/** A machine whose TPM quotes what its kernel extended. */
class Machine {
  readonly tpm = new SoftwareTpm(keys)
  kernel = this.boot()

  boot(): MeasuringKernel {
    this.kernel = new MeasuringKernel((hash, pcr) => this.tpm.value(hash, pcr))
    return this.kernel
  }

  /** What goes into an appraisal; each quote is later than the one before. */
  sent(given: Given): { readonly evidence: TpmEvidence; readonly inputs: TpmInputs } {
    const { kernel, tpm } = this
    const { part = kernel.part(), covered = kernel.entries.length, padded = false } = given
    const selection: PcrBankSelection[] = (given.banks ?? ['sha256']).map((hash) => ({
      hash,
      pcrs: given.pcrs ?? allPcrs,
    }))
    for (const [hash, values] of tpm.banks) {
      for (const pcr of [10, 11]) values.set(pcr, kernel.value(hash, pcr, covered, padded && hash !== 'sha1'))
    }
    const nonce = new Uint8Array(randomBytes(32))
    const base = tpm.inputs(nonce)
    const requirements = { ...base.requirements, ...given.requirements, imaPolicy: given.policy ?? {} }
    const inputs: TpmInputs = {
      ...base,
      expected: { qualifyingData: nonce, selection },
      enrolment: { ...tpm.enrolment(), imaCheckpoint: given.checkpoint ?? null },
      requirements,
      references: given.references ?? null,
      imaStage: given.stage ?? null,
    }
    return { evidence: tpm.evidence(nonce, { selection, ima: part }), inputs }
  }

  appraise(given: Given = {}): TpmAppraisal {
    const { evidence, inputs } = this.sent(given)
    return appraiseTpm(evidence, inputs)
  }
}

const failedOf = ({ findings }: TpmAppraisal) =>
  findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)
const detailOf = ({ findings }: TpmAppraisal, id: string) => findings.find((finding) => finding.id === id)
const claimsOf = ({ claims }: TpmAppraisal) => claims['ima']
const referencesOf = (files: Record<string, Uint8Array>, id = 'one'): TpmReferences => {
  const entries = Object.entries(files).map(
    ([path, digest]) => [path, digestSet([{ algorithm: 'sha256', digest }])] as const,
  )
  const ima = { files: buildDigestTable(entries, [3, 4]), patterns: [], exclude: [], keys: [], buffers: [] }
  return { id, pcrs: [], ima }
}
const edited = (part: ImaLogPart, at: number, mask = 1): ImaLogPart => {
  const data = Uint8Array.from(part.data)
  data[at] = (data[at] ?? 0) ^ mask
  return { ...part, data }
}

function machine(): Machine {
  const one = new Machine()
  one.kernel.file('/bin/a', a).file('/bin/b', b)
  return one
}

/** One thing wrong with a healthy log, and the only checks that fail then (TT-1). */
const faults: readonly (readonly [string, readonly string[], (one: Machine) => Given])[] = [
  ['is missing', ['tpm.ima.present'], () => ({ part: null })],
  ['has its PCR unquoted', ['tpm.ima.present', 'tpm.pcrs.required'], () => ({ pcrs: [0, 1, 2, 3, 4, 5, 6, 7] })],
  ['begins later', ['tpm.ima.offset'], ({ kernel }) => ({ part: kernel.part(1) })],
  [
    'is cut',
    ['tpm.ima.wellFormed'],
    ({ kernel }) => ({ part: { ...kernel.part(), data: kernel.part().data.slice(0, -1) } }),
  ],
  [
    'has another column than it says',
    ['tpm.ima.wellFormed'],
    ({ kernel }) => ({ part: { ...kernel.part(0, 'sha256'), column: 'sha1' } }),
  ],
  ['is of other records', ['tpm.ima.replay'], ({ kernel }) => ({ part: kernel.part(0, 'sha1', 2) })],
  ['has padded values', ['tpm.ima.sha1'], () => ({ padded: true })],
  ['has a wrong column', ['tpm.ima.column'], ({ kernel }) => ({ part: edited(kernel.part(), 4) })],
  [
    'has data of another form',
    ['tpm.ima.template'],
    ({ kernel }) => ({ part: kernel.record('ima-ng', templateData(digestField(a), '/x')).part() }),
  ],
  [
    'has records of a PCR that something else extended',
    ['tpm.ima.registers'],
    (one) => {
      one.kernel.file('/x', a, { pcr: 9 }).file('/y', a)
      return {}
    },
  ],
  [
    'begins with another record',
    ['tpm.ima.firstRecord', 'tpm.ima.bootAggregate'],
    ({ kernel }) => {
      kernel.entries.shift()
      return { part: kernel.part() }
    },
  ],
  [
    'is of another boot',
    ['tpm.ima.bootAggregate'],
    (one) => {
      one.kernel = new MeasuringKernel(() => a).file('/bin/a', a)
      return {}
    },
  ],
  [
    'does not say of which boot',
    ['tpm.ima.bootAggregate'],
    () => ({ pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 10], policy: { bootAggregate: 'required' } }),
  ],
  ['has a buffer that is another', ['tpm.ima.buffers'], ({ kernel }) => ({ part: kernel.buffer('x', 'y', a).part() })],
  ['has violations', ['tpm.ima.violations'], ({ kernel }) => ({ part: kernel.violation('/v').part() })],
  [
    'has an unknown template',
    ['tpm.ima.templates'],
    ({ kernel }) => ({ part: kernel.record('x', templateData('y')).part(), policy: { unknownTemplates: 'refuse' } }),
  ],
  ['has a file that is not listed', ['tpm.ima.files'], () => ({ references: referencesOf({ '/bin/a': a }) })],
  ['has a file that is another', ['tpm.ima.files'], () => ({ references: referencesOf({ '/bin/a': a, '/bin/b': c }) })],
  [
    'has a buffer that is not listed',
    ['tpm.ima.keys'],
    ({ kernel }) => {
      const references = referencesOf({})
      const buffers = [{ name: 'kexec-cmdline', digests: digestSet([{ algorithm: 'sha256', digest: a }]) }]
      const part = kernel.buffer('kexec-cmdline', 'init=/bin/sh').part()
      return { part, references: { ...references, ima: references.ima && { ...references.ima, buffers } } }
    },
  ],
  [
    'went through kexec',
    ['tpm.ima.kexec'],
    ({ kernel }) => ({
      part: kernel.file('boot_aggregate', kernel.bootAggregate()).part(),
      policy: { kexec: 'refuse' },
    }),
  ],
]

describe('a healthy log', () => {
  it('passes every check, and its counts are claims', () => {
    const one = machine()
    const appraisal = one.appraise({ references: referencesOf({ '/bin/a': a, '/bin/b': b }), covered: 2 })
    const outcomes = appraisal.findings.filter(({ id }) => (imaCheckIds as readonly string[]).includes(id))
    expect(outcomes.map(({ id, outcome }) => [id, outcome])).toEqual(imaCheckIds.map((id) => [id, 'passed']))
    expect(claimsOf(appraisal)).toEqual({
      verified: true,
      entry_count: 2,
      pending_count: 1,
      violation_count: 0,
      kexec_count: 0,
      unknown_template_count: 0,
      signature_invalid_count: 0,
      sha1_padded: false,
      not_allowed_count: 0,
      excluded_count: 0,
      boot_aggregate_matched: true,
      boot_aggregate_pcrs: '0-9',
    })
    expect(appraisal).toMatchObject({ imaLogWanted: null, ima: { records: 2, pending: 1, notAllowed: 0, named: [] } })
  })

  it('says nothing of what was not compared', () => {
    const claims = claimsOf(machine().appraise({ pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 10] }))
    expect(Object.keys(claims ?? {}).filter((name) => /allowed|excluded|aggregate/.test(name))).toEqual([])
  })
})

describe('a log that', () => {
  it('is wrong in one of these ways fails every check of what a log says', () => {
    const failing = new Set<string>(faults.flatMap(([, ids]) => ids))
    // Needs a log that was judged before (below), and real signatures (recorded-ima.test.ts).
    expect(imaCheckIds.filter((id) => !failing.has(id))).toEqual(['tpm.ima.pending', 'tpm.ima.signatures'])
  })

  it.each(faults)('%s fails %j and nothing else', (_what, ids, fault) => {
    const one = machine()
    const { evidence, inputs } = one.sent(fault(one))
    const appraisal = appraiseTpm(evidence, inputs)
    expect(failedOf(appraisal).sort()).toEqual([...ids].sort())
    expect(appraisal).toMatchObject({ affirmed: false, imaCheckpoint: null, claims: {} })
  })

  const content = /violations|templates|files|keys|signatures|kexec/
  const structure = faults.filter(([, ids]) => !ids.some((id) => content.test(id)))

  it.each(structure)(
    '%s claims nothing and leaves no checkpoint where it is optional (EVD-07)',
    (_what, _ids, fault) => {
      const one = machine()
      const given = fault(one)
      const appraisal = one.appraise({ ...given, requirements: { ima: 'optional' } })
      if (given.pcrs?.length === 8) return
      expect(appraisal).toMatchObject({ affirmed: true, imaCheckpoint: null })
      expect(claimsOf(appraisal)).toEqual(given.part === null ? undefined : { verified: false })
    },
  )

  it.each(faults.filter(([, ids]) => ids.some((id) => content.test(id))))(
    '%s still says what it counts where it is optional, for a policy to judge',
    (_what, [id = ''], fault) => {
      const one = machine()
      const appraisal = one.appraise({ ...fault(one), requirements: { ima: 'optional' } })
      expect(appraisal.affirmed).toBe(true)
      expect(detailOf(appraisal, id)).toMatchObject({
        outcome: 'waived',
        detail: expect.stringContaining('requirements.ima is optional'),
      })
      expect(claimsOf(appraisal)).toMatchObject({ verified: true })
    },
  )
})

describe('policy', () => {
  it('allows violations up to its bound, n and n + 1', () => {
    const one = machine()
    one.kernel.violation('/v/1').violation('/v/2')
    expect(one.appraise({ policy: { maxViolations: 2 } }).affirmed).toBe(true)
    const refused = one.appraise({ policy: { maxViolations: 1 } })
    expect(detailOf(refused, 'tpm.ima.violations')?.detail).toBe('2 violations, at most 1 allowed: /v/1, /v/2')
    expect(refused.ima?.named).toEqual([
      { kind: 'violation', name: '/v/1', count: 1 },
      { kind: 'violation', name: '/v/2', count: 1 },
    ])
  })

  it('that only reports names its value, and the names', () => {
    const one = machine()
    one.kernel.file('/x\n', c)
    const given = {
      references: referencesOf({ '/bin/a': a, '/bin/b': c }),
      policy: { unlistedFiles: 'report' },
    } as const
    const appraisal = one.appraise(given)
    expect(detailOf(appraisal, 'tpm.ima.files')).toEqual({
      id: 'tpm.ima.files',
      outcome: 'waived',
      detail: 'imaPolicy.unlistedFiles is report; files that are not allowed: 2 (/bin/b, /x\\n)',
    })
    expect(claimsOf(appraisal)).toMatchObject({ verified: true, not_allowed_count: 2 })
  })

  it('takes the strength of SHA-1 only by name (IMA-06)', () => {
    const appraisal = machine().appraise({ padded: true, requirements: { acceptSha1Padded: true } })
    expect(detailOf(appraisal, 'tpm.ima.sha1')?.outcome).toBe('waived')
    expect(claimsOf(appraisal)).toMatchObject({ verified: true, sha1_padded: true })
  })
})

describe('a log that goes on (IMA-10, IMA-11)', () => {
  const references = referencesOf({ '/bin/a': a, '/bin/b': b, '/bin/c': c })

  it('from its checkpoint says what the whole log says', () => {
    const one = machine()
    one.kernel.violation('/v')
    const policy = { maxViolations: 9 }
    const first = one.appraise({ covered: 2, references, policy })
    expect(first.imaCheckpoint).not.toBeNull()
    one.kernel.file('/bin/c', c).violation('/v')
    const next = one.appraise({
      part: one.kernel.part(2, 'sha256'),
      checkpoint: first.imaCheckpoint,
      references,
      policy,
    })
    const whole = one.appraise({ references, policy })
    expect(next.affirmed).toBe(true)
    expect(claimsOf(next)).toEqual(claimsOf(whole))
    expect(next.ima).toEqual(whole.ima)
    const [left, right] = [next, whole].map(({ imaCheckpoint }) =>
      parseImaCheckpoint(imaCheckpoint ?? new Uint8Array()),
    )
    expect(left).toEqual(right)
  })

  it('counts violations since the boot, not since the checkpoint', () => {
    const one = machine()
    one.kernel.violation('/v')
    const { imaCheckpoint: checkpoint } = one.appraise({ policy: { maxViolations: 1 } })
    one.kernel.violation('/w')
    const part = one.kernel.part(4)
    expect(failedOf(one.appraise({ part, checkpoint, policy: { maxViolations: 1 } }))).toEqual(['tpm.ima.violations'])
    expect(claimsOf(one.appraise({ part, checkpoint, policy: { maxViolations: 2 } }))).toMatchObject({
      violation_count: 2,
      entry_count: 5,
    })
  })

  const unusable: readonly (readonly [string, number, (one: Machine, checkpoint: Uint8Array) => Given])[] = [
    ['without a checkpoint', 0, () => ({ checkpoint: null })],
    ['with one that does not parse', 0, (_one, checkpoint) => ({ checkpoint: checkpoint.slice(1) })],
    ['before it', 3, ({ kernel }) => ({ part: kernel.part(2) })],
    ['behind it', 3, ({ kernel }) => ({ part: kernel.part(4) })],
    ['by other reference values', 0, () => ({ references: referencesOf({ '/bin/a': a }, 'two') })],
    ['by other rules for signatures', 0, () => ({ policy: { signedFiles: 'report' } })],
    ['in a bank without a value', 0, () => ({ banks: ['sha256', 'sha384'] })],
    [
      'of another key',
      0,
      (_one, checkpoint) => {
        const changed = Uint8Array.from(checkpoint)
        changed[20] = (changed[20] ?? 0) ^ 1
        return { checkpoint: changed }
      },
    ],
    [
      'in another boot',
      0,
      (one) => {
        one.tpm.counters = { ...one.tpm.counters, resetCount: one.tpm.counters.resetCount + 1 }
        return {}
      },
    ],
  ]

  it.each(unusable)('%s asks for record %i on, and the whole log is judged', (_what, wanted, change) => {
    const one = machine()
    const { imaCheckpoint } = one.appraise({ references })
    one.kernel.file('/bin/c', c).file('/bin/a', a)
    const checkpoint = imaCheckpoint ?? new Uint8Array()
    const given = { part: one.kernel.part(3), checkpoint, references, ...change(one, checkpoint) }
    const refused = one.appraise(given)
    expect(failedOf(refused)).toEqual(['tpm.ima.offset'])
    expect(refused).toMatchObject({ affirmed: false, imaLogWanted: wanted, imaCheckpoint: null })
    const part = one.kernel.part(wanted)
    const again = one.appraise({ ...given, part })
    expect(failedOf(again).filter((id) => id !== 'tpm.ima.files')).toEqual([])
    expect(again.imaLogWanted).toBeNull()
  })

  it('with a pending record changed is refused, and so is the whole log (IMA-09)', () => {
    const one = machine()
    const { imaCheckpoint: checkpoint } = one.appraise({ covered: 2 })
    one.kernel.entries.pop()
    one.kernel.file('/bin/c', c)
    for (const from of [2, 0]) {
      expect(failedOf(one.appraise({ part: one.kernel.part(from), checkpoint }))).toEqual(['tpm.ima.pending'])
    }
  })

  it('does not match where the registers were reset under it', () => {
    const one = machine()
    const { imaCheckpoint: checkpoint } = one.appraise()
    one.boot().file('/bin/a', a).file('/bin/b', b).file('/bin/c', c)
    one.kernel.entries.splice(1, 1)
    expect(failedOf(one.appraise({ part: one.kernel.part(3), checkpoint }))).toEqual(['tpm.ima.replay'])
  })
})

describe('a log in parts (IMA-24)', () => {
  const references = referencesOf({ '/bin/a': a, '/bin/b': b })

  function staged(one: Machine, to: readonly number[], given: Given = {}) {
    const { inputs } = one.sent({ references, ...given })
    let from = given.checkpoint ? 2 : 0
    let stage: Uint8Array | null = null
    for (const end of to) {
      const { selection } = inputs.expected
      const result = stageImaPart(one.kernel.part(from, 'sha1', end), { ...inputs, selection, imaStage: stage })
      if (result === null) return null
      expect(result.from).toBe(end)
      ;({ from, stage } = result)
    }
    return { from, stage }
  }

  it('says with its last part what it says as a whole', () => {
    const one = machine()
    for (let at = 0; at < 20; at++) one.kernel.file(at % 3 === 0 ? '/bin/a' : '/bin/x', a)
    const before = staged(one, [1, 5, 12])
    if (before === null) return expect.unreachable()
    const policy = { unlistedFiles: 'report' } as const
    const last = one.appraise({ part: one.kernel.part(12), stage: before.stage, references, policy, covered: 20 })
    expect(last.affirmed).toBe(true)
    expect(claimsOf(last)).toEqual(claimsOf(one.appraise({ references, policy, covered: 20 })))
    expect(claimsOf(last)).toMatchObject({ entry_count: 20, pending_count: 3 })
  })

  it('means nothing without its last part, or where the quote does not cover all parts before it', () => {
    const one = machine()
    one.kernel.file('/bin/a', a)
    const before = staged(one, [3])
    if (before === null) return expect.unreachable()
    const { stage } = before
    expect(failedOf(one.appraise({ part: one.kernel.part(3), references }))).toEqual(['tpm.ima.offset'])
    expect(one.appraise({ part: one.kernel.part(2), stage, references }).imaLogWanted).toBe(3)
    expect(failedOf(one.appraise({ part: one.kernel.part(3), stage, references, covered: 2 }))).toEqual([
      'tpm.ima.replay',
    ])
    expect(failedOf(one.appraise({ part: one.kernel.part(3), stage, references: null }))).toEqual(['tpm.ima.offset'])
  })

  it('may begin at a checkpoint, of the same boot only', () => {
    const one = machine()
    const { imaCheckpoint: checkpoint } = one.appraise({ covered: 2, references })
    one.kernel.file('/bin/a', a)
    const before = staged(one, [3], { checkpoint })
    if (before === null) return expect.unreachable()
    const given = { part: one.kernel.part(3), stage: before.stage, checkpoint, references }
    expect(claimsOf(one.appraise(given))).toMatchObject({ entry_count: 4 })
    one.tpm.counters = { ...one.tpm.counters, resetCount: one.tpm.counters.resetCount + 1 }
    expect(failedOf(one.appraise(given))).toEqual(['tpm.ima.offset'])
  })

  it.each([
    ['is cut', (one: Machine) => ({ ...one.kernel.part(), data: one.kernel.part().data.slice(0, -1) })],
    ['has a wrong column', (one: Machine) => edited(one.kernel.part(), 4)],
    [
      'begins with another record',
      (one: Machine) => one.kernel.part(0, 'sha1', 0) && { ...one.kernel.part(1), from: 0 },
    ],
    ['goes on from nothing', (one: Machine) => one.kernel.part(1)],
    ['has a buffer that is another', (one: Machine) => one.kernel.buffer('x', 'y', a).part()],
    ['has records of another PCR', (one: Machine) => one.kernel.file('/x', a, { pcr: 11 }).part()],
  ])('that %s has no stage', (_what, change) => {
    const one = machine()
    const { inputs } = one.sent({})
    const { selection } = inputs.expected
    expect(stageImaPart(change(one), { ...inputs, selection })).toBeNull()
    expect(stageImaPart(machine().kernel.part(), { ...inputs, selection })).not.toBeNull()
  })
})
