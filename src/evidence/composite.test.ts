import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SimulatedGuest } from '../../test/support/simulated-guest.ts'
import { MalformedError } from '../base/errors.ts'
import type { JsonObject, JsonValue } from '../base/json.ts'
import { devicesOf, encodeComposite, largestTpmContainer, parseComposite, tpmPartOf } from './composite.ts'

const { tdx, tpm } = new SimulatedGuest().both(new Uint8Array(48))
const composite = encodeComposite(tdx, tpm)
const refusal = (document: JsonObject): string => {
  try {
    parseComposite(document)
  } catch (error) {
    if (error instanceof MalformedError) return error.message
    throw error
  }
  return 'accepted'
}
const base64 = (text: string) => Buffer.from(text).toString('base64')

describe('a composite', () => {
  it('carries both parts, and the container of the TPM byte for byte (BRK-92)', () => {
    expect(parseComposite(composite)).toEqual({ tdx, tpm })
    const text = ` ${new TextDecoder().decode(tpm.container)}\n`
    const respaced = parseComposite({ ...composite, tpm: base64(text) })
    expect(respaced.tpm?.evidence).toEqual(tpm.evidence)
    expect(new TextDecoder().decode(respaced.tpm?.container ?? undefined)).toBe(text)
  })

  it('says what it is, and nothing else', () => {
    expect(Object.keys(composite)).toEqual(['format', 'version', 'tdx', 'tpm'])
    expect([composite['format'], composite['version']]).toEqual(['attestd.composite', 1])
  })

  it.each<[string, JsonObject, string]>([
    ['another format', { format: 'attestd.nvgpu' }, 'evidence.format: must be "attestd.composite"'],
    ['a version that is text', { version: '1' }, 'evidence.version: must be 1'],
    ['a later version', { version: 2 }, 'evidence.version: must be 1'],
    ['a TD part that is null', { tdx: null }, 'evidence.tdx: is not an object'],
    ['a TD part that is text', { tdx: 'e30=' }, 'evidence.tdx: is not an object'],
    ['a TD part that is a list', { tdx: [] }, 'evidence.tdx: is not an object'],
    ['an empty TD part', { tdx: {} }, 'evidence.quote: is missing'],
    ['a TPM part that is null', { tpm: null }, 'evidence.tpm: is not a string'],
    ['a TPM part that is an object', { tpm: {} }, 'evidence.tpm: is not a string'],
    ['an empty TPM part', { tpm: '' }, 'evidence: ends too early'],
    ['a TPM part in the other alphabet', { tpm: '-_8=' }, 'evidence.tpm: is not standard base64'],
    ['a TPM part without its padding', { tpm: 'e30' }, 'evidence.tpm: is not standard base64'],
    ['a TPM part with stray bits', { tpm: 'e31=' }, 'evidence.tpm: is not standard base64'],
    ['a TPM part that holds no container', { tpm: base64('{}') }, 'evidence.version: '],
    ['a TPM part that holds a composite', { tpm: base64(JSON.stringify(composite)) }, 'evidence'],
    [
      'a TPM part longer than its limit',
      { tpm: 'A'.repeat(4 * Math.ceil(largestTpmContainer / 3) + 4) },
      'is too long',
    ],
    ['a member more', { gpu: {} }, 'evidence."gpu": is not a member of a composite'],
    ['a member called __proto__', JSON.parse('{"__proto__":1}'), 'is not a member of a composite'],
  ])('with %s is refused, and the member named', (_, changes, says) => {
    expect(refusal({ ...composite, ...changes })).toContain(says)
  })

  it('has a TPM part of up to 20 MiB', () => {
    expect(largestTpmContainer).toBe(20 * 1024 * 1024)
    expect(refusal({ ...composite, tpm: 'A'.repeat(4 * Math.ceil(largestTpmContainer / 3)) })).not.toContain('too long')
  })

  it.each(['format', 'version', 'tdx', 'tpm'])('without %s is refused', (member) => {
    const { [member]: _, ...rest } = composite
    expect(refusal(rest)).toContain(`evidence.${member}: `)
  })

  it('parses or is malformed, whatever its members are', () => {
    const values = fc.jsonValue().map((value) => value as JsonValue)
    const members = fc.constantFrom('format', 'version', 'tdx', 'tpm')
    fc.assert(
      fc.property(members, values, (member, value) => {
        fc.pre(member !== 'version' || value !== 1)
        expect(refusal({ ...composite, [member]: value })).not.toBe('accepted')
      }),
    )
  })
})

describe('the devices beside a TD', () => {
  it('are the TPM by its bytes (BRK-92)', () => {
    expect(devicesOf({ tdx, tpm })).toEqual([{ kind: 'tpm', index: 0, evidence: tpm.container }])
  })

  it('are none without a TPM, or for one whose bytes were never fixed', () => {
    expect(devicesOf({ tdx, tpm: null })).toEqual([])
    expect(devicesOf({ tdx, tpm: { evidence: tpm.evidence, container: null } })).toEqual([])
  })

  it('are fixed once: the same evidence has the same bytes', () => {
    expect(tpmPartOf(tpm.evidence)).toEqual(tpm)
  })
})
