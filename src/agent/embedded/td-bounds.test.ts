import { describe, expect, it } from 'vitest'
import type { QuoteAppraisal } from '../../verifier/index.ts'
import { boundsOfTd } from './td-bounds.ts'

type Ends = Parameters<typeof boundsOfTd>[0]
const pck = { notAfter: 2_000_000_999 } as QuoteAppraisal['pck']
const collateral = (expired: boolean) =>
  ({ expired, earliestExpirationDate: 1_000_000_999 }) as QuoteAppraisal['collateral']

describe('what ends a token about a TD (TOK-44)', () => {
  it.each<readonly [string, Ends, readonly object[]]>([
    [
      'its certificate and its collateral, in whole seconds',
      { pck, collateral: collateral(false) },
      [
        { name: 'PCK certificate', at: 2_000_000 },
        { name: 'TDX collateral', at: 1_000_000 },
      ],
    ],
    [
      'its certificate alone where collateral is in its grace',
      { pck, collateral: collateral(true) },
      [{ name: 'PCK certificate', at: 2_000_000 }],
    ],
    ['nothing where neither was seen', { pck: null, collateral: null }, []],
  ])('is %s', (_, appraisal, bounds) => {
    expect(boundsOfTd(appraisal)).toEqual(bounds)
  })
})
