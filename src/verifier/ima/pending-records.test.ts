import { describe, expect, it } from 'vitest'
import { contentDigest, digestField, MeasuringKernel, templateData } from '../../../test/support/measuring-kernel.ts'
import { ImaCursor } from '../../evidence/ima/ima-cursor.ts'
import type { HashName } from '../../evidence/tpm/algorithms.ts'
import { PendingComparison, PendingDigest } from './pending-records.ts'

const data = templateData(digestField(contentDigest('a')), '/a\0')
const kernelWith = (options: { readonly pcr?: number; readonly violation?: boolean } = {}) =>
  new MeasuringKernel().record('ima-ng', data, options).file('/b', contentDigest('b'))

function digestOf(kernel: MeasuringKernel, column: HashName, add: (cursor: ImaCursor, index: number) => void): void {
  const cursor = new ImaCursor(kernel.part(0, column).data, column, 100)
  for (let index = 0; cursor.next(); index++) add(cursor, index)
}

/** The last two records were pending; what is wrong with those that now stand in their place? */
function problem(now: MeasuringKernel, column: HashName = 'sha1'): string | null {
  const digest = new PendingDigest()
  digestOf(kernelWith(), 'sha1', (cursor, index) => {
    if (index > 0) digest.add(cursor, cursor.isViolation())
  })
  const comparison = new PendingComparison(digest.finish() ?? expect.unreachable(), 1)
  digestOf(now, column, (cursor, index) => comparison.see(index, cursor, cursor.isViolation()))
  return comparison.problem()
}

describe('records that were pending (IMA-09)', () => {
  it('are the same in a log with another column', () => {
    for (const column of ['sha1', 'sha256', 'sha512'] as const) expect(problem(kernelWith(), column)).toBeNull()
    expect(problem(kernelWith().file('/more', contentDigest('c')))).toBeNull()
  })

  it.each([
    ['a violation', kernelWith({ violation: true })],
    ['of another register', kernelWith({ pcr: 11 })],
    ['in another order', new MeasuringKernel().file('/b', contentDigest('b')).record('ima-ng', data)],
    ['under another template', new MeasuringKernel().record('ima-ngv2', data).file('/b', contentDigest('b'))],
  ])('are others where one of them is %s', (_what, kernel) => {
    expect(problem(kernel)).toBe('the 2 records that were pending are others now')
  })

  it('are missed where the log is shorter', () => {
    expect(problem(new MeasuringKernel().record('ima-ng', data))).toBe('2 records were pending, 1 of them are there')
    expect(problem(new MeasuringKernel())).toBe('2 records were pending, 0 of them are there')
  })
})
