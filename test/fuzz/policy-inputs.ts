import fc from 'fast-check'
import type { GivenClaim } from '../../src/policies/claims/incoming-claims.ts'
import { defaultPolicies, examplePolicies, type PolicyLimits } from '../../src/policies/index.ts'
import { type PolicyProfile, reservedNames } from '../../src/policies/reserved-claims.ts'
import { claims, queryTexts, ruleTexts } from '../support/evaluation-arbitraries.ts'
import { mutatedPolicyTexts } from '../support/mutated-policies.ts'
import { policyTexts } from '../support/policy-arbitraries.ts'
import { claimsOf, policyBytes, policyCases } from '../support/policy-cases.ts'
import { haveVectors } from '../support/vectors.ts'

/** What one evaluation is made of. */
export interface PolicyInput {
  readonly text: string
  readonly lenient: boolean
  readonly profile: PolicyProfile
  readonly claims: readonly GivenClaim[]
  readonly limits: Partial<PolicyLimits>
  readonly trace: boolean
}

interface Seed {
  readonly text: string
  readonly claims: readonly GivenClaim[]
}

const decode = (bytes: Uint8Array) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)

/** Policies with claims that they permit or deny: what is near to them goes deeper than what is made up. */
const recordedSeeds: readonly Seed[] = haveVectors
  ? policyCases().flatMap((each) => {
      const bytes = policyBytes(each)
      if (bytes.length > 4000) return []
      const runs = (each.runs ?? []).filter(({ generateClaim }) => generateClaim === undefined)
      return runs.map((run) => ({ text: decode(bytes), claims: claimsOf(run) }))
    })
  : []
const seeds: readonly Seed[] = [
  ...recordedSeeds,
  ...[...defaultPolicies, ...examplePolicies].map(({ text }) => ({ text, claims: [] })),
]

const sections = (permits: readonly string[], writes: readonly string[]) =>
  `version=1.2;\nauthorizationrules {\n${permits.join('\n')}\n};\nissuancerules {\n${writes.join('\n')}\n};\n`
const quoted = (text: string) => `"${text.replace(/[\\"]/g, '\\$&').replace(/[\u0000-\u001f]/g, '')}"`
const lasting = (text: string) => !/\p{Surrogate}/u.test(text)

/** Rules that ask documents, with queries of all kinds, some of them built from claims. */
const queryRules = fc
  .tuple(fc.constantFrom('c.value', 'd.value', '"[1,{\\"a\\":[2]}]"'), queryTexts.filter(lasting), fc.nat(5))
  .map(([input, query, form]) => {
    const asked = form === 0 ? 'd.value' : form === 1 ? `AppendString(${quoted(query)}, d.value)` : quoted(query)
    const result = `JmesPath(${input}, ${asked})`
    const value = form < 4 ? result : `JsonToClaimValue(${result})`
    return `c:[type=="a"] && d:[type=="b"] => add(type="p", value=${value});`
  })

/** Names that are closed and such that look like them, and values that never reach a token (POL-425 to POL-427). */
const guardedRules = fc.oneof(
  fc
    .constantFrom(...reservedNames.attestd, 'ISS', 'constructor', 'groups')
    .map((name) => `=> issue(type="${name}", value=1);`),
  fc
    .constantFrom('issue(claim=q);', 'issue(type="s", value=JmesPath(q.value, "@"));')
    .map((action) => `q:[type=="pcrs"] => ${action}`),
  fc.nat(2).map((value) => `=> issueproperty(type="report_validity_in_minutes", value=${value + 1});`),
)

const madeUp = fc
  .tuple(
    ruleTexts(['', ', issuer=="AttestationService"']),
    fc.array(queryRules, { maxLength: 3 }),
    fc.array(guardedRules, { maxLength: 2 }),
  )
  .map(([rules, queries, guarded]) => {
    const permits = [...queries, ...rules, '=> permit();']
    const writes = ['c:[type=="p"] => issue(claim=c);', 'c:[type=="a"] => issue(type="r", value=c.value);']
    return sections(permits, [...writes, ...guarded])
  })

/** Words in quotes of a text: what it asks for. */
function wordsOf(text: string): readonly string[] {
  const found = text.match(/"[^"\\\r\n]{1,80}"/g) ?? []
  return [...new Set(found.map((word) => word.slice(1, -1)))]
}

const values: readonly (string | bigint | boolean)[] = [
  ...[true, false, 0n, 1n, 7n, -1n, 9223372036854775807n, '', 'a', 'UpToDate', 'null', '[]', '[1,2]', '{"a":1}'],
  ...['{"Events":[{"EventSeq":1,"PcrIndex":7,"ProcessedData":{"String":"x"}}]}', '{"PCRs":[{"Index":0}]}', '1e999'],
]
const issuers = ['AttestationService', 'CustomClaim']

/** A claim that a text could be about, picked by three numbers. */
function claimFor(words: readonly string[], [type, value, issuer]: readonly [number, number, number]): GivenClaim {
  const all = [...values, ...words]
  return {
    type: words[type % Math.max(1, words.length)] ?? 'a',
    value: all[value % all.length] ?? '',
    issuer: issuers[issuer % issuers.length] ?? 'CustomClaim',
  }
}

const picks = fc.array(fc.tuple(fc.nat(9999), fc.nat(9999), fc.nat(3)), { maxLength: 10 })

/** A recorded policy with its claims, of which some are left out and others are added. */
const nearRecorded: fc.Arbitrary<Seed> = fc
  .tuple(fc.constantFrom(...seeds), picks, fc.nat(7), fc.nat(9999))
  .map(([seed, picked, kept, at]) => {
    const words = wordsOf(seed.text)
    const own = seed.claims.filter((_, index) => kept > 0 || index !== at % seed.claims.length)
    return { text: seed.text, claims: [...own, ...picked.map((pick) => claimFor(words, pick))] }
  })

const anyText: fc.Arbitrary<Seed> = fc
  .tuple(fc.oneof(mutatedPolicyTexts, policyTexts, madeUp), picks, fc.array(claims, { maxLength: 6 }))
  .map(([text, picked, others]) => ({
    text,
    claims: [...picked.map((pick) => claimFor(wordsOf(text), pick)), ...others],
  }))

/** Limits as they are, and now and then so low that they end the evaluation somewhere. */
const limits = fc.oneof(
  { weight: 9, arbitrary: fc.constant<Partial<PolicyLimits>>({}) },
  {
    weight: 1,
    arbitrary: fc.record<Partial<PolicyLimits>>({
      steps: fc.nat(300),
      workingClaims: fc.nat(30),
      resultBytes: fc.nat(60),
      issuedBytes: fc.nat(200),
      queryNodes: fc.nat(20),
    }),
  },
)

/** Policies, most of which load, with claims that they could be about. */
export const policyInputs: fc.Arbitrary<PolicyInput> = fc
  .tuple(
    fc.oneof(nearRecorded, { weight: 2, arbitrary: anyText }),
    fc.record({ lenient: fc.boolean(), profile: fc.constantFrom('attestd', 'maa'), limits, trace: fc.boolean() }),
  )
  .map(([seed, options]) => ({ ...seed, ...options }))
