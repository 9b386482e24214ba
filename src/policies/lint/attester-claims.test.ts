import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type PolicyCase, policyBytes, policyCases } from '../../../test/support/policy-cases.ts'
import { haveVectors } from '../../../test/support/vectors.ts'
import type { GivenClaim } from '../claims/incoming-claims.ts'
import { defaultPolicies } from '../defaults/default-policies.ts'
import { evaluatePolicy } from '../evaluation/evaluate-policy.ts'
import { examplePolicies } from '../examples/example-policies.ts'
import { parsePolicy } from '../language/parse-policy.ts'
import type { Policy } from '../language/syntax.ts'
import { admitsIssuer } from './condition-facts.ts'
import { lintPolicy } from './lint-policy.ts'

interface Tested {
  readonly name: string
  readonly policy: Policy
  readonly claims: readonly GivenClaim[]
}

/** A rule that asks for claims of the attester, or does not mind them, says so. */
function wantsCustomClaims({ configuration, authorization }: Policy): boolean {
  const conditions = [...configuration, ...authorization].flatMap((rule) => rule.conditions)
  return conditions.some(
    (one) => one.tests.some(({ property }) => property === 'issuer') && admitsIssuer(one, 'CustomClaim'),
  )
}

const verdictOf = (policy: Policy, claims: readonly GivenClaim[]) =>
  evaluatePolicy(policy, claims, { profile: 'attestd' }).verdict

function testedOf(name: string, input: string | Uint8Array, claims: readonly GivenClaim[]): Tested[] {
  const parsed = parsePolicy(input)
  if (parsed.policy === undefined || wantsCustomClaims(parsed.policy)) return []
  if (verdictOf(parsed.policy, claims) === 'permit') return []
  const doubtful = lintPolicy(parsed).some(({ id }) => id === 'L01' || id === 'L02')
  return doubtful ? [] : [{ name, policy: parsed.policy, claims }]
}

const fromCase = (one: PolicyCase) =>
  (one.runs ?? []).flatMap((run) => testedOf(one.name, policyBytes(one), run.claims ?? []))

const recorded = haveVectors
  ? policyCases().filter(
      (one) => one.expect.load.status === 'ok' && one.mode !== 'lenient' && !one.name.startsWith('limit'),
    )
  : []
const tested: readonly Tested[] = [
  ...[...defaultPolicies, ...examplePolicies].flatMap(({ name, text }) => testedOf(name, text, [])),
  ...recorded.flatMap(fromCase),
]

/** Types and values that the rules of a policy ask for. */
function literalsOf(policy: Policy): readonly (string | number | boolean)[] {
  const text = JSON.stringify(policy, (_name, value) => (typeof value === 'bigint' ? Number(value) : value))
  const literals: (string | number | boolean)[] = []
  JSON.parse(text, (name, value) => {
    if (name === 'value' && typeof value !== 'object') literals.push(value)
    return value
  })
  return literals
}

describe('what the attester says of itself (L01, L02)', () => {
  it('is tried on the shipped policies and many recorded ones', () => {
    expect(tested.length).toBeGreaterThan(haveVectors ? 30 : 10)
  })

  it.each(tested.map((one) => [one.name, one] as const))('never makes %s permit', (_name, { policy, claims }) => {
    const literals = literalsOf(policy)
    const names = literals.filter((one) => typeof one === 'string' && one !== '')
    const claim = fc.record({
      type: fc.constantFrom('x', ...names),
      value: fc.constantFrom(true, false, 1, ...literals),
    })
    fc.assert(
      fc.property(fc.array(claim, { maxLength: 12 }), (custom) => {
        expect(verdictOf(policy, [...claims, ...custom])).not.toBe('permit')
      }),
      { numRuns: 30 },
    )
  })
})
