import { describe, expect, it } from 'vitest'
import { AttestdError } from '../base/errors.ts'
import { decideExpiry, type LifetimeInputs } from './token-lifetime.ts'

const now = 1_800_000_000
const base: LifetimeInputs = {
  issuedAt: now,
  appraisedAt: now,
  lifetimeS: 900,
  ttlS: null,
  bounds: [],
  leastLifeS: 30,
}

function outcome(change: Partial<LifetimeInputs>): string {
  try {
    const { expiresAt, boundBy } = decideExpiry({ ...base, ...change })
    return `${expiresAt - now} ${boundBy}`
  } catch (error) {
    return error instanceof AttestdError ? [error.code, error.facts['bound']].filter(Boolean).join(' ') : String(error)
  }
}

describe('the end of a token (TOK-44, TOK-45)', () => {
  it.each<[string, Partial<LifetimeInputs>, string]>([
    ['the configured lifetime', {}, '900 audience'],
    ['a shorter wish', { ttlS: 60 }, '60 request'],
    ['a longer wish', { ttlS: 1000 }, '900 audience'],
    ['an appraisal at the edge', { appraisedAt: now - 300 }, '900 audience'],
    ['an older appraisal', { appraisedAt: now - 301 }, '899 appraisal'],
    ['an older appraisal and a wish', { appraisedAt: now - 301, ttlS: 60 }, '59 appraisal'],
    ['collateral', { bounds: [{ name: 'collateral', at: now + 100 }] }, '100 collateral'],
    ['part of a second', { bounds: [{ name: 'policy', at: now + 100.9 }] }, '100 policy'],
    [
      'the nearest of several',
      {
        bounds: [
          { name: 'a', at: now + 70 },
          { name: 'b', at: now + 40 },
        ],
      },
      '40 b',
    ],
    ['just enough life', { ttlS: 30 }, '30 request'],
    ['too little life', { ttlS: 29 }, 'TOKEN_LIFE_TOO_SHORT request'],
    ['little life in test mode', { ttlS: 2, leastLifeS: 2 }, '2 request'],
    ['collateral that has ended', { bounds: [{ name: 'collateral', at: now - 5 }] }, 'TOKEN_LIFE_TOO_SHORT collateral'],
    ['an appraisal of yesterday', { appraisedAt: now - 86_400 }, 'TOKEN_LIFE_TOO_SHORT appraisal'],
    ['a clock that was corrected a little', { appraisedAt: now + 60 }, '900 audience'],
    ['an appraisal from the future', { appraisedAt: now + 61 }, 'APPRAISAL_FROM_FUTURE'],
    ['no wish but zero', { ttlS: 0 }, 'TTL_INVALID'],
    ['a negative wish', { ttlS: -1 }, 'TTL_INVALID'],
    ['a fractional wish', { ttlS: 60.5 }, 'TTL_INVALID'],
    ['a wish that is no number', { ttlS: Number.NaN }, 'TTL_INVALID'],
  ])('%s', (_, change, expected) => {
    expect(outcome(change)).toBe(expected)
  })
})
