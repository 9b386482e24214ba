import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { haveVectors, vector, vectorJson } from '../../../test/support/vectors.ts'
import { parseText } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { parseImaLog } from '../../evidence/ima/ima-log.ts'
import type { HashName } from '../../evidence/tpm/algorithms.ts'
import { replayImaLog } from './replay-ima-log.ts'

interface Entry {
  file: string
  expected: {
    entries: number
    templates: Record<string, number>
    columnAlg: HashName
    violations: number
    pcr10: Record<string, string>
    pcr10Sha1Padded: Record<string, string>
  }
}

interface Step {
  id: string
  ima?: { file: string; matchedPrefixEntries: number; pending: number; pcr10: Record<string, string> }
}

const quotedOf = (values: Record<string, string>, ...banks: HashName[]) =>
  new Map(banks.map((bank) => [bank, parseText(values[bank] ?? '', 'hex', bank)]))

describe.skipIf(!haveVectors)('recorded IMA logs', () => {
  const manifest = haveVectors ? (vectorJson('tpm/MANIFEST.json') as Entry[]) : []
  const logs = manifest.filter(({ file }) => /ima.*\.bin$/.test(file))
  const steps = haveVectors ? (vectorJson('tpm/sequence/sequence.json').steps as Step[]) : []
  const inputs = (quoted: Map<HashName, Uint8Array>, column: HashName = 'sha1') => ({
    quoted,
    column,
    pcr: 10,
    acceptSha1Padded: false,
  })

  it.each(logs)('$file replays to PCR 10 of every bank (IMA-06, IMA-08)', ({ file, expected }) => {
    const bytes = vector(`tpm/${file}`)
    const records = parseImaLog(bytes, expected.columnAlg)
    const templates: Record<string, number> = {}
    for (const { template } of records) templates[template] = (templates[template] ?? 0) + 1
    expect(templates).toEqual(expected.templates)
    const whole = replayImaLog(bytes, inputs(quotedOf(expected.pcr10, 'sha1', 'sha256', 'sha384'), expected.columnAlg))
    expect(whole.records).toBe(expected.entries)
    expect(whole.violations).toBe(expected.violations)
    expect(whole.wrongColumn).toBeNull()
    expect(whole.matched).not.toBeNull()
    expect([...whole.forms.values()]).toEqual(['native', 'native', 'native'])
  })

  it.each(logs)('$file: padded banks match only where that is accepted (IMA-06)', ({ file, expected }) => {
    const quoted = quotedOf(expected.pcr10Sha1Padded, 'sha256', 'sha384')
    const at = (acceptSha1Padded: boolean) =>
      replayImaLog(vector(`tpm/${file}`), { ...inputs(quoted, expected.columnAlg), acceptSha1Padded })
    expect(at(false).matched).toBeNull()
    expect([...at(true).forms.values()]).toEqual(['sha1-padded', 'sha1-padded'])
  })

  it.each(steps.filter(({ ima }) => ima))(
    'quote $id covers a prefix, the rest is pending (IMA-08, IMA-09)',
    ({ ima }) => {
      if (!ima) return expect.unreachable()
      const replay = replayImaLog(
        vector(`tpm/sequence/${ima.file}`),
        inputs(quotedOf(ima.pcr10, 'sha1', 'sha256', 'sha384')),
      )
      expect([replay.matched, replay.pending]).toEqual([ima.matchedPrefixEntries, ima.pending])
    },
  )

  it('any flipped bit of covered template data or names is a mismatch or malformed; a flipped column is named (IMA-04)', () => {
    const bytes = vector('tpm/sequence/s3.ima.bin')
    const expected = logs.find(({ file }) => file.endsWith('s3.ima.bin'))?.expected
    const quoted = quotedOf(expected?.pcr10 ?? {}, 'sha256')
    for (let at = 0; at < bytes.length; at++) {
      const edited = Uint8Array.from(bytes)
      edited[at] = (edited[at] ?? 0) ^ 0x20
      try {
        const { matched, wrongColumn, violations } = replayImaLog(edited, inputs(quoted))
        expect(matched === null || wrongColumn !== null || violations > 0 || nameByte(bytes, at), `byte ${at}`).toBe(
          true,
        )
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedError)
      }
    }
  })

  it('no bytes make the parser do anything but answer or throw MalformedError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          parseImaLog(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError)
        }
      }),
    )
  })
})

/** True inside a template's name: the one part of a record that no digest covers. */
function nameByte(bytes: Uint8Array, at: number): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  for (let offset = 0; offset < bytes.length; ) {
    const name = view.getUint32(offset + 24, true)
    const start = offset + 28
    if (at >= start && at < start + name) return true
    offset = start + name + 4 + view.getUint32(start + name, true)
  }
  return false
}
