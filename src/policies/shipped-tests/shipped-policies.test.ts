import { describe, expect, it } from 'vitest'
import type { GivenClaim } from '../claims/incoming-claims.ts'
import { defaultPolicies } from '../defaults/default-policies.ts'
import { evaluatePolicy } from '../evaluation/evaluate-policy.ts'
import { examplePolicies } from '../examples/example-policies.ts'
import { parsePolicy } from '../language/parse-policy.ts'
import type { Policy, Rule } from '../language/syntax.ts'
import { lintPolicy } from '../lint/lint-policy.ts'
import { type PolicyTestSpec, policyTestFile } from './policy-test-spec.ts'
import { tdxPolicyTests } from './tdx-tests.ts'
import { tpmPolicyTests } from './tpm-tests.ts'

interface Run {
  readonly note: string
  readonly claims: readonly GivenClaim[]
  readonly expect: { readonly verdict: string; readonly reason?: string; readonly token?: object }
}

const all: readonly PolicyTestSpec[] = [...tdxPolicyTests, ...tpmPolicyTests]

function parsed(text: string) {
  const loaded = parsePolicy(text)
  return loaded.policy === undefined ? expect.unreachable() : loaded
}

const runsOf = (spec: PolicyTestSpec): readonly Run[] => JSON.parse(policyTestFile(spec)).tests[0].runs

function outcome(policy: Policy, claims: readonly GivenClaim[]) {
  const evaluation = evaluatePolicy(policy, claims, { profile: 'attestd' })
  if (evaluation.verdict === 'error') return { verdict: 'error', error: evaluation.error }
  if (evaluation.verdict === 'deny') return { verdict: 'deny', reason: evaluation.reason }
  const token = JSON.parse(
    JSON.stringify(evaluation.token, (_name, value) => (typeof value === 'bigint' ? Number(value) : value)),
  )
  return { verdict: 'permit', token }
}

const without = <T>(list: readonly T[], at: number) => list.filter((_one, index) => index !== at)

/** Says what holds anyway, for who reads the policy. */
function statesDefault({ action }: Rule): boolean {
  if (action.kind !== 'issueproperty' || action.argument.kind === 'copy') return false
  const { type, value } = action.argument
  return type.kind === 'string' && type.value === 'require_valid_aik_cert' && value.kind === 'boolean' && value.value
}

/** The policy with one rule less, or with one condition less in one rule; each with what is missing. */
function* weakened(policy: Policy): Generator<readonly [missing: string, Policy]> {
  for (const section of ['configuration', 'authorization'] as const) {
    for (const [at, rule] of policy[section].entries()) {
      if (statesDefault(rule)) continue
      yield [`rule in line ${rule.span.line}`, { ...policy, [section]: without(policy[section], at) }]
      for (const [index, { span }] of rule.conditions.entries()) {
        const weaker: Rule = { ...rule, conditions: without(rule.conditions, index) }
        yield [`condition in line ${span.line}`, { ...policy, [section]: policy[section].with(at, weaker) }]
      }
    }
  }
}

describe('the shipped policies', () => {
  it('are all tested, but the one that permits nothing', () => {
    const shipped = [...defaultPolicies, ...examplePolicies].map(({ name }) => name)
    const tested = all.map(({ policy }) => policy.name)
    expect([...tested, 'attestd-deny-all-v1'].sort()).toEqual(shipped.sort())
    const { policy } = parsed(defaultPolicies.at(-1)?.text ?? '')
    expect(outcome(policy, [{ type: 'a', value: 1 }])).toEqual({ verdict: 'deny', reason: 'deny-rule' })
  })

  it.each(all.flatMap((spec) => runsOf(spec).map((run) => [spec.policy.name, run.note, spec, run] as const)))(
    '%s: %s',
    (_name, _note, spec, run) => {
      expect(outcome(parsed(spec.policy.text).policy, run.claims)).toMatchObject(run.expect)
    },
  )

  it.each(all.map((spec) => [spec.policy.name, spec] as const))(
    '%s has nothing doubtful',
    (_name, { policy, kinds }) => {
      expect(lintPolicy(parsed(policy.text), { kinds })).toEqual([])
    },
  )

  // A rule or a condition that no run misses would be there by mistake, or be untested.
  it.each(all.map((spec) => [spec.policy.name, spec] as const))(
    '%s has no part that its tests do not need',
    (_name, spec) => {
      const { policy } = parsed(spec.policy.text)
      const outcomes = (one: Policy) => JSON.stringify(runsOf(spec).map(({ claims }) => outcome(one, claims)))
      const own = outcomes(policy)
      const idle = [...weakened(policy)].filter(([, weaker]) => outcomes(weaker) === own).map(([missing]) => missing)
      expect(idle).toEqual([])
    },
  )
})
