import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { judgePolicy } from '../../../test/fuzz/judge-policy.ts'
import { policyInputs } from '../../../test/fuzz/policy-inputs.ts'

/** `npm run fuzz` tries as many as it is told to. */
const runs = 4000

describe('mutated and random policies on random claims', () => {
  it('load or do not, and have a verdict that the specification allows (POL-421, POL-424)', {
    timeout: 120_000,
  }, () => {
    const seen = new Map<string, number>()
    fc.assert(
      fc.property(policyInputs, fc.nat(15), (input, dice) => {
        const outcome = judgePolicy(input, dice === 0)
        seen.set(outcome, (seen.get(outcome) ?? 0) + 1)
      }),
      { numRuns: runs },
    )
    // Otherwise what is tried has become too tame, or too wild, to say anything.
    for (const one of ['permit', 'deny']) expect(seen.get(one)).toBeGreaterThan(runs / 20)
    for (const one of ['error POL-410', 'error POL-412', 'error POL-503', 'POL-207'])
      expect([...seen.keys()]).toContain(one)
  })
})
