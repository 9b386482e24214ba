import type { ClaimValue } from '../claim.ts'
import { EvaluationFailure } from '../evaluation-failure.ts'
import { beginningOf } from '../language/code-points.ts'
import type { ClaimProperty, ClaimTest, ComparisonOperator, Condition } from '../language/syntax.ts'
import { type Compute, propertyOf, type RuleScope } from './expressions.ts'
import { onlyValue } from './functions.ts'
import type { WorkingClaim, WorkingSet } from './working-set.ts'

/** Claims are tested in this order (POL-413), so that a claim of another type can never cause POL-412. */
const propertyOrder: readonly ClaimProperty[] = ['type', 'issuer', 'valueType', 'value']

interface PreparedTest {
  readonly property: ClaimProperty
  readonly operator: ComparisonOperator
  readonly compute: Compute
}

/** A test with the value of its right-hand side; undefined is the empty value. */
export interface ReadyTest {
  readonly property: ClaimProperty
  readonly operator: ComparisonOperator
  readonly right: ClaimValue | undefined
}

export interface ConditionResult {
  readonly matched: readonly WorkingClaim[]
  /** As they were applied, for the trace. */
  readonly tests: readonly ReadyTest[]
}

const orderings = {
  '<': (left: bigint, right: bigint) => left < right,
  '<=': (left: bigint, right: bigint) => left <= right,
  '>': (left: bigint, right: bigint) => left > right,
  '>=': (left: bigint, right: bigint) => left >= right,
} as const

/** POL-411, POL-412: a comparison with the empty value is false for every operator. */
function compares({ property, operator, right }: ReadyTest, claim: WorkingClaim): boolean {
  if (right === undefined) return false
  const left = propertyOf(claim, property)
  if (operator === '==') return left === right
  if (operator === '!=') return left !== right
  if (typeof left !== 'bigint' || typeof right !== 'bigint') {
    throw new EvaluationFailure('POL-412', `'${operator}' needs two Integers (claim ${beginningOf(claim.type)})`)
  }
  return orderings[operator](left, right)
}

/** The first test that a claim does not satisfy. */
export function firstFailed(tests: readonly ReadyTest[], claim: WorkingClaim): ReadyTest | undefined {
  return tests.find((test) => !compares(test, claim))
}

/** The type that a condition asks for; undefined if it asks for none, or for none that can be. */
export function typeAskedFor(tests: readonly ReadyTest[]): string | undefined {
  const test = tests.find(({ property, operator }) => property === 'type' && operator === '==')
  return typeof test?.right === 'string' ? test.right : undefined
}

/** Claims among which are all that can satisfy the tests. Leaves out none that would be an error (POL-412). */
function candidates(tests: readonly ReadyTest[], working: WorkingSet): readonly WorkingClaim[] {
  const type = typeAskedFor(tests)
  if (type === undefined) return working.all
  const cannotFail = tests.every(({ operator }) => operator === '==' || operator === '!=')
  const exact = cannotFail && tests.find(({ property, operator }) => property === 'value' && operator === '==')
  return exact && exact.right !== undefined ? working.ofTypeAndValue(type, exact.right) : working.ofType(type)
}

/** Only Strings of the same length are compared character by character. */
function comparedCharacters(tests: readonly ReadyTest[], length: number): number {
  let characters = 0
  for (const { property, right } of tests) {
    if (property === 'value' && typeof right === 'string' && right.length === length) characters += length
  }
  return characters
}

/** A condition made ready to be tested often. */
export class PreparedCondition {
  readonly condition: Condition
  readonly #tests: readonly PreparedTest[]
  /** Indices of the tests in the order in which claims are tested. */
  readonly #order: readonly number[]

  constructor(condition: Condition, compile: (test: ClaimTest) => Compute) {
    this.condition = condition
    this.#tests = condition.tests.map((test) => ({
      property: test.property,
      operator: test.operator,
      compute: compile(test),
    }))
    this.#order = propertyOrder.flatMap((property) =>
      [...this.#tests.keys()].filter((at) => this.#tests[at]?.property === property),
    )
  }

  /** All claims that satisfy every test (POL-405, POL-407), in order of arrival. */
  apply(working: WorkingSet, scope: RuleScope): ConditionResult {
    const tests = this.#ready(scope)
    const { meter } = scope.context
    const matched: WorkingClaim[] = []
    for (const claim of candidates(tests, working)) {
      meter.take()
      if (typeof claim.value === 'string') meter.takeCompared(comparedCharacters(tests, claim.value.length))
      if (!firstFailed(tests, claim)) matched.push(claim)
    }
    return { matched, tests }
  }

  /** Right-hand sides are computed in text order, once, whether or not there is a claim to test (POL-413). */
  #ready(scope: RuleScope): readonly ReadyTest[] {
    const ready = this.#tests.map(({ property, operator, compute }) => ({
      property,
      operator,
      right: onlyValue(compute(scope), `'${property} ${operator}'`)?.value,
    }))
    return this.#order.flatMap((at) => ready[at] ?? [])
  }
}
