import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MalformedError } from '../../base/errors.ts'
import { sgxReferenceFields, tdReferenceFields } from '../../verifier/index.ts'
import { parseTdReferences, referenceLimits } from './td-references.ts'

const parse = (document: unknown) =>
  parseTdReferences(new TextEncoder().encode(typeof document === 'string' ? document : JSON.stringify(document)))
const refusal = (document: unknown): string => {
  try {
    parse(document)
  } catch (error) {
    if (error instanceof MalformedError) return error.message
    throw error
  }
  return 'accepted'
}

/** Every field with its size in bytes. */
const sizes: Readonly<Record<string, number>> = {
  tee_tcb_svn: 16,
  mr_seam: 48,
  mr_signer_seam: 48,
  seam_attributes: 8,
  td_attributes: 8,
  xfam: 8,
  mr_td: 48,
  mr_config_id: 48,
  mr_owner: 48,
  mr_owner_config: 48,
  rtmr_0: 48,
  rtmr_1: 48,
  rtmr_2: 48,
  rtmr_3: 48,
  mr_servicetd: 48,
  mr_enclave: 32,
  mr_signer: 32,
  config_id: 64,
  attributes: 16,
  misc_select: 4,
}

describe('reference values', () => {
  it('name every field that a verifier can compare', () => {
    const all = Object.fromEntries(Object.entries(sizes).map(([name, size]) => [name, ['ab'.repeat(size)]]))
    const parsed = parse(all)
    expect(Object.keys(parsed).sort()).toEqual([...new Set([...tdReferenceFields, ...sgxReferenceFields])].sort())
    expect(parsed.mrServiceTd).toEqual([new Uint8Array(48).fill(0xab)])
    expect(parsed.rtmr3).toEqual([new Uint8Array(48).fill(0xab)])
    expect(parsed.miscSelect).toEqual([new Uint8Array(4).fill(0xab)])
  })

  it.each(Object.entries(sizes))('of %s have %i bytes', (name, size) => {
    const isPadded = name === 'mr_config_id'
    expect(refusal({ [name]: ['ab'.repeat(size + 1)] })).toContain(`references.${name}[0]: has ${size + 1} bytes`)
    expect(refusal({ [name]: ['ab'.repeat(size - 1)] })).toBe(
      isPadded ? 'accepted' : `references.${name}[0]: has ${size - 1} bytes, must have ${size}`,
    )
    expect(refusal({ [name]: [''] })).toMatch(/has 0 bytes/)
  })

  it.each<[string, unknown, string]>([
    ['no field', {}, 'references: names no field'],
    ['an unknown field', { mr_td: ['ab'.repeat(48)], mrTd: [] }, 'references."mrTd": is no field of a quote'],
    ['report data, which the nonce decides', { report_data: [] }, 'references."report_data": is no field of a quote'],
    ['a single value', { mr_td: 'ab'.repeat(48) }, 'references.mr_td: is not a list of hexadecimal strings'],
    ['an empty list', { mr_td: [] }, 'references.mr_td: is empty'],
    ['null', { mr_td: null }, 'references.mr_td: is not a list'],
    ['a number', { xfam: [231] }, 'references.xfam[0]: is not a string'],
    ['capitals', { xfam: ['E702060000000000'] }, 'references.xfam[0]: is not lower-case hexadecimal'],
    ['half a byte', { xfam: ['e70206000000000'] }, 'references.xfam[0]: is not lower-case hexadecimal'],
    ['a good value before a bad one', { xfam: ['e702060000000000', 'e7'] }, 'references.xfam[1]: has 1 bytes'],
    ['a field twice', `{"xfam":["e702060000000000"],"xfam":["0000000000000000"]}`, 'references'],
    ['a list', [], 'references'],
    ['no JSON', 'xfam=e7', 'references'],
  ])('with %s are refused, and the field named', (_, document, says) => {
    expect(refusal(document)).toContain(says)
  })

  it('have limits', () => {
    const values = (count: number) => ({ misc_select: Array(count).fill('00000000') })
    expect(refusal(values(referenceLimits.values))).toBe('accepted')
    expect(refusal(values(referenceLimits.values + 1))).toContain('has 1025 values, may have 1024')
    const spaced = (size: number) => `{"misc_select":["00000000"]}`.padEnd(size)
    expect(refusal(spaced(referenceLimits.file))).toBe('accepted')
    expect(refusal(spaced(referenceLimits.file + 1))).toBe('references: is longer than 1 MiB')
  })

  it('parse or are malformed, whatever the file holds', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(refusal(value)).not.toBe('accepted')
        expect(refusal({ mr_td: value })).not.toBe('accepted')
      }),
    )
  })
})
