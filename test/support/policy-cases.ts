import type { EvidenceKind } from '../../src/policies/claims/claim-entry.ts'
import type { GivenClaim } from '../../src/policies/claims/incoming-claims.ts'
import { vector, vectorJson } from './vectors.ts'

export interface ExpectedLoad {
  readonly status: 'ok' | 'rejected'
  readonly id?: string
  readonly line?: number
  readonly column?: number
  readonly found?: string
  readonly expectedIncludes?: string
  readonly hintIncludes?: string
  readonly messageIncludes?: string
}

export interface ExpectedEvaluation {
  readonly verdict: 'permit' | 'deny' | 'error'
  readonly reason?: string
  readonly error?: { readonly id: string | readonly string[]; readonly line?: number }
  readonly token?: Readonly<Record<string, unknown>>
  readonly properties?: Readonly<Record<string, unknown>>
  readonly added?: readonly unknown[]
  readonly firedLines?: readonly number[]
}

/** One evaluation of a case: `claimsOf` gives its incoming claims. */
export interface PolicyCaseRun {
  readonly note?: string
  readonly claims?: readonly GivenClaim[]
  readonly generateClaim?: Generated & Pick<GivenClaim, 'type' | 'issuer'>
  readonly expect: ExpectedEvaluation
}

interface Generated {
  readonly prefix: string
  readonly unit: string
  readonly count: number
  readonly suffix: string
}

/** One test of a policy test file (POL-830), as far as it tells which policy is meant. */
export interface PolicyCase {
  readonly name: string
  readonly policy?: string
  readonly policyText?: string
  readonly policyBase64?: string
  readonly generate?: Generated
  readonly mode?: 'strict' | 'lenient'
  readonly expect: {
    readonly load: ExpectedLoad
    readonly policyHash?: string
    readonly lints?: {
      readonly must: readonly { readonly id: string; readonly line: number; readonly column: number }[]
      /** `*`: nothing above info. */
      readonly mustNot: readonly string[]
    }
  }
  readonly profile?: 'attestd' | 'maa'
  readonly kinds?: readonly EvidenceKind[]
  readonly runs?: readonly PolicyCaseRun[]
}

/** The recorded cases of `policy/cases.json`. */
export function policyCases(): readonly PolicyCase[] {
  return vectorJson('policy/cases.json').tests
}

/** The policy of a case as bytes, wherever it is written. */
export function policyBytes({ policy, policyText, policyBase64, generate }: PolicyCase): Uint8Array {
  if (policy !== undefined) return vector(`policy/${policy}`)
  if (policyBase64 !== undefined) return new Uint8Array(Buffer.from(policyBase64, 'base64'))
  if (policyText !== undefined) return new TextEncoder().encode(policyText)
  if (generate === undefined) throw new TypeError('a case without a policy')
  return new TextEncoder().encode(generated(generate))
}

/** A generated claim stands in front of the others. */
export function claimsOf({ claims = [], generateClaim }: PolicyCaseRun): readonly GivenClaim[] {
  if (!generateClaim) return claims
  const { type, issuer } = generateClaim
  return [{ type, issuer, value: generated(generateClaim) }, ...claims]
}

function generated({ prefix, unit, count, suffix }: Generated): string {
  return prefix + unit.repeat(count) + suffix
}
