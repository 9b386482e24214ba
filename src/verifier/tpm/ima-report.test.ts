import { describe, expect, it } from 'vitest'
import { contentDigest, digestField, MeasuringKernel, templateData } from '../../../test/support/measuring-kernel.ts'
import { digestSet } from '../../reference-values/digest-set.ts'
import { buildDigestTable } from '../../reference-values/digest-table.ts'
import { judgeImaLog } from '../ima/judge-ima-log.ts'
import { imaReportOf } from './ima-report.ts'

describe('files that are not allowed', () => {
  const digest = contentDigest('a')
  const files = buildDigestTable([['/a', digestSet([{ algorithm: 'sha256', digest }])]], [1, 2])
  const references = { files, patterns: [], exclude: [], keys: [], buffers: [] }
  const kernel = () => new MeasuringKernel().file('/a', digest)
  const notAllowed = (measured: MeasuringKernel) => {
    const basis = { pcr: 10, judgedBy: 'x', references, signedFilesAllowed: true, acceptSha1Padded: false }
    const inputs = { basis, quoted: measured.quoted(), before: null, pending: null }
    return imaReportOf(judgeImaLog(measured.part(), inputs), null)?.notAllowed
  }

  it.each([
    ['none', kernel(), 0],
    ['unlisted', kernel().file('/b', digest), 1],
    ['changed', kernel().file('/a', contentDigest('b')), 1],
    ['without a digest or a name', kernel().record('d-ng|imode', templateData(digestField(digest), 'ab')), 1],
    ['of an unknown template', kernel().record('x', templateData('x')), 1],
    ['possibly a buffer', kernel().buffer('/b', 'text'), 1],
  ])('are counted: %s', (_what, measured, count) => {
    expect(notAllowed(measured)).toBe(count)
  })
})
