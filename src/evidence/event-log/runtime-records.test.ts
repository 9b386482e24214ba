import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { encodeAaelHeader, encodeAaelRecord } from '../tdx/aael.ts'
import { countRuntimeRecords, encodePcrRecord, runtimeBytesOf } from './runtime-records.ts'

const recordOf = (domain: string, content = 'x') => encodeAaelRecord(3, { domain, operation: 'load', content }).entry
const pcrRecordOf = (domain: string) =>
  encodePcrRecord(23, { domain, operation: 'load', content: 'x' }, { logged: ['sha1', 'sha256'], extended: ['sha256'] })
    .entry

describe('the bytes that domains have in a runtime log', () => {
  it('are those of their records, whatever stands between', () => {
    const [one, two, other] = [recordOf('app/a'), recordOf('app/a', 'more'), recordOf('app/ab')]
    const log = concatBytes(encodeAaelHeader(), one, other, two, pcrRecordOf('app/a'))
    expect(runtimeBytesOf(log, (domain) => domain === 'app/a')).toBe(
      one.length + two.length + pcrRecordOf('app/a').length,
    )
    expect(runtimeBytesOf(log, () => true)).toBe(log.length - encodeAaelHeader().length)
    expect([runtimeBytesOf(new Uint8Array(), () => true), countRuntimeRecords(log)]).toEqual([0, 4])
  })

  it('take the longest domain whole', () => {
    const longest = 'd'.repeat(128)
    const seen: string[] = []
    runtimeBytesOf(recordOf(longest), (domain) => seen.push(domain) > 0)
    expect(seen).toEqual([longest])
  })

  it('count records of others to no domain', () => {
    const record = recordOf('app/a')
    const foreign = record.with(Buffer.from(record).indexOf('LEAA'), 0x4d)
    expect(countRuntimeRecords(foreign)).toBe(1)
    expect(runtimeBytesOf(foreign, () => true)).toBe(0)
  })

  it('are told of any bytes, or the log is called malformed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(99), (bytes, at) => {
        const log = concatBytes(recordOf('app/a').slice(0, at), bytes)
        try {
          expect(runtimeBytesOf(log, () => true)).toBeLessThanOrEqual(log.length)
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError)
        }
      }),
    )
  })
})
