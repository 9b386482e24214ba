import type { Claim, ClaimValue } from '../claim.ts'
import type { SectionName } from '../language/syntax.ts'

/** Why a policy did not permit (POL-421, POL-422, POL-428, POL-424). */
export type DenialReason = 'deny-rule' | 'no-permit' | 'configuration' | 'error'

/** A rule that could not be evaluated: the whole verdict is *error* (POL-424). */
export interface EvaluationError {
  /** Rule of the specification: `POL-412`. */
  readonly id: string
  readonly message: string
  readonly section: SectionName | null
  /** Line of the rule; null if no rule was reached (incoming claims). */
  readonly line: number | null
}

/** A member of the token: one value, or several in order of arrival (POL-419). */
export type TokenValue = ClaimValue | readonly ClaimValue[]

interface Evaluated {
  /** Lines of the rules that decided: those that denied, or else those that permitted. */
  readonly decidedBy: readonly number[]
  /** POL-608. */
  readonly steps: number
  /** Lines of the rules that fired, in order. */
  readonly firedLines: readonly number[]
  /** Claims with issuer `AttestationPolicy`, in order. */
  readonly added: readonly Claim[]
  /** Only if asked for (POL-820). */
  readonly trace?: readonly TraceEntry[]
}

/** What decides about a token. `token` and `properties` have no prototype (POL-419). */
export type Verdict =
  | {
      readonly verdict: 'permit'
      readonly token: Readonly<Record<string, TokenValue>>
      readonly properties: Readonly<Record<string, ClaimValue>>
    }
  | { readonly verdict: 'deny'; readonly reason: Exclude<DenialReason, 'error'> }
  | { readonly verdict: 'error'; readonly error: EvaluationError }

/** What a policy says about one set of incoming claims. */
export type Evaluation = Evaluated & Verdict

/** A claim that nearly matched, with the first property that did not (POL-820). */
export type NearMiss =
  | { readonly type: string; readonly value: ClaimValue; readonly issuer: string; readonly failed: string }
  | { readonly absent: string }

/** A claim that matched a condition, long Strings cut. */
export type MatchedClaim = Pick<Claim, 'type' | 'value' | 'issuer'>

export interface ConditionTrace {
  readonly line: number
  readonly column: number
  readonly negated: boolean
  readonly matched: number
  readonly result: boolean
  /** The first three claims that matched; also of a negated condition, which is false because of them. */
  readonly claims?: readonly MatchedClaim[]
  readonly near?: readonly NearMiss[]
}

export interface EffectTrace {
  readonly op: 'add' | 'issue' | 'issueproperty'
  readonly type: string
  readonly value: ClaimValue
  /** False if the working set had it (POL-415). */
  readonly new: boolean
}

/** One rule that was reached (POL-820). */
export interface TraceEntry {
  readonly section: SectionName
  /** 1-based, in its section. */
  readonly rule: number
  readonly line: number
  readonly column: number
  readonly fired: boolean
  readonly action?: 'permit' | 'deny' | 'add' | 'issue' | 'issueproperty'
  readonly conditions: readonly ConditionTrace[]
  readonly effects: readonly EffectTrace[]
  /** Why a rule that fired created nothing (POL-417). */
  readonly noop?: 'empty value'
  readonly error?: EvaluationError
}
