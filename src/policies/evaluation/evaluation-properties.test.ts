import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { claims, noClaims, policies, queryTexts, ruleTexts } from '../../../test/support/evaluation-arbitraries.ts'
import { evaluate, policyFrom, policyText, service } from '../../../test/support/policy-evaluations.ts'
import type { GivenClaim } from '../claims/incoming-claims.ts'
import { evaluatePolicy } from './evaluate-policy.ts'

const profile = 'attestd'

/** Milliseconds of processor that a call takes: what else runs on the machine does not count. */
function processorMs(call: () => unknown): number {
  const begun = process.cpuUsage()
  call()
  const { user, system } = process.cpuUsage(begun)
  return (user + system) / 1000
}

describe('any policy on any claims', () => {
  it('has a verdict, the same in every run, and never throws', () => {
    const seen = new Set<string>()
    fc.assert(
      fc.property(policies, fc.array(claims, { maxLength: 8 }), (policy, given) => {
        const evaluation = evaluatePolicy(policy, given, { profile })
        expect(evaluatePolicy(policy, given, { profile })).toEqual(evaluation)
        const { trace, ...traced } = evaluatePolicy(policy, given, { profile, trace: true })
        expect(traced).toEqual(evaluation)
        seen.add(evaluation.verdict === 'error' ? evaluation.error.id : evaluation.verdict)
      }),
      { numRuns: 3000 },
    )
    // Otherwise the arbitraries have become too tame to say anything.
    for (const one of ['permit', 'deny', 'POL-410', 'POL-501', 'POL-503', 'POL-310', 'POL-302'])
      expect(seen).toContain(one)
  })

  it('has one for what is no claim at all', () => {
    const policy = policyFrom(policyText({}))
    fc.assert(
      fc.property(fc.oneof(fc.array(noClaims, { maxLength: 3 }), fc.anything()), (given) => {
        const { verdict } = evaluatePolicy(policy, given as GivenClaim[], { profile })
        expect(verdict === 'error' || verdict === 'permit').toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  it('takes no time to speak of for any query and document', () => {
    const policy = policyFrom(
      policyText({
        issuance: ['d:[type=="d"] && q:[type=="q"] => issue(type="r", value=JmesPath(d.value, q.value));'],
      }),
    )
    const document = JSON.stringify({
      a: Array.from({ length: 30 }, (_, at) => ({ a: at, b: [at, 'x'] })),
      b: 'x'.repeat(1000),
    })
    const evaluateQuery = (query: string) =>
      evaluatePolicy(policy, [service('d', document), service('q', query)], { profile })
    let [slowest, slow] = [0, '']
    fc.assert(
      fc.property(queryTexts, (query) => {
        const took = processorMs(() => evaluateQuery(query))
        if (took > slowest) [slowest, slow] = [took, query]
      }),
      { numRuns: 2000 },
    )
    // A pause of the collector can fall into any call: the slowest query must be slow again.
    expect(processorMs(() => evaluateQuery(slow))).toBeLessThan(100)
  })
})

describe('the order of claims', () => {
  it('of different types never changes the verdict', () => {
    const rules = ruleTexts(['', ', issuer=="AttestationService"', ', issuer=="CustomClaim"'])
    const given = fc.array(claims, { maxLength: 8 })
    const seen = new Set<string>()
    fc.assert(
      fc.property(rules, given, fc.infiniteStream(fc.nat()), (texts, list, numbers) => {
        const mixed = interleaved(list, numbers)
        const { verdict } = evaluate({ authorization: texts }, list)
        expect(evaluate({ authorization: texts }, mixed).verdict).toBe(verdict)
        seen.add(verdict)
      }),
      { numRuns: 1500 },
    )
    expect([...seen].sort()).toEqual(['deny', 'error', 'permit'])
  })
})

/** The same claims in another order, those of one type in theirs. */
function interleaved(list: readonly GivenClaim[], numbers: Iterator<number>): GivenClaim[] {
  const rest = new Map<unknown, GivenClaim[]>()
  for (const claim of list) rest.set(claim.type, [...(rest.get(claim.type) ?? []), claim])
  const mixed: GivenClaim[] = []
  while (rest.size > 0) {
    const types = [...rest.keys()]
    const type = types[numbers.next().value % types.length]
    const queue = rest.get(type) ?? []
    mixed.push(...queue.splice(0, 1))
    if (queue.length === 0) rest.delete(type)
  }
  return mixed
}

describe('claims of the attester', () => {
  it('change nothing for a policy whose conditions all ask for another issuer', () => {
    const rules = ruleTexts([', issuer=="AttestationService"', ', issuer=="AttestationPolicy"'])
    const ofService = claims.map((claim) => ({ ...claim, issuer: 'AttestationService' }))
    const ofAttester = claims.map((claim) => ({ ...claim, issuer: 'CustomClaim' }))
    const seen = new Set<string>()
    fc.assert(
      fc.property(
        rules,
        fc.array(ofService, { maxLength: 6 }),
        fc.array(ofAttester, { minLength: 1, maxLength: 4 }),
        (texts, own, foreign) => {
          // An order of Strings is an error whoever sent them, but a claim of another issuer is not even tested (POL-413).
          const without = evaluate({ authorization: texts }, own)
          const { steps, ...verdict } = evaluate({ authorization: texts }, [...foreign, ...own])
          expect(verdict).toEqual({ ...without, steps: undefined })
          expect(steps).toBeGreaterThanOrEqual(without.steps)
          seen.add(without.verdict)
        },
      ),
      { numRuns: 1500 },
    )
    expect([...seen].sort()).toEqual(['deny', 'error', 'permit'])
  })
})
