import { describe, expect, it } from 'vitest'
import { hexDigest } from '../../reference-values/digest-set.ts'
import { encodeReferenceValues } from '../../reference-values/encode-reference-values.ts'
import { parseReferenceValues } from '../../reference-values/parse-reference-values.ts'
import { Learning } from './learning.ts'

const digests = hexDigest('sha256', '1'.repeat(64))

describe('what was learned', () => {
  it('is a document that can be read, whatever names were met', () => {
    const learning = new Learning()
    for (const length of [4096, 4097]) {
      const name = 'x'.repeat(length)
      learning.file(name, digests)
      learning.add({ kind: 'buffer', name, digests })
      learning.add({ kind: 'key', keyring: name, sha256: '1'.repeat(64), der: null })
    }
    const values = learning.collector.build()
    const document = Buffer.concat([...encodeReferenceValues(values, { name: 'x', description: null })])
    expect(parseReferenceValues(document, 'x').values).toEqual(values)
    expect([values.files.size, values.buffers.length, values.keys.length]).toEqual([1, 1, 1])
    expect(learning.leftOut().get('long-name')?.count).toBe(3)
  })

  it('shows no more of what was left out than a line can hold', () => {
    const learning = new Learning()
    learning.leaveOut('violation', '\x1b'.repeat(1_000_000))
    expect(learning.leftOut().get('violation')?.examples).toEqual([`${'\\x1b'.repeat(256)}… (1000000 bytes)`])
  })
})
