import { type ClaimValue, valueTypeOf } from '../claim.ts'
import { EvaluationFailure } from '../evaluation-failure.ts'
import { compileQuery } from '../jmespath/compile-query.ts'
import type { Evaluate } from '../jmespath/query-run.ts'
import type { ClaimProperty, Expression } from '../language/syntax.ts'
import type { PolicyLimits } from '../policy-limits.ts'
import type { EvaluationContext } from './evaluation-context.ts'
import { policyFunctions } from './functions.ts'
import { distinctValues, singleValue, stepsOf, type ValueSet } from './value-set.ts'
import type { WorkingClaim } from './working-set.ts'

/** What the conditions of a rule bound so far (POL-407), and what the evaluation shares. */
export interface RuleScope {
  readonly context: EvaluationContext
  readonly bound: ReadonlyMap<string, readonly WorkingClaim[]>
}

/** An expression made ready: its value in a rule. Throws `EvaluationFailure`. */
export type Compute = (scope: RuleScope) => ValueSet

/** `maximumDepth` is counted down. */
interface Compiler {
  readonly limits: PolicyLimits
  readonly queries: LiteralQueries
}

/** Queries that stand in the policy text: each is compiled once for the policy, when it is first needed. */
export class LiteralQueries {
  readonly #limits: PolicyLimits
  readonly #compiled = new Map<string, Evaluate>()

  constructor(limits: PolicyLimits) {
    this.#limits = limits
  }

  compiled(query: string): Evaluate {
    const known = this.#compiled.get(query)
    if (known) return known
    const made = compileQuery(query, this.#limits)
    this.#compiled.set(query, made)
    return made
  }
}

const readers: Readonly<Record<ClaimProperty, (claim: WorkingClaim) => ClaimValue>> = {
  type: ({ type }) => type,
  value: ({ value }) => value,
  valueType: ({ value }) => valueTypeOf(value),
  issuer: ({ issuer }) => issuer,
}

export function propertyOf(claim: WorkingClaim, property: ClaimProperty): ClaimValue {
  return readers[property](claim)
}

/** A read-only claim protects its value (POL-425), and its type where that was computed from such a value. */
function isReadOnly(claim: WorkingClaim, property: ClaimProperty): boolean {
  return (property === 'value' && claim.readOnly) || (property === 'type' && claim.readOnlyType)
}

function boundProperty(identifier: string, property: ClaimProperty): Compute {
  const read = readers[property]
  return ({ bound, context }) => {
    const claims = bound.get(identifier)
    if (!claims) throw new EvaluationFailure('POL-302', `${identifier} is not bound`)
    context.meter.take(property === 'value' ? stepsOf(claims) : claims.length)
    return distinctValues(claims.map((claim) => ({ value: read(claim), readOnly: isReadOnly(claim, property) })))
  }
}

/** A query that was computed is compiled whenever it is used, and paid for: it can be as long as evidence makes it. */
function compiledNow(query: string, { limits, meter }: EvaluationContext): Evaluate {
  meter.take(Math.min(query.length, limits.queryBytes))
  return compileQuery(query, limits)
}

function call(expression: Extract<Expression, { kind: 'call' }>, compiler: Compiler, depth: number): Compute {
  const apply = policyFunctions[expression.function]
  const given = expression.arguments.map((argument) => compileExpression(argument, compiler, depth + 1))
  const isLiteral = expression.arguments[1]?.kind === 'string'
  return (scope) => {
    const { context } = scope
    context.meter.take()
    return apply({
      arguments: given.map((compute) => compute(scope)),
      context,
      compiled: (query) => (isLiteral ? compiler.queries.compiled(query) : compiledNow(query, context)),
    })
  }
}

/** Makes an expression ready to be computed often. Throws `EvaluationFailure` POL-603 where it nests too deep. */
export function compileExpression(expression: Expression, compiler: Compiler, depth = 0): Compute {
  if (depth > compiler.limits.expressionDepth) {
    throw new EvaluationFailure('POL-603', `an expression nests deeper than ${compiler.limits.expressionDepth} calls`)
  }
  switch (expression.kind) {
    case 'string':
    case 'integer':
    case 'boolean': {
      const constant = singleValue(expression.value)
      return () => constant
    }
    case 'property':
      return boundProperty(expression.identifier, expression.property)
    case 'call':
      return call(expression, compiler, depth)
  }
}
