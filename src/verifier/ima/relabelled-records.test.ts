import { describe, expect, it } from 'vitest'
import { contentDigest, digestField, MeasuringKernel, templateData } from '../../../test/support/measuring-kernel.ts'
import { concatBytes } from '../../base/bytes.ts'
import { digestSet, type ReferenceAlgorithm } from '../../reference-values/digest-set.ts'
import { buildDigestTable } from '../../reference-values/digest-table.ts'
import type { ImaReferences } from '../../reference-values/tpm-references.ts'
import { judgeImaLog } from './judge-ima-log.ts'

const [good, evil] = [contentDigest('good'), contentDigest('evil')]
const setOf = (digest: Uint8Array, algorithm: ReferenceAlgorithm) => digestSet([{ algorithm, digest }])

const references: ImaReferences = {
  files: buildDigestTable(
    [
      ['/bin/good', setOf(good, 'sha256')],
      ['/bin/old', setOf(contentDigest('old', 'sha1'), 'sha1')],
    ],
    [1, 2],
  ),
  patterns: [],
  exclude: [],
  keys: [],
  buffers: [],
}
const basis = { pcr: 10, judgedBy: 'x', references, signedFilesAllowed: true, acceptSha1Padded: false } as const

/** Counts that are not zero, and what is wrong with the log itself. */
function judge(kernel: MeasuringKernel, quoted = kernel.quoted()) {
  const verdict = judgeImaLog(kernel.part(), { basis, quoted, before: null, pending: null })
  const { progress, firstProblem, templateProblem, bufferProblem } = verdict
  const counts = Object.entries(progress?.counts ?? {}).filter(([, count]) => count > 0)
  return { counts: Object.fromEntries(counts), problem: firstProblem ?? templateProblem ?? bufferProblem }
}

/**
 * No digest covers the name of a template: root in the guest writes another one into the log, and the same hashed bytes
 * are then read by other fields. A file that is not listed must not pass by any of them.
 */
describe('a measured file under another template name', () => {
  const sized = (digest: Uint8Array, algorithm = 'sha256') => digestField(digest, algorithm)

  it.each([
    ['a digest in an attribute that stands behind the name', 'modsig|n-ng|d-ng'],
    ['a digest of old form in an attribute', 'modsig|n-ng|d'],
    ['the digest without an appended signature', 'd-modsig|n-ng|d-ng'],
    ['a name in an attribute', 'd-ng|modsig|n-ng'],
    ['a buffer and no digest', 'sig|n-ng|buf'],
    ['no field that says anything', 'sig|modsig|buf'],
    ['a buffer and no name', 'd-ng|modsig|buf'],
  ])('is not allowed by %s', (_what, template) => {
    const attributes = [
      [sized(good), '/bin/good\0'],
      [contentDigest('old', 'sha1'), '/bin/old\0'],
      ['/bin/good\0', '/bin/good\0'],
    ] as const
    for (const [attribute, path] of attributes) {
      const data = templateData(sized(template === 'd-ng|modsig|n-ng' ? good : evil), path, attribute)
      const { counts, problem } = judge(new MeasuringKernel().record(template, data))
      expect(problem !== null || counts['unjudged'] === 1).toBe(true)
    }
  })

  it('is not allowed by the digest of its attributes, as a buffer', () => {
    const attributes = 'text of a script'
    const data = templateData(sized(contentDigest(attributes)), 'kexec-cmdline\0', '', '', '', attributes, '', '', '')
    const template = 'd-ng|n-ng|sig|evmsig|modsig|buf|iuid|igid|imode'
    expect(judge(new MeasuringKernel().record(template, data)).counts).toMatchObject({ unjudged: 1 })
  })

  // Where the kernel cannot tell a path, in a file system that was detached, it logs the bare name.
  it.each(['\x03\x02', '\x03\x77', '\x05\x02', '\x06\x03'])(
    'is not allowed as a buffer where its content is its own signature, %j',
    (start) => {
      for (const name of ['script', 'selinux-state', '.mine', '/tmp/script']) {
        const kernel = new MeasuringKernel().buffer(name, `${start}\nrm -rf /`)
        expect(judge(kernel).counts).toMatchObject({ unjudged: 1 })
      }
    },
  )

  it('is a buffer where it cannot be the file of a signature', () => {
    const kernel = new MeasuringKernel().buffer('selinux-state', 'enforcing=1').buffer('.ima', '\x30\x82')
    expect(judge(kernel).counts).toEqual({ buffers: 2, buffersUnlisted: 2 })
  })
})

describe('the first record', () => {
  it('is covered by the quote, and not made up in a register that is not quoted (IMA-12)', () => {
    const kernel = new MeasuringKernel()
    kernel.entries.length = 0
    const path = concatBytes(new TextEncoder().encode('boot_aggregate'), new Uint8Array(1))
    kernel.record('ima-ng', templateData(sizedAggregate(kernel), path), { pcr: 11 }).file('/bin/good', good)
    expect(judge(kernel).problem).toBe('record 0 is of PCR 11, which is not quoted')
  })
})

const sizedAggregate = (kernel: MeasuringKernel) => digestField(kernel.bootAggregate())

describe('records of another register that is quoted (IMA-19)', () => {
  const quotedOf = (kernel: MeasuringKernel, covered: number, others: readonly number[] = [11]) => {
    const quoted = kernel.quoted(['sha256', 'sha384'], covered)
    for (const [bank, values] of quoted) for (const pcr of others) values.set(pcr, kernel.value(bank, pcr, covered))
    return quoted
  }

  it('are judged also where nothing of IMA comes behind them', () => {
    const kernel = new MeasuringKernel().file('/bin/good', good).file('/bin/evil', evil, { pcr: 11 })
    expect(judge(kernel, quotedOf(kernel, 3)).counts).toMatchObject({ unlisted: 1 })
  })

  it('are judged behind records of a register that is not quoted, and only as far as the quote covers them', () => {
    const kernel = new MeasuringKernel()
      .file('/bin/good', good)
      .file('/bin/any', evil, { pcr: 12 })
      .file('/bin/evil', evil, { pcr: 11 })
      .file('/bin/worse', evil, { pcr: 13 })
      .file('/bin/later', evil, { pcr: 11 })
      .file('/bin/last', evil)
      .file('/bin/last', evil, { pcr: 11 })
    for (const [covered, unlisted, unquoted] of [
      [2, undefined, undefined],
      [3, undefined, undefined],
      [4, 1, 1],
      [5, 2, 1],
      [6, 3, 1],
      [7, 4, 1],
      [8, 5, 1],
    ] as const) {
      const { counts, problem } = judge(kernel, quotedOf(kernel, covered, [11, 13]))
      expect([covered, counts['unlisted'], counts['unquoted'], problem]).toEqual([covered, unlisted, unquoted, null])
    }
  })

  it('that no quoted value has are a mismatch, however many there are', () => {
    const kernel = new MeasuringKernel()
    for (let i = 0; i < 200; i++) kernel.file('/bin/evil', evil, { pcr: i % 24 === 10 ? 9 : i % 24 })
    kernel.file('/bin/late', evil)
    const quoted = quotedOf(kernel, 1, [11])
    quoted.get('sha384')?.set(11, new Uint8Array(48).fill(1))
    const verdict = judgeImaLog(kernel.part(), { basis, quoted, before: null, pending: null })
    expect(verdict.registerProblem).not.toBeNull()
    expect([verdict.covered, verdict.pending?.records]).toEqual([201, 1])
  })

  it('have one form in each bank, that of the register of IMA', () => {
    const kernel = new MeasuringKernel().file('/bin/good', good, { pcr: 11 }).file('/bin/good', good)
    for (const padded of [false, true]) {
      const quoted = kernel.quoted(['sha256'], undefined, { pcrs: [10], padded })
      quoted.get('sha256')?.set(11, kernel.value('sha256', 11, undefined, padded))
      const accepting = { ...basis, acceptSha1Padded: true }
      const verdict = judgeImaLog(kernel.part(), { basis: accepting, quoted, before: null, pending: null })
      expect(verdict).toMatchObject({ covered: 3, isSha1Padded: padded, registerProblem: null })
      expect(verdict.progress?.running).toHaveLength(2)
    }
  })

  it('that are covered are no longer pending: the next log begins behind them', () => {
    const kernel = new MeasuringKernel().file('/bin/good', good).file('/bin/evil', evil, { pcr: 11 })
    const { progress } = judgeImaLog(kernel.part(), { basis, quoted: quotedOf(kernel, 3), before: null, pending: null })
    kernel.file('/bin/late', evil, { pcr: 11 })
    const next = judgeImaLog(kernel.part(3), { basis, quoted: quotedOf(kernel, 4), before: progress, pending: null })
    expect(next).toMatchObject({ covered: 4, registerProblem: null, progress: { counts: { unlisted: 2 } } })
  })
})
