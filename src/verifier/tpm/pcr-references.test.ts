import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { HashName } from '../../evidence/tpm/algorithms.ts'
import type { GoldenPcrs } from '../../reference-values/reference-values.ts'
import type { TpmReferences } from '../../reference-values/tpm-references.ts'
import { Checklist } from '../../results/checklist.ts'
import { judgePcrReferences } from './pcr-references.ts'
import type { PcrValues } from './pcr-values.ts'
import { referenceChecks } from './reference-checks.ts'

const sizes = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 }
type Filled = Partial<Record<HashName, Record<number, number>>>

/** Every value is one byte, repeated. */
const quoted = (banks: Filled): PcrValues =>
  new Map(
    Object.entries(banks).map(([hash, pcrs]) => [
      hash as HashName,
      new Map(
        Object.entries(pcrs).map(([pcr, byte]) => [Number(pcr), new Uint8Array(sizes[hash as HashName]).fill(byte)]),
      ),
    ]),
  )
const hexOf = (hash: HashName, byte: number) => byte.toString(16).padStart(2, '0').repeat(sizes[hash])
const golden = (image: string, banks: Filled): GoldenPcrs => ({
  image,
  banks: Object.entries(banks).map(([hash, pcrs]) => ({
    hash: hash as HashName,
    pcrs: Object.entries(pcrs).map(([pcr, byte]) => ({ pcr: Number(pcr), accepted: [hexOf(hash as HashName, byte)] })),
  })),
})

function judge(values: PcrValues | null, ...pcrs: readonly GoldenPcrs[]) {
  const checklist = new Checklist(referenceChecks)
  const references: TpmReferences = { id: '', pcrs, ima: null }
  const image = judgePcrReferences(checklist, values, references)
  return { image, ...checklist.findings()[0] }
}

const values = quoted({ sha256: { 0: 1, 4: 2, 7: 3 }, sha384: { 0: 9 } })

describe('golden PCRs', () => {
  it.each<[string, GoldenPcrs]>([
    ['all that are quoted', golden('web', { sha256: { 0: 1, 4: 2, 7: 3 }, sha384: { 0: 9 } })],
    ['some of them', golden('web', { sha256: { 7: 3 } })],
  ])('%s: the image is named', (_name, image) => {
    expect(judge(values, golden('other', { sha256: { 0: 8 } }), image)).toMatchObject({
      image: 'web',
      outcome: 'passed',
      detail: 'image web',
    })
  })

  it.each<[string, Filled, string]>([
    ['another value', { sha256: { 0: 1, 4: 5 } }, `sha256:4 is ${hexOf('sha256', 2)}, expected ${hexOf('sha256', 5)}`],
    ['another value in the second bank', { sha256: { 0: 1 }, sha384: { 0: 8 } }, `sha384:0 is ${hexOf('sha384', 9)}`],
    ['a PCR that is not quoted', { sha256: { 0: 1, 9: 0 } }, 'sha256:9 is not quoted'],
    ['a bank that is not quoted', { sha256: { 0: 1 }, sha512: { 0: 0 } }, 'sha512:0 is not quoted'],
  ])('%s: refused with both values', (_name, banks, says) => {
    const { image, outcome, detail } = judge(values, golden('web', banks))
    expect({ image, outcome }).toEqual({ image: null, outcome: 'failed' })
    expect(detail).toBe(`nearest of 1 images is web: ${detail?.slice(detail.indexOf(': ') + 2)}`)
    expect(detail).toContain(says)
  })

  it('PCRs of two images do not add up to one, and the nearest is named', () => {
    const far = golden('far', { sha256: { 0: 1, 4: 8, 7: 8 } })
    const near = golden('near', { sha256: { 0: 8, 4: 2, 7: 3 } })
    expect(judge(values, far, near)).toMatchObject({ image: null, outcome: 'failed' })
    expect(judge(values, far, near).detail).toMatch(/^nearest of 2 images is near: sha256:0 is /)
  })

  it('one of several accepted values suffices', () => {
    const image: GoldenPcrs = {
      image: 'web',
      banks: [{ hash: 'sha256', pcrs: [{ pcr: 0, accepted: [hexOf('sha256', 7), hexOf('sha256', 1)] }] }],
    }
    expect(judge(values, image).outcome).toBe('passed')
  })

  it('in the SHA-1 bank alone carry nothing (TPM-24)', () => {
    const both = quoted({ sha1: { 0: 1 }, sha256: { 0: 1 } })
    expect(judge(both, golden('old', { sha1: { 0: 1 } }))).toMatchObject({ image: null, outcome: 'failed' })
    expect(judge(both, golden('old', { sha1: { 0: 1 } })).detail).toMatch(/^only images .* SHA-1 bank alone match$/)
    expect(judge(both, golden('old', { sha1: { 0: 1 } }), golden('new', { sha256: { 0: 2 } })).detail).toMatch(
      /^nearest of 2 images is new: sha256:0 is /,
    )
    expect(judge(both, golden('new', { sha1: { 0: 1 }, sha256: { 0: 1 } }))).toMatchObject({ image: 'new' })
  })

  it('none configured is waived and claims no image; values that are not proved reach nothing', () => {
    expect(judge(values)).toMatchObject({ image: null, outcome: 'waived' })
    expect(judge(null, golden('web', { sha256: { 0: 1 } }))).toMatchObject({ image: null, outcome: 'unreached' })
    const checklist = new Checklist(referenceChecks)
    expect(judgePcrReferences(checklist, values, null)).toBeNull()
    expect(checklist.outcome('tpm.references.pcrs')).toBe('waived')
  })

  it('a long list of differences is cut', () => {
    const none = quoted({ sha256: { 0: 1 } })
    const image = golden('web', { sha256: Object.fromEntries(Array.from({ length: 12 }, (_none, pcr) => [pcr, 1])) })
    expect(judge(none, image).detail).toMatch(/sha256:8 is not quoted; and 3 more$/)
    const nine = golden('web', { sha256: Object.fromEntries(Array.from({ length: 9 }, (_none, pcr) => [pcr, 1])) })
    expect(judge(none, nine).detail).toMatch(/sha256:8 is not quoted$/)
  })

  it('pass exactly if every named value is the quoted one', () => {
    const bank = fc.dictionary(fc.constantFrom('0', '1', '7'), fc.constantFrom(1, 2), { minKeys: 1 })
    fc.assert(
      fc.property(bank, bank, (have, want) => {
        const expected = Object.entries(want).every(([pcr, byte]) => have[pcr] === byte)
        expect(judge(quoted({ sha256: have }), golden('x', { sha256: want })).outcome === 'passed').toBe(expected)
      }),
    )
  })
})
