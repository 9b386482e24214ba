import type { ClaimValue } from '../claim.ts'
import { beginningOf } from '../language/code-points.ts'
import type { PreparedCondition } from './conditions.ts'
import { type ConditionResult, firstFailed, typeAskedFor } from './conditions.ts'
import type { ConditionTrace, EffectTrace, MatchedClaim, NearMiss, TraceEntry } from './evaluation.ts'
import type { WorkingSet } from './working-set.ts'

const longestText = 256
const mostShown = 3

/** Long strings are cut and marked; never within a surrogate pair. */
function shown(value: ClaimValue): ClaimValue {
  if (typeof value !== 'string' || value.length <= longestText) return value
  return `${beginningOf(value, longestText)}… (${value.length} characters)`
}

function nearMisses({ tests }: ConditionResult, working: WorkingSet): readonly NearMiss[] | undefined {
  const type = typeAskedFor(tests)
  if (type === undefined) return undefined
  const claims = working.ofType(type).slice(0, mostShown)
  if (claims.length === 0) return [{ absent: String(shown(type)) }]
  return claims.map((claim) => ({
    type: String(shown(claim.type)),
    value: shown(claim.value),
    issuer: claim.issuer,
    failed: firstFailed(tests, claim)?.property ?? 'value',
  }))
}

function matchedClaims({ matched }: ConditionResult): readonly MatchedClaim[] {
  return matched
    .slice(0, mostShown)
    .map(({ type, value, issuer }) => ({ type: String(shown(type)), value: shown(value), issuer }))
}

/** One condition of a trace (POL-820): what matched, and why it is false, if that can be said. */
export function traceCondition(
  { condition: { negated, span } }: PreparedCondition,
  result: ConditionResult,
  holds: boolean,
  working: WorkingSet,
): ConditionTrace {
  const near = holds || negated ? undefined : nearMisses(result, working)
  const matched = result.matched.length
  const claims = matched > 0 ? { claims: matchedClaims(result) } : {}
  return { line: span.line, column: span.column, negated, matched, result: holds, ...claims, ...(near && { near }) }
}

export function traceEffect(effect: EffectTrace): EffectTrace {
  return { ...effect, type: String(shown(effect.type)), value: shown(effect.value) }
}

/** Entries of a trace while it is made. */
export type MutableEntry = { -readonly [Name in keyof TraceEntry]: TraceEntry[Name] }
