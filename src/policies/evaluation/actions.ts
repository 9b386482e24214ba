import { isClaimType } from '../claim.ts'
import { EvaluationFailure } from '../evaluation-failure.ts'
import { beginningOf } from '../language/code-points.ts'
import type { Action, ActionArgument, Expression, SectionName } from '../language/syntax.ts'
import type { EffectTrace } from './evaluation.ts'
import type { Compute, RuleScope } from './expressions.ts'
import { onlyValue } from './functions.ts'
import type { IssuedToken } from './issued-token.ts'
import type { PolicyProperties } from './properties.ts'
import { stepsOf } from './value-set.ts'
import type { WorkingClaim, WorkingSet } from './working-set.ts'

type Operation = EffectTrace['op']

/** What rules write to. */
export interface ActionTargets {
  readonly working: WorkingSet
  readonly token: IssuedToken
  readonly properties: PolicyProperties
  /** Claims that policies made, in order. */
  readonly added: WorkingClaim[]
}

/** An action as a rule of a section carries it out. */
interface ActionPlace {
  readonly section: SectionName
  readonly line: number
}

/** The claims that an action makes or copies (POL-416, POL-418). */
type ClaimSource = (scope: RuleScope) => readonly WorkingClaim[]

const allowed: Readonly<Record<SectionName, ReadonlySet<Action['kind']>>> = {
  configurationrules: new Set(['issueproperty']),
  authorizationrules: new Set(['permit', 'deny', 'add', 'issue']),
  issuancerules: new Set(['add', 'issue', 'issueproperty']),
}

function claimType(set: ReturnType<Compute>): { readonly type: string; readonly readOnly: boolean } {
  const { value, readOnly } = onlyValue(set, 'type=') ?? { value: undefined, readOnly: false }
  if (!isClaimType(value))
    throw new EvaluationFailure('POL-310', 'a claim type must be a String of 1 to 256 characters')
  return { type: value, readOnly }
}

/** A type that was read out of a read-only value would carry it into the token as well. */
function madeClaims(computeType: Compute, computeValue: Compute): ClaimSource {
  return (scope) => {
    const { type, readOnly } = claimType(computeType(scope))
    const values = computeValue(scope)
    scope.context.meter.take(stepsOf(values))
    return values.map((entry) => ({
      type,
      value: entry.value,
      issuer: 'AttestationPolicy',
      readOnly: readOnly || entry.readOnly,
      readOnlyType: readOnly,
    }))
  }
}

function copiedClaims(identifier: string): ClaimSource {
  return ({ bound, context }) => {
    const claims = bound.get(identifier)
    if (!claims) throw new EvaluationFailure('POL-302', `${identifier} is not bound`)
    context.meter.take(stepsOf(claims))
    return claims
  }
}

function claimSource(argument: ActionArgument, compile: (expression: Expression) => Compute): ClaimSource {
  if (argument.kind === 'copy') return copiedClaims(argument.identifier)
  return madeClaims(compile(argument.type), compile(argument.value))
}

function write(
  operation: Operation,
  claim: WorkingClaim,
  { section, line }: ActionPlace,
  to: ActionTargets,
): EffectTrace {
  if (operation !== 'add' && claim.readOnly) {
    throw new EvaluationFailure('POL-425', `${operation} of ${beginningOf(claim.type)}, which is read-only`)
  }
  if (operation === 'issue') to.token.issue(claim.type, claim.value)
  if (operation === 'issueproperty') to.properties.set(claim.type, claim.value, section, line)
  const isNew = to.working.add(claim)
  if (isNew) to.added.push(claim)
  return { op: operation, type: claim.type, value: claim.value, new: isNew }
}

/** Carries out an action that writes claims, and says what it wrote; nothing for the empty value (POL-417). */
export type PreparedAction = (scope: RuleScope, to: ActionTargets) => readonly EffectTrace[]

/**
 * Makes the action of a rule ready; `permit` and `deny` write nothing. `issue` in authorizationrules works as `add`
 * (POL-301). Throws `EvaluationFailure` where the section does not have the action.
 */
export function prepareAction(
  action: Action,
  place: ActionPlace,
  compile: (expression: Expression) => Compute,
): PreparedAction {
  const { section } = place
  if (!allowed[section].has(action.kind)) throw new EvaluationFailure('POL-301', `${action.kind} in ${section}`)
  if (!('argument' in action)) return () => []
  const source = claimSource(action.argument, compile)
  const operation = action.kind === 'issue' && section === 'authorizationrules' ? 'add' : action.kind
  return (scope, to) => source(scope).map((claim) => write(operation, claim, place, to))
}
