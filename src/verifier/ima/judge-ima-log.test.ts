import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { contentDigest, digestField, MeasuringKernel, templateData } from '../../../test/support/measuring-kernel.ts'
import { concatBytes } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import type { HashName } from '../../evidence/tpm/algorithms.ts'
import type { ImaLogPart } from '../../evidence/tpm/evidence.ts'
import { digestSet, type ReferenceAlgorithm } from '../../reference-values/digest-set.ts'
import { buildDigestTable } from '../../reference-values/digest-table.ts'
import type { ImaReferences } from '../../reference-values/tpm-references.ts'
import { matchBootAggregate } from './boot-aggregate.ts'
import { attemptImaLog, type ImaLogInputs, type ImaLogVerdict, judgeImaLog } from './judge-ima-log.ts'

const basis = { pcr: 10, judgedBy: 'x', references: null, signedFilesAllowed: true, acceptSha1Padded: false } as const
const [a, b, c] = ['a', 'b', 'c'].map((content) => contentDigest(content)) as [Uint8Array, Uint8Array, Uint8Array]
const setOf = (digest: Uint8Array, algorithm: ReferenceAlgorithm = 'sha256') => digestSet([{ algorithm, digest }])

const references = (
  given: Partial<Omit<ImaReferences, 'files'>> & { files?: Record<string, Uint8Array> },
): ImaReferences => {
  const files = Object.entries(given.files ?? {}).map(([path, digest]) => [path, setOf(digest)] as const)
  return { patterns: [], exclude: [], keys: [], buffers: [], ...given, files: buildDigestTable(files, [1, 2]) }
}

function judge(
  kernel: MeasuringKernel,
  inputs: Partial<ImaLogInputs> = {},
  part: ImaLogPart = kernel.part(),
): ImaLogVerdict {
  return judgeImaLog(part, { basis, quoted: kernel.quoted(), before: null, pending: null, ...inputs })
}

const judgedBy = (given: ImaReferences) => ({ basis: { ...basis, references: given } })
const nonZero = ({ progress }: ImaLogVerdict) =>
  Object.fromEntries(Object.entries(progress?.counts ?? {}).filter(([, count]) => count > 0))
const namesIn = ({ progress }: ImaLogVerdict) => progress?.named.map(({ kind, name, count }) => [kind, name, count])

/** Records of every kind, some of them in another register. */
function mixed(): MeasuringKernel {
  return new MeasuringKernel()
    .file('/bin/a', a)
    .violation('/var/log/x')
    .signed('/bin/b', b, '')
    .legacy('/old')
    .file('/other', a, { pcr: 11 })
    .buffer('kexec-cmdline', 'quiet')
    .record('ima-ngv2', templateData(digestField(a, 'sha256', 'verity:'), '/v\0'))
    .record('d-ng|n-ng|imode', templateData(digestField(a), '/custom\0', '\xa4\x81'))
    .record('unheard-of', templateData('x'))
    .file('/bin/a', a)
}

describe('the covered prefix', () => {
  it.each<[readonly HashName[], HashName]>([
    [['sha256'], 'sha1'],
    [['sha256'], 'sha256'],
    [['sha1', 'sha256', 'sha384', 'sha512'], 'sha384'],
    [['sha384'], 'sha512'],
  ])('is found in %j with a column of %s, wherever the quote was taken (IMA-06, IMA-08)', (banks, column) => {
    const kernel = mixed()
    for (let covered = 1; covered <= kernel.entries.length; covered++) {
      if (kernel.entries[covered - 1]?.pcr !== 10) continue
      const verdict = judge(kernel, { quoted: kernel.quoted(banks, covered) }, kernel.part(0, column))
      const { length } = kernel.entries
      expect(verdict).toMatchObject({ covered, records: length, wrongColumn: null, isSha1Padded: false })
      expect(verdict.pending?.records ?? 0).toBe(length - covered)
      expect(verdict.progress?.running.find(({ pcr }) => pcr === 10)?.value).toEqual(
        kernel.value(banks[0] ?? 'sha1', 10, covered),
      )
    }
  })

  it('is nothing where one of the banks differs (IMA-08)', () => {
    const kernel = mixed()
    const quoted = kernel.quoted(['sha256', 'sha384'])
    quoted.get('sha384')?.set(10, kernel.value('sha384', 10, 3))
    expect(judge(kernel, { quoted })).toMatchObject({ covered: null, progress: null, pending: null })
  })

  it('has at least one record: the zero value of a register proves nothing', () => {
    const kernel = mixed()
    expect(judge(kernel, { quoted: new Map([['sha256', new Map([[10, new Uint8Array(32)]])]]) }).covered).toBeNull()
  })

  it('may rest on padded values only where that is accepted (IMA-06)', () => {
    const kernel = mixed()
    const quoted = kernel.quoted(['sha256', 'sha384'], 4, { padded: true })
    expect(judge(kernel, { quoted })).toMatchObject({ covered: 4, isSha1Padded: true, progress: null })
    const accepting = { ...basis, acceptSha1Padded: true }
    const taken = judge(kernel, { quoted, basis: accepting })
    expect(taken).toMatchObject({ covered: 4, isSha1Padded: true })
    expect(taken.progress?.running.map(({ form }) => form)).toEqual(['sha1-padded', 'sha1-padded'])
    const both = kernel.quoted(['sha256'], 4)
    both.set('sha384', quoted.get('sha384') ?? new Map())
    expect(judge(kernel, { quoted: both })).toMatchObject({ covered: 4, isSha1Padded: true, progress: null })
    expect(judge(kernel, { quoted: kernel.quoted(['sha256'], 4), basis: accepting })).toMatchObject({
      isSha1Padded: false,
    })
  })
})

describe('the records', () => {
  it('have the column of their data, also behind the covered ones (IMA-04)', () => {
    const kernel = mixed()
    for (const at of [1, kernel.entries.length - 1]) {
      const part = kernel.part()
      const start = kernel.part(0, 'sha1', at).data.length
      const data = Uint8Array.from(part.data)
      data[start + 10] = (data[start + 10] ?? 0) ^ 1
      expect(judge(kernel, { quoted: kernel.quoted(['sha256'], 4) }, { ...part, data })).toMatchObject({
        wrongColumn: at,
        covered: 4,
      })
    }
  })

  it('have the form of their template, as far as they are covered (IMA-07)', () => {
    const kernel = mixed()
    const at = kernel.entries.length
    kernel.record('ima-ng', templateData(digestField(a), '/x\0', 'more'))
    expect(judge(kernel).templateProblem).toContain(`ima.records.${at}`)
    const before = judge(kernel, { quoted: kernel.quoted(['sha256'], at) })
    expect(before).toMatchObject({ templateProblem: null, pending: { records: 1 } })
  })

  it.each([
    ['another name', (kernel: MeasuringKernel) => kernel.file('boot_aggregat', a)],
    ['a violation', (kernel: MeasuringKernel) => kernel.violation('boot_aggregate')],
    ['an unknown template', (kernel: MeasuringKernel) => kernel.record('x', templateData('boot_aggregate\0'))],
  ])('begin with the boot aggregate, not with %s (IMA-12)', (_what, first) => {
    const kernel = new MeasuringKernel()
    kernel.entries.length = 0
    first(kernel).file('/a', a)
    const verdict = judge(kernel)
    expect(verdict.firstProblem).not.toBeNull()
    expect(verdict.progress?.bootAggregate).toBeNull()
  })

  it('of violations, further boots, unknown templates and other registers are counted (IMA-05, IMA-14, IMA-20)', () => {
    const kernel = mixed()
    const first = kernel.bootAggregate()
    kernel.file('boot_aggregate', first).file('boot_aggregate', a).violation('/var/log/x').violation('/b\n\\')
    const verdict = judge(kernel)
    expect(nonZero(verdict)).toEqual({
      violations: 3,
      kexec: 2,
      unknownTemplates: 1,
      unquoted: 1,
      buffers: 1,
      buffersUnlisted: 1,
    })
    expect(namesIn(verdict)).toEqual([
      ['violation', '/var/log/x', 2],
      ['violation', '/b\\n\\\\', 1],
      ['unknown-template', 'unheard-of', 1],
      ['buffer-unlisted', 'kexec-cmdline', 1],
    ])
  })

  it('of a violation need not have the form of their template: nothing covers them', () => {
    const kernel = mixed().record('ima-ng', templateData('x\n'), { violation: true })
    const verdict = judge(kernel)
    expect(verdict.templateProblem).toBeNull()
    expect(namesIn(verdict)?.[1]).toEqual(['violation', '\\x02\\x00\\x00\\x00x\\n', 1])
  })

  it('of other registers lead to these, if they are quoted (IMA-19)', () => {
    const kernel = mixed()
    const pcrs = [10, 11]
    const at = kernel.entries.findIndex(({ pcr }) => pcr === 11)
    const whole = { quoted: kernel.quoted(['sha256', 'sha384'], kernel.entries.length, { pcrs }) }
    expect(judge(kernel, whole)).toMatchObject({ registerProblem: null, progress: { counts: { unquoted: 0 } } })
    const wrong = kernel.quoted(['sha256'], kernel.entries.length, { pcrs })
    wrong.get('sha256')?.set(11, new Uint8Array(32).fill(1))
    expect(judge(kernel, { quoted: wrong }).registerProblem).toBe(
      'the records of PCR 11 do not lead to its quoted value in sha256',
    )
    // The quote was taken behind the record of PCR 11, which follows the last covered one of PCR 10.
    const between = kernel.quoted(['sha256'], at, { pcrs })
    between.get('sha256')?.set(11, kernel.value('sha256', 11))
    const verdict = judge(kernel, { quoted: between })
    expect(verdict).toMatchObject({ covered: at + 1, registerProblem: null })
    expect(verdict.progress?.running.map(({ pcr }) => pcr)).toEqual([10, 11])
  })

  it('that are cut are refused with their place (IMA-01)', () => {
    const part = mixed().part()
    const cut = { ...part, data: part.data.slice(0, -1) }
    const inputs = { basis, quoted: new Map(), before: null, pending: null }
    expect(() => judgeImaLog(cut, inputs)).toThrow(MalformedError)
    expect(attemptImaLog(cut, inputs)).toMatch(/^ima\.records\.10: needs/)
    const other = concatBytes(Uint8Array.of(24, 0, 0, 0), part.data.subarray(4))
    expect(attemptImaLog({ ...part, data: other }, inputs)).toContain('PCR 24 is above 23')
  })
})

describe('files and reference values (IMA-15, IMA-16)', () => {
  const kernel = new MeasuringKernel()
    .file('/bin/a', a)
    .file('/bin/a', b)
    .file('/bin/a', a)
    .file('/bin/A', a)
    .file('/opt/x/1', b)
    .file('/opt/x/2', c)
    .file('/tmp/\xff\n', c)
    .record('ima-ng', templateData(digestField(contentDigest('a', 'sha1'), 'sha1'), '/bin/a\0'))
    .record('strange', templateData('x'))
    .record('d-ng|imode', templateData(digestField(a), 'ab'))

  it('every covered record is compared, repeated ones too', () => {
    const glob = (text: string) => ({ kind: 'glob', text }) as const
    const verdict = judge(
      kernel,
      judgedBy(
        references({
          files: { '/bin/a': a },
          patterns: [{ pattern: glob('/opt/*/?'), digests: setOf(b) }],
          exclude: [
            { pattern: { kind: 'prefix', text: '/tmp/' }, reason: null },
            { pattern: glob('/bin/*'), reason: null },
          ],
        }),
      ),
    )
    expect(nonZero(verdict)).toEqual({ changed: 1, excluded: 4, unjudged: 2, unknownTemplates: 1 })
    expect(namesIn(verdict)).toEqual([
      ['changed', '/opt/x/2', 1],
      ['unjudged', 'd-ng\\x7cimode'.replace('\\x7c', '|'), 1],
      ['unknown-template', 'strange', 1],
    ])
  })

  it('without excludes all else is listed: changed where the path is known', () => {
    const verdict = judge(kernel, judgedBy(references({ files: { '/bin/a': a } })))
    expect(nonZero(verdict)).toEqual({ changed: 2, unlisted: 4, unjudged: 2, unknownTemplates: 1 })
    expect(namesIn(verdict)).toEqual([
      ['unlisted', '/bin/A', 1],
      ['unlisted', '/opt/x/1', 1],
      ['unlisted', '/opt/x/2', 1],
      ['unlisted', '/tmp/\\xff\\n', 1],
      ['changed', '/bin/a', 2],
      ['unjudged', 'd-ng|imode', 1],
      ['unknown-template', 'strange', 1],
    ])
  })

  it('references without files ask about none', () => {
    expect(judge(kernel, judgedBy(references({})))).toMatchObject({ judgesFiles: false })
    expect(nonZero(judge(kernel, judgedBy(references({}))))).toEqual({ unknownTemplates: 1 })
  })

  it('a boot aggregate with another digest is a file of that name, which anybody can make', () => {
    const booted = new MeasuringKernel()
    booted.file('boot_aggregate', booted.bootAggregate()).file('boot_aggregate', c)
    const verdict = judge(booted, judgedBy(references({ files: { '/x': a } })))
    expect(nonZero(verdict)).toEqual({ kexec: 2, unlisted: 1 })
  })

  it('a buffer whose digest is not its own fails, and is no way past the list for a file (IMA-17)', () => {
    const relabelled = new MeasuringKernel().buffer('/bin/evil', '', c)
    expect(judge(relabelled).bufferProblem).toBe('the digest of record 1 is not that of its buffer')
    const empty = new MeasuringKernel().buffer('/bin/empty', '')
    expect(nonZero(judge(empty, judgedBy(references({ files: { '/x': a } }))))).toMatchObject({ buffersNotAllowed: 1 })
  })
})

describe('the boot aggregate (IMA-13)', () => {
  const kernel = new MeasuringKernel()
  const quoted = kernel.quoted(['sha1', 'sha256'])
  const of = (digest: Uint8Array, algorithm = 'sha256') => ({ algorithm, digest })
  const seven = kernel.quoted(['sha1', 'sha256'], 1, { pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 10] })

  it('is over PCR 0 to 9, or 0 to 7, of the bank of its own hash', () => {
    expect(matchBootAggregate(of(kernel.bootAggregate()), quoted).pcrs).toBe('0-9')
    expect(matchBootAggregate(of(kernel.bootAggregate('sha256', 7)), quoted).pcrs).toBe('0-7')
    expect(matchBootAggregate(of(kernel.bootAggregate('sha256', 7)), seven).pcrs).toBe('0-7')
    expect(matchBootAggregate(of(kernel.bootAggregate('sha1', 7), 'sha1'), quoted).pcrs).toBe('0-7')
  })

  it.each([
    ['zero', of(new Uint8Array(32)), quoted],
    ['of other PCRs', of(kernel.bootAggregate('sha256', 8)), quoted],
    ['of other values', of(a), quoted],
    ['SHA-1 of other values', of(contentDigest('x', 'sha1'), 'sha1'), seven],
    ['zero, in a bank that is not quoted', of(new Uint8Array(48), 'sha384'), quoted],
  ])('fails where it is %s', (_what, aggregate, values) => {
    expect(matchBootAggregate(aggregate, values)).toMatchObject({ pcrs: null, lack: null, problem: expect.any(String) })
  })

  it.each([
    ['PCR 8 and 9', of(kernel.bootAggregate()), seven],
    ['its bank', of(kernel.bootAggregate('sha384'), 'sha384'), quoted],
    ['a bank that no TPM has', of(new Uint8Array(32).fill(1), 'sm3'), quoted],
  ])('is not told by a quote without %s', (_what, aggregate, values) => {
    expect(matchBootAggregate(aggregate, values)).toMatchObject({ pcrs: null, problem: null, lack: expect.any(String) })
  })
})

describe('going on from what was judged before', () => {
  const refs = references({
    files: { '/bin/a': a },
    exclude: [{ pattern: { kind: 'prefix', text: '/v' }, reason: null }],
  })
  const columns: readonly HashName[] = ['sha1', 'sha256']

  it('in any steps gives what the whole log gives (IMA-10)', () => {
    const kernel = mixed()
    const { length } = kernel.entries
    const steps = fc.array(fc.tuple(fc.integer({ min: 1, max: length }), fc.nat(3), fc.constantFrom(...columns)), {
      maxLength: 4,
    })
    fc.assert(
      fc.property(steps, (cuts) => {
        let last: ImaLogVerdict | null = null
        for (const [covered, ahead, column] of [...cuts, [length, 0, 'sha1'] as const].sort(([x], [y]) => x - y)) {
          if (kernel.entries[covered - 1]?.pcr !== 10) continue
          const before: ImaLogVerdict['progress'] = last?.progress ?? null
          const from = before?.records ?? 0
          const pending = last?.pending ? { ...last.pending, first: from } : null
          const to = Math.min(length, Math.max(covered + ahead, from + (pending?.records ?? 0)))
          const quoted = kernel.quoted(['sha256', 'sha384'], covered)
          last = judge(kernel, { ...judgedBy(refs), quoted, before, pending }, kernel.part(from, column, to))
          expect(last).toMatchObject({ covered, pendingProblem: null, records: to })
        }
        const whole = judge(kernel, { ...judgedBy(refs), quoted: kernel.quoted(['sha256', 'sha384']) })
        expect(last?.progress).toEqual(whole.progress)
      }),
      { numRuns: 200 },
    )
  })

  it('needs no new record', () => {
    const kernel = mixed()
    const { progress } = judge(kernel)
    expect(judge(kernel, { before: progress }, kernel.part(kernel.entries.length))).toMatchObject({
      covered: kernel.entries.length,
      progress,
    })
  })

  it.each([
    ['changed', (kernel: MeasuringKernel) => kernel.file('/bin/c', c), /are others now$/],
    ['missing', (kernel: MeasuringKernel) => kernel, /^2 records were pending, 1 of them are there$/],
  ])('finds pending records %s, also in a whole log and under another column (IMA-09)', (_what, change, problem) => {
    const kernel = new MeasuringKernel().file('/bin/a', a).file('/bin/b', b).file('/bin/b', a)
    const { progress, pending } = judge(kernel, { quoted: kernel.quoted(['sha256'], 2) })
    kernel.entries.pop()
    change(kernel)
    const first = progress?.records ?? 0
    const inputs = { pending: pending && { ...pending, first } }
    for (const column of columns) {
      expect(judge(kernel, { ...inputs, before: progress }, kernel.part(first, column)).pendingProblem).toMatch(problem)
      expect(judge(kernel, inputs, kernel.part(0, column)).pendingProblem).toMatch(problem)
    }
  })
})

describe('hostile logs', () => {
  it('with any bit of a covered record changed are refused or say the same, but for names of templates and violations', () => {
    const kernel = new MeasuringKernel()
      .file('/bin/a', a)
      .signed('/bin/b', b, 'signature')
      .buffer('x', 'y')
      .legacy('/old')
    const part = kernel.part()
    const whole = judge(kernel)
    for (let at = 0; at < part.data.length; at++) {
      for (const mask of [1, 0x80]) {
        const data = Uint8Array.from(part.data)
        data[at] = (data[at] ?? 0) ^ mask
        const verdict = attemptImaLog(
          { ...part, data },
          { basis, quoted: kernel.quoted(), before: null, pending: null },
        )
        if (typeof verdict === 'string' || verdict.covered === null || verdict.wrongColumn !== null) continue
        const { firstProblem, templateProblem, bufferProblem } = verdict
        if ((firstProblem ?? templateProblem ?? bufferProblem) !== null) continue
        // What is left: a name that no digest covers, and that no template has.
        expect([at, nonZero(verdict)['unknownTemplates']]).toEqual([at, 1])
        expect(verdict.progress?.running).toEqual(whole.progress?.running)
      }
    }
  })

  it('of any bytes are answered or malformed', () => {
    const kernel = mixed()
    const { data } = kernel.part()
    const edits = fc.array(fc.tuple(fc.nat(data.length - 1), fc.nat(255)), { maxLength: 4 })
    const edited = edits.map((changes) => {
      const bytes = Uint8Array.from(data)
      for (const [at, byte] of changes) bytes[at] = byte
      return bytes
    })
    const refs = references({
      files: { '/bin/a': a },
      patterns: [{ pattern: { kind: 'glob', text: '/**' }, digests: setOf(b) }],
    })
    fc.assert(
      fc.property(
        fc.oneof(edited, fc.uint8Array({ maxLength: 300 })),
        fc.constantFrom<HashName>('sha1', 'sha256'),
        (bytes, column) => {
          const inputs = { ...judgedBy(refs), quoted: kernel.quoted(), before: null, pending: null }
          expect(['string', 'object']).toContain(typeof attemptImaLog({ from: 0, column, data: bytes }, inputs))
        },
      ),
      { numRuns: 3000 },
    )
  })
})
