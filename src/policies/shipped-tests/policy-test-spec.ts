import type { EvidenceKind } from '../claims/claim-entry.ts'
import type { ShippedPolicy } from '../defaults/shipped-policy.ts'
import type { DenialReason } from '../evaluation/evaluation.ts'

type Value = string | number | boolean

/** Values by claim type, all of the issuer `AttestationService`; null: the claim is not there. */
export type GivenValues = Readonly<Record<string, Value | readonly Value[] | null>>

/** What a shipped policy says of evidence; changes are made to `claims`. */
export interface PolicyTestSpec {
  readonly policy: ShippedPolicy
  readonly kinds: readonly EvidenceKind[]
  /** Evidence that it permits. */
  readonly claims: GivenValues
  /** What it issues for them. */
  readonly token: Readonly<Record<string, Value | readonly Value[]>>
  /** Evidence that it permits as well. */
  readonly permits?: readonly (readonly [note: string, changes: GivenValues])[]
  readonly refuses: readonly (readonly [note: string, changes: GivenValues, reason: Exclude<DenialReason, 'error'>])[]
}

const claimsOf = (values: GivenValues, issuer = 'AttestationService') =>
  Object.entries(values).flatMap(([type, value]) =>
    value === null ? [] : [value].flat().map((one) => ({ type, value: one, issuer })),
  )

interface Run {
  readonly note: string
  readonly claims: readonly object[]
  readonly expect: object
}

function runsOf({ claims, token, permits = [], refuses }: PolicyTestSpec): readonly Run[] {
  return [
    { note: 'permitted', claims: claimsOf(claims), expect: { verdict: 'permit', token } },
    ...permits.map(([note, changes]) => ({
      note,
      claims: claimsOf({ ...claims, ...changes }),
      expect: { verdict: 'permit' },
    })),
    ...refuses.map(([note, changes, reason]) => ({
      note,
      claims: claimsOf({ ...claims, ...changes }),
      expect: { verdict: 'deny', reason },
    })),
    {
      note: 'nothing that the attester says of itself counts',
      claims: claimsOf(claims, 'CustomClaim'),
      expect: { verdict: 'deny', reason: 'no-permit' },
    },
  ]
}

/** One claim a line, so that a reader sees what differs. */
function runText({ note, expect, claims }: Run): string {
  const lines = claims.map((claim) => `    ${JSON.stringify(claim)}`)
  return `   {"note":${JSON.stringify(note)},"expect":${JSON.stringify(expect)},"claims":[\n${lines.join(',\n')}]}`
}

/** A file of policy tests (POL-830) about one policy, which lies beside it as `NAME.policy`. */
export function policyTestFile(spec: PolicyTestSpec): string {
  const { name } = spec.policy
  const expect = { load: { status: 'ok' }, lints: { must: [], mustNot: ['*'] } }
  const head = JSON.stringify({ name, policy: `${name}.policy`, kinds: spec.kinds, expect }).slice(0, -1)
  const runs = runsOf(spec).map(runText).join(',\n')
  return `{"format":"attestd-policy-tests/1","tests":[\n  ${head},"runs":[\n${runs}\n  ]}\n]}\n`
}
