import type { ClaimIssuer, ClaimValue } from '../claim.ts'
import { issuerNames } from '../language/policy-properties.ts'
import type { Action, ActionArgument, ClaimProperty, ClaimTest, Condition, Expression } from '../language/syntax.ts'

/** The value of an expression that needs no claim to know; null for every other one. */
export function literalOf(expression: Expression): ClaimValue | null {
  return expression.kind === 'property' || expression.kind === 'call' ? null : expression.value
}

/** What an action writes; null for `permit` and `deny`. */
export function argumentOf(action: Action): ActionArgument | null {
  return 'argument' in action ? action.argument : null
}

function equalTests({ tests }: Condition, property: ClaimProperty): readonly ClaimTest[] {
  return tests.filter((test) => test.property === property && test.operator === '==')
}

/** Values that the condition needs a property to be. */
export function neededValues(condition: Condition, property: ClaimProperty): readonly ClaimValue[] {
  return equalTests(condition, property).flatMap(({ expression }) => literalOf(expression) ?? [])
}

/** The one type that the condition is about; null where it is not written out. */
export function literalType(condition: Condition): string | null {
  const [type] = neededValues(condition, 'type')
  return typeof type === 'string' ? type : null
}

export function testsProperty({ tests }: Condition, property: ClaimProperty): boolean {
  return tests.some((test) => test.property === property)
}

/** True unless a test of the condition leaves claims of this issuer out. */
export function admitsIssuer({ tests }: Condition, issuer: ClaimIssuer): boolean {
  return tests.every(({ property, operator, expression }) => {
    const literal = property === 'issuer' ? literalOf(expression) : null
    if (literal === null) return true
    return operator === '==' ? literal === issuer : literal !== issuer
  })
}

/** Whether claims of this issuer alone are asked for. */
export function asksOnly(condition: Condition, issuer: ClaimIssuer): boolean {
  return issuerNames.every((name) => admitsIssuer(condition, name) === (name === issuer))
}

export const hasTypeTest = (condition: Condition): boolean => equalTests(condition, 'type').length > 0
