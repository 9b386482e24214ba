import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { recordedCollateral, recordedQuote } from '../../../test/support/recorded-tdx.ts'
import { haveVectors } from '../../../test/support/vectors.ts'
import { concatBytes } from '../../base/bytes.ts'
import type { Collateral } from '../../endorsements/tdx/collateral.ts'
import { appraiseQuote } from './appraise-quote.ts'
import { classOfCheck, quoteChecks } from './checks.ts'
import { createQuoteMemo } from './quote-memo.ts'

const now = Date.parse('2025-06-20T00:00:00Z')
const sample = () => ({
  quote: recordedQuote('quotes/dcapqvl-tdx_quote-v4.bin'),
  collateral: recordedCollateral('collateral/dcapqvl-tdx-b0c06f-2025-06.json'),
})

interface Edit {
  readonly kind: 'cut' | 'insert' | 'replace' | 'remove'
  readonly at: number
  readonly bytes: Uint8Array
}

const edits: fc.Arbitrary<Edit> = fc.record({
  kind: fc.constantFrom('cut', 'insert', 'replace', 'remove'),
  at: fc.nat(20_000),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
})

function edited(whole: Uint8Array, { kind, at, bytes }: Edit): Uint8Array {
  const place = at % (whole.length + 1)
  const [before, behind] = [whole.subarray(0, place), whole.subarray(place)]
  if (kind === 'cut') return before
  if (kind === 'insert') return concatBytes(before, bytes, behind)
  if (kind === 'remove') return concatBytes(before, behind.subarray(bytes.length))
  return concatBytes(before, bytes, behind.subarray(bytes.length))
}

const members = ['tcbInfo', 'tcbInfoIssuerChain', 'qeIdentity', 'rootCaCrl', 'pckCrl', 'pckCrlIssuerChain'] as const

function editedCollateral(collateral: Collateral, member: (typeof members)[number], edit: Edit): Collateral {
  const value = collateral[member] ?? ''
  if (typeof value !== 'string') return { ...collateral, [member]: edited(value, edit) }
  const text = Buffer.from(edited(Buffer.from(value, 'latin1'), edit)).toString('latin1')
  return { ...collateral, [member]: text }
}

const isSame = (left: string | Uint8Array | null, right: string | Uint8Array | null) =>
  left === right ||
  (typeof left !== 'string' && typeof right !== 'string' && Buffer.from(left ?? []).equals(right ?? Buffer.alloc(0)))

/** PEM may be cut into lines elsewhere, and end otherwise (TDX-110): that says the same. */
const withoutLineEndsOf = (text: Collateral[(typeof members)[number]]) => String(text).replace(/[\r\n\0]/g, '')

/** Where the chain begins in the quote; behind it are zeros alone (TDX-108). */
const chainStart = 1258

const withoutLineEnds = (quote: Uint8Array) => [
  Buffer.from(quote.subarray(0, chainStart)).toString('hex'),
  withoutLineEndsOf(Buffer.from(quote.subarray(chainStart)).toString('latin1')),
]

describe.skipIf(!haveVectors)('the appraisal of a quote', () => {
  it('answers, and never throws, whatever is cut, inserted, replaced or removed in the quote (TDX-271)', () => {
    const { quote, collateral } = sample()
    const memo = createQuoteMemo()
    fc.assert(
      fc.property(edits, (edit) => {
        const mutant = edited(quote, edit)
        const { verified } = appraiseQuote(mutant, { collateral, now, reportData: 'any', memo })
        if (isSame(mutant, quote)) expect(verified).toBe(true)
        else if (verified) expect(withoutLineEnds(mutant)).toEqual(withoutLineEnds(quote))
      }),
      { numRuns: 1000 },
    )
  })

  it('answers, and never throws, whatever happens to the collateral', () => {
    const { quote, collateral } = sample()
    const memo = createQuoteMemo()
    fc.assert(
      fc.property(fc.constantFrom(...members), edits, (member, edit) => {
        const mutant = editedCollateral(collateral, member, edit)
        const { verified } = appraiseQuote(quote, { collateral: mutant, now, reportData: 'any', memo })
        const [left, right] = [mutant[member], collateral[member]]
        if (isSame(left, right)) expect(verified).toBe(true)
        else if (!member.endsWith('Chain')) expect(verified).toBe(false)
        else if (verified) expect(withoutLineEndsOf(left)).toBe(withoutLineEndsOf(right))
      }),
      { numRuns: 1000 },
    )
  })

  it('refuses what is too long by its length', () => {
    const { quote, collateral } = sample()
    const failed = (bytes: Uint8Array, changed: Partial<Collateral> = {}) => {
      const inputs = {
        collateral: { ...collateral, ...changed },
        now,
        reportData: 'any',
        memo: createQuoteMemo(),
      } as const
      const { findings } = appraiseQuote(bytes, inputs)
      return findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)
    }
    const large = concatBytes(quote, new Uint8Array(10_000_000))
    const text = `${collateral.tcbInfo}${' '.repeat(10_000_000)}`
    expect(failed(large)).toEqual(['tdx.quote.size'])
    expect(failed(concatBytes(quote, new Uint8Array(65_537 - quote.length)))).toEqual(['tdx.quote.size'])
    expect(failed(concatBytes(quote, new Uint8Array(65_536 - quote.length)))).toEqual([])
    expect(failed(quote, { tcbInfo: text })).toEqual(['tdx.tcbInfo.signature'])
    expect(failed(quote, { qeIdentityIssuerChain: text })).toEqual(['tdx.qeIdentity.chain'])
    expect(failed(quote, { pckCrl: large })).toEqual(['tdx.pckCrl.authentic'])
    expect(failed(quote, { pckCrlIssuerChain: text })).toEqual(['tdx.pckCrl.chain'])
  })

  it('takes no time that is none', () => {
    const { quote, collateral } = sample()
    for (const time of [Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => appraiseQuote(quote, { collateral, now: time })).toThrow(TypeError)
    }
  })
})

describe('the checks of a quote', () => {
  it('have a rule, a remedy and a title of their own each', () => {
    const declared = Object.values(quoteChecks)
    expect(new Set(declared.map(({ title }) => title)).size).toBe(declared.length)
    for (const { rule, remedy, title } of declared) {
      expect(rule).toMatch(/^TDX-\d{3}$/)
      expect(remedy.length).toBeGreaterThan(20)
      expect(title).toMatch(/^[a-zA-Z].*[^.]$/)
    }
  })

  it('of the core are those with a class; the others are for policy', () => {
    const others = Object.keys(quoteChecks).filter((id) => !Object.hasOwn(classOfCheck, id))
    expect(others).toEqual([
      ...['tdx.collateral.present', 'tdx.hardware', 'tdx.reportData', 'tdx.policy.debug', 'tdx.policy.paravisor'],
      ...['tdx.policy.tcbStatus', 'tdx.policy.evaluationNumber', 'tdx.references'],
    ])
  })
})
