import fc from 'fast-check'
import { digestSet, referenceAlgorithmNames, referenceAlgorithms } from '../../src/reference-values/digest-set.ts'
import { ReferenceCollector } from '../../src/reference-values/reference-collector.ts'
import type { GoldenBank, ReferenceItem } from '../../src/reference-values/reference-values.ts'

const hexOf = (size: number) =>
  fc.uint8Array({ minLength: size, maxLength: size }).map((bytes) => Buffer.from(bytes).toString('hex'))

const digest = fc
  .constantFrom(...referenceAlgorithmNames)
  .chain((algorithm) =>
    fc
      .uint8Array({ minLength: referenceAlgorithms[algorithm], maxLength: referenceAlgorithms[algorithm] })
      .map((bytes) => ({ algorithm, digest: bytes })),
  )
const digests = fc.array(digest, { minLength: 1, maxLength: 4 }).map(digestSet)
/** Few enough that two documents have some in common. */
const name = fc.oneof(
  fc.constantFrom('/a', '/b c', '/usr/bin/ls', '/\\', '/"', '/\n\xff', 'x'),
  fc.uint8Array({ minLength: 1, maxLength: 12, min: 1 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
)
const pattern = fc.constantFrom(
  { kind: 'glob', text: '/tmp/**' } as const,
  { kind: 'glob', text: '/[a-z]*/{x,"y"}\\\\' } as const,
  { kind: 'prefix', text: '/tmp/' } as const,
)
const text = fc.constantFrom('why', 'a "quoted" one', 'naïve \\')
const bank = fc
  .record({
    hash: fc.constantFrom('sha1' as const, 'sha256' as const, 'sha384' as const),
    pcrs: fc.uniqueArray(fc.integer({ min: 0, max: 23 }), { minLength: 1, maxLength: 4 }),
  })
  .chain(({ hash, pcrs }) =>
    fc.array(hexOf(referenceAlgorithms[hash]), { minLength: pcrs.length, maxLength: pcrs.length }).map(
      (values): GoldenBank => ({
        hash,
        pcrs: pcrs.sort((left, right) => left - right).map((pcr, index) => ({ pcr, accepted: [values[index] ?? ''] })),
      }),
    ),
  )

export const referenceItem: fc.Arbitrary<ReferenceItem> = fc.oneof(
  fc.record({ kind: fc.constant('file' as const), path: name, digests }),
  fc.record({ kind: fc.constant('files' as const), pattern, digests }),
  fc.record({ kind: fc.constant('buffer' as const), name, digests }),
  fc.record({ kind: fc.constant('exclude' as const), pattern, reason: fc.option(text) }),
  fc.record({ kind: fc.constant('key' as const), keyring: name, sha256: hexOf(32), der: fc.constant(null) }),
  fc.record({ kind: fc.constant('pcrs' as const), image: text, banks: bank.map((one) => [one]) }),
)

export const referenceItems = fc.array(referenceItem, { maxLength: 12 })

export function collected(items: Iterable<ReferenceItem>) {
  const collector = new ReferenceCollector()
  for (const item of items) collector.add(item)
  return collector.build()
}

export const referenceValues = referenceItems.map(collected)
