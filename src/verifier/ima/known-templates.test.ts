import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { contentDigest, digestField, MeasuringKernel, templateData } from '../../../test/support/measuring-kernel.ts'
import type { HashName } from '../../evidence/tpm/algorithms.ts'
import { type DigestSet, digestSet } from '../../reference-values/digest-set.ts'
import { buildDigestTable } from '../../reference-values/digest-table.ts'
import { buildTemplateTable } from '../../reference-values/template-table.ts'
import type { ImaReferences } from '../../reference-values/tpm-references.ts'
import { attemptImaLog, type ImaLogInputs } from './judge-ima-log.ts'

type Algorithm = 'sha1' | 'sha256' | 'sha512' | 'sm3'

/** SM3 is not computed here; any digest of its length will do. */
const digestOfKind = (content: string, algorithm: Algorithm) =>
  contentDigest(content, algorithm === 'sm3' ? 'sha256' : algorithm)

/** Few paths and contents, so that records and references meet. */
const paths = fc.constantFrom('/a', '/b', '/bin/c', '/tmp/d', 'boot_aggregate', '', '/\xff\n', '/e\0f')
const contents = fc.constantFrom('1', '2')
const algorithms = fc.constantFrom<Algorithm>('sha1', 'sha256', 'sha256', 'sha512', 'sm3')
const templates = fc.constantFrom(
  'ima-ng',
  'ima-ng',
  'ima-sig',
  'ima-sig',
  'ima-ngv2',
  'ima-buf',
  'd-ng|n-ng',
  'd-ng|n-ng|sig',
  'strange',
)
const tails = fc.constantFrom<readonly string[]>([], [''], ['signature'], ['', ''])

interface Measured {
  readonly path: string
  readonly content: string
  readonly algorithm: Algorithm
  readonly template: string
  readonly tail: readonly string[]
  readonly pcr: number
  readonly violation: boolean
}

/** Template and fields belong together in most records, and in the others they do not. */
const measured: fc.Arbitrary<Measured> = fc.oneof(
  fc
    .record({
      path: paths,
      content: contents,
      algorithm: algorithms,
      template: fc.constantFrom('ima-ng', 'ima-sig'),
      tail: fc.constant([]),
      pcr: fc.constantFrom(10, 10, 10, 11),
      violation: fc.integer({ min: 0, max: 5 }).map((chance) => chance === 0),
    })
    .map((record) => ({ ...record, tail: record.template === 'ima-sig' ? [''] : [] })),
  fc.record({
    path: paths,
    content: contents,
    algorithm: algorithms,
    template: templates,
    tail: tails,
    pcr: fc.constantFrom(10, 11),
    violation: fc.boolean(),
  }),
)

const sets: fc.Arbitrary<DigestSet> = fc
  .array(fc.tuple(contents, algorithms), { maxLength: 4 })
  .map((all) => digestSet(all.map(([content, algorithm]) => ({ algorithm, digest: digestOfKind(content, algorithm) }))))

const prefix = fc.constantFrom('/', '/tmp/', '/bin/').map((text) => ({ kind: 'prefix', text }) as const)

const files = fc.array(fc.tuple(paths, sets), { maxLength: 6 })
const rest = fc.record({
  patterns: fc.array(fc.record({ pattern: prefix, digests: sets }), { maxLength: 1 }),
  exclude: fc.array(fc.record({ pattern: prefix, reason: fc.constant(null) }), { maxLength: 1 }),
  keys: fc.constantFrom([], [{ keyring: '.ima', sha256: '00'.repeat(32), der: null }]),
})

function kernelOf(records: readonly Measured[]): MeasuringKernel {
  const kernel = new MeasuringKernel()
  for (const { path, content, algorithm, template, tail, pcr, violation } of records) {
    const digest = digestField(digestOfKind(content, algorithm), algorithm)
    kernel.record(template, templateData(digest, `${path}\0`, ...tail), { pcr, violation })
  }
  return kernel
}

const edits = fc.tuple(fc.nat(), fc.nat(255))
const change = (bytes: Uint8Array, [at, byte]: readonly [number, number]) => {
  bytes[at % bytes.length] = byte
}

const columns = fc.constantFrom<HashName>('sha1', 'sha256', 'sha384')
const banks = fc.constantFrom<readonly HashName[]>(['sha256'], ['sha384'], ['sha1', 'sha256'], ['sha1'])

describe('records that are known by their hash', () => {
  it('are judged as they are without it: any records, references, columns and banks', () => {
    let known = 0
    fc.assert(
      fc.property(
        fc.array(measured, { minLength: 1, maxLength: 12 }),
        files,
        rest,
        columns,
        banks,
        fc.record({ pcrs: fc.constantFrom([10], [10, 11]), edit: fc.option(edits), measuredEdit: fc.option(edits) }),
        (records, own, others, column, quotedBanks, { pcrs, edit, measuredEdit }) => {
          const kernel = kernelOf(records)
          // Data of other forms, as the kernel measured it; and then other bytes than it measured.
          if (measuredEdit !== null) change(kernel.entries.at(-1)?.data ?? expect.unreachable(), measuredEdit)
          const slow: ImaReferences = { ...others, buffers: [], files: buildDigestTable(own, [1, 2]) }
          const part = kernel.part(0, column)
          if (edit !== null) change(part.data, edit)
          const last = kernel.entries.findLastIndex(({ pcr }) => pcr === 10) + 1
          const quoted = kernel.quoted(quotedBanks, last, { pcrs })
          const judged = (references: ImaReferences) => {
            const basis = { pcr: 10, judgedBy: 'x', references, signedFilesAllowed: true, acceptSha1Padded: false }
            const inputs: ImaLogInputs = { basis, quoted, before: null, pending: null }
            return attemptImaLog(part, inputs)
          }
          const templates = buildTemplateTable(own)
          expect(judged({ ...slow, templates })).toEqual(judged(slow))
          if (templates['ima-ng'].some((word) => word !== 0)) known++
        },
      ),
      { numRuns: 1500 },
    )
    expect(known).toBeGreaterThan(500)
  })

  const a = contentDigest('a')
  const fileA = [['/bin/a', digestSet([{ algorithm: 'sha256', digest: a }])]] as const
  const none = { patterns: [], exclude: [], keys: [], buffers: [] }
  const judged = (kernel: MeasuringKernel, column: HashName, quotedBanks: readonly HashName[]) => {
    // A table of files that allows none tells which records were not read.
    const other = buildDigestTable([['/other', '']], [1, 2])
    const references = { ...none, files: other, templates: buildTemplateTable(fileA) }
    const basis = { pcr: 10, judgedBy: 'x', references, signedFilesAllowed: true, acceptSha1Padded: false }
    const quoted = kernel.quoted(quotedBanks)
    const verdict = attemptImaLog(kernel.part(0, column), { basis, quoted, before: null, pending: null })
    return typeof verdict === 'string' ? verdict : verdict.progress?.counts.unlisted
  }

  it.each<[HashName, readonly HashName[], number]>([
    ['sha256', ['sha256'], 0],
    ['sha1', ['sha256'], 0],
    ['sha1', ['sha384', 'sha256'], 0],
    ['sha256', ['sha384'], 0],
    ['sha1', ['sha384'], 2],
    ['sha384', ['sha384'], 2],
  ])('are not read where a column of %s or banks %j have their SHA-256 (%i read)', (column, quotedBanks, read) => {
    const kernel = new MeasuringKernel().file('/bin/a', a).signed('/bin/a', a, '')
    expect(judged(kernel, column, quotedBanks)).toBe(read)
  })

  it.each([
    ['a violation', (kernel: MeasuringKernel) => kernel.file('/bin/a', a).violation('/bin/a'), 0],
    ['another digest', (kernel: MeasuringKernel) => kernel.file('/bin/a', a).file('/bin/a', contentDigest('b')), 1],
    ['a signature', (kernel: MeasuringKernel) => kernel.signed('/bin/a', a, '').signed('/bin/a', a, 'x'), 1],
    [
      'SM3 by its old name',
      (kernel: MeasuringKernel) => kernel.record('ima-ng', templateData(digestField(a, 'sm3-256'), '/bin/a\0')),
      1,
    ],
  ])('are not the ones with %s', (_what, measure, read) => {
    expect(judged(measure(new MeasuringKernel()), 'sha256', ['sha256'])).toBe(read)
  })
})
