import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type RecordedCase, recordedCases, syntheticCases } from '../../../test/support/recorded-tdx.ts'
import { haveVectors } from '../../../test/support/vectors.ts'
import type { Collateral } from '../../endorsements/tdx/collateral.ts'
import { intelSgxRootAnchors } from '../../endorsements/tdx/intel-root.ts'
import { appraiseQuote } from './appraise-quote.ts'
import { anchorsKey, contentKey } from './content-key.ts'
import { createQuoteMemo, RecentMap } from './quote-memo.ts'

const cases = haveVectors ? [...recordedCases(), ...syntheticCases()] : []

function flipped<Value extends string | Uint8Array>(value: Value, at: number, mask: number): Value {
  const place = at % value.length
  if (typeof value !== 'string') return value.map((byte, index) => (index === place ? byte ^ mask : byte)) as Value
  const changed = String.fromCharCode(value.charCodeAt(place) ^ mask)
  return (value.slice(0, place) + changed + value.slice(place + 1)) as Value
}

interface Change {
  readonly member: 'quote' | keyof Collateral
  readonly at: number
  readonly mask: number
}

function changedCase(one: RecordedCase, { member, at, mask }: Change): RecordedCase {
  if (member === 'quote') return { ...one, quote: flipped(one.quote, at, mask) }
  const value = one.collateral[member]
  if (value === null || value.length === 0) return one
  return { ...one, collateral: { ...one.collateral, [member]: flipped(value, at, mask) } }
}

interface Mixed {
  readonly quote: RecordedCase
  readonly collateral: RecordedCase
  readonly anchors: RecordedCase
  readonly time: RecordedCase
  readonly change: Change | null
}

const unchanged = (one: RecordedCase): [Mixed] => [
  { quote: one, collateral: one, anchors: one, time: one, change: null },
]

const changes = fc.record({
  member: fc.constantFrom<Change['member']>(
    ...(['quote', 'tcbInfo', 'tcbInfoSignature', 'tcbInfoIssuerChain', 'qeIdentity', 'qeIdentitySignature'] as const),
    ...(['qeIdentityIssuerChain', 'rootCaCrl', 'pckCrl', 'pckCrlIssuerChain'] as const),
  ),
  at: fc.nat(10_000),
  mask: fc.integer({ min: 1, max: 255 }),
})

describe.skipIf(!haveVectors)('a memo (TDX-216)', () => {
  it('changes no finding of any quote with any collateral, whole or damaged, under any anchor and at any time', () => {
    const memo = createQuoteMemo({ maximum: 3 })
    const one = fc.constantFrom(...cases)
    const mixed = fc.record({ quote: one, collateral: one, anchors: one, time: one, change: fc.option(changes) })
    fc.assert(
      fc.property(mixed, ({ quote, collateral, anchors, time, change }) => {
        const whole: RecordedCase = { ...quote, collateral: collateral.collateral, trustAnchors: anchors.trustAnchors }
        const input = change === null ? whole : changedCase(whole, change)
        const inputs = { collateral: input.collateral, trustAnchors: input.trustAnchors, now: time.now } as const
        const cold = appraiseQuote(input.quote, { ...inputs, reportData: 'any' })
        const warm = appraiseQuote(input.quote, { ...inputs, reportData: 'any', memo })
        expect(warm).toEqual(cold)
      }),
      {
        numRuns: 200,
        examples: cases.map(unchanged),
      },
    )
  })

  it('takes the mark of an anchor from the inputs of each appraisal', () => {
    const [one] = syntheticCases()
    const { quote, collateral, trustAnchors = [], now } = one ?? cases[0] ?? ({} as RecordedCase)
    const memo = createQuoteMemo()
    const simulated = (simulator: boolean) => {
      const marked = trustAnchors.map((anchor) => ({ ...anchor, name: `marked ${simulator}`, simulator }))
      const appraisal = appraiseQuote(quote, { collateral, trustAnchors: marked, now, reportData: 'any', memo })
      return [appraisal.simulated, appraisal.pck?.anchor]
    }
    expect([simulated(false), simulated(true), simulated(false)]).toEqual([
      [false, 'marked false'],
      [true, 'marked true'],
      [false, 'marked false'],
    ])
  })
})

describe('the map of a memo', () => {
  it('forgets what was not asked for longest, and never holds more than its maximum', () => {
    const map = new RecentMap<number>(2)
    map.set('a', 1)
    map.set('b', 2)
    expect(map.get('a')).toBe(1)
    map.set('c', 3)
    expect([map.get('a'), map.get('b'), map.get('c')]).toEqual([1, undefined, 3])
    map.set('c', 4)
    expect([map.get('a'), map.get('c')]).toEqual([1, 4])
  })

  it('must hold something', () => {
    for (const maximum of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => createQuoteMemo({ maximum })).toThrow(TypeError)
    }
  })

  it('has no key for parts of more than 2 MiB, and no anchors of that size', () => {
    const mebibyte = new Uint8Array(1_048_576)
    expect(contentKey(mebibyte, mebibyte)).not.toBeNull()
    expect(contentKey(mebibyte, mebibyte, 'x')).toBeNull()
    const [anchor] = intelSgxRootAnchors
    if (anchor === undefined) throw new TypeError('there is one')
    const large = { ...anchor, fingerprints: ['x'.repeat(2_097_153)] }
    expect(() => anchorsKey([large])).toThrow(TypeError)
  })

  it('has another key for anchors in other groups, order, names and keys', () => {
    const [anchor] = intelSgxRootAnchors
    if (anchor === undefined) throw new TypeError('there is one')
    const { authority, fingerprints } = anchor
    const of = (change: object) => ({ ...anchor, authority: { ...authority, ...change } })
    const other = { ...anchor, fingerprints: fingerprints.slice(0, 1) }
    const keys = [
      ...[
        [],
        [anchor],
        [other],
        [anchor, other],
        [other, anchor],
        [{ ...anchor, fingerprints: [...fingerprints].reverse() }],
      ],
      [of({ publicKey: authority.publicKey.subarray(1) })],
      [of({ subject: { ...authority.subject, der: authority.subject.der.subarray(1) } })],
    ].map(anchorsKey)
    expect(new Set(keys).size).toBe(keys.length)
  })

  it('has another key for parts that are cut elsewhere, for text and bytes, and for texts that are not well-formed', () => {
    const bytes = new Uint8Array(Buffer.from('ab', 'utf16le'))
    const keys = [['ab', 'c'], ['a', 'bc'], ['abc'], [bytes], ['ab'], ['\ud800'], ['\udfff'], ['\ufffd'], []]
    expect(new Set(keys.map((parts) => contentKey(...parts))).size).toBe(keys.length)
  })
})
