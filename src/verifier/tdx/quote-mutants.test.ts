import { describe, expect, it } from 'vitest'
import { recordedCollateral, recordedQuote } from '../../../test/support/recorded-tdx.ts'
import { haveVectors } from '../../../test/support/vectors.ts'
import { appraiseQuote } from './appraise-quote.ts'
import { createQuoteMemo, type QuoteMemo } from './quote-memo.ts'

const samples = [
  ['dcapqvl-tdx_quote-v4', 'dcapqvl-tdx-b0c06f-2025-06', '2025-06-20T00:00:00Z'],
  ['gotdx-v5-sample', 'gotdxv5-tdx-90c06f-2026-02', '2026-02-25T00:00:00Z'],
  ['dcapqvl-sgx_quote-v3', 'dcapqvl-sgx-00a067-2025-06', '2025-06-20T00:00:00Z'],
] as const

function verifiedMutants(quote: Uint8Array, judge: (mutant: Uint8Array) => boolean, mask: number): number[] {
  const mutant = quote.slice()
  const verified: number[] = []
  for (let at = 0; at < mutant.length; at++) {
    mutant[at] = (quote[at] ?? 0) ^ mask
    if (judge(mutant)) verified.push(at)
    mutant[at] = quote[at] ?? 0
  }
  return verified
}

describe.skipIf(!haveVectors)('every byte of a quote, changed (TDX-270)', () => {
  it.each(samples.flatMap((sample) => [0x01, 0x20, 0xff].map((mask) => [...sample, mask] as const)))(
    '%s with %s at %s, mask %i: no mutant is verified, none throws',
    (name, bundle, at, mask) => {
      const quote = recordedQuote(`quotes/${name}.bin`)
      const inputs = {
        collateral: recordedCollateral(`collateral/${bundle}.json`),
        now: Date.parse(at),
        reportData: 'any',
        memo: createQuoteMemo() as QuoteMemo,
      } as const
      const judge = (mutant: Uint8Array) => appraiseQuote(mutant, inputs).verified
      expect(judge(quote)).toBe(true)
      expect(verifiedMutants(quote, judge, mask)).toEqual([])
      expect(judge(quote)).toBe(true)
    },
    120_000,
  )
})
