import { codePointsIn, shortened } from './code-points.ts'
import { issuerNames, type PropertyForm, policyProperties, valueTypeNames } from './policy-properties.ts'
import type { ClaimTest, Expression, SectionName } from './syntax.ts'
import type { Token } from './token.ts'
import type { TokenReader } from './token-reader.ts'

const maximumClaimType = 256

type Literal = Extract<Expression, { kind: 'string' | 'integer' | 'boolean' }>

function isLiteral(expression: Expression): expression is Literal {
  return expression.kind === 'string' || expression.kind === 'integer' || expression.kind === 'boolean'
}

const literalNames = { string: 'a String', integer: 'an Integer', boolean: 'a Boolean' } as const

function place(expression: Literal) {
  const text = typeof expression.value === 'string' ? JSON.stringify(expression.value) : String(expression.value)
  return { text, span: expression.span }
}

/** POL-308: comparisons that could only ever be false, or under `!` true. */
export function checkTest(reader: TokenReader, test: ClaimTest, operator: Token): void {
  if (test.operator !== '==' && test.operator !== '!=') checkOrder(reader, test, operator)
  else checkEquality(reader, test)
}

function checkOrder(reader: TokenReader, { property, expression }: ClaimTest, operator: Token): void {
  if (property !== 'value') {
    const message = `${operator.text} orders values; ${property} is compared with == or !=`
    reader.note('POL-308', operator, { message })
  } else if (isLiteral(expression) && expression.kind !== 'integer') {
    const message = `${operator.text} compares Integers; this is ${literalNames[expression.kind]}`
    reader.note('POL-308', place(expression), { message })
  }
}

const namesOf = { type: null, issuer: issuerNames, valueType: valueTypeNames } as const

function checkEquality(reader: TokenReader, { property, expression }: ClaimTest): void {
  if (property === 'value' || !isLiteral(expression)) return
  if (expression.kind !== 'string') {
    const message = `${property} is a String; this is ${literalNames[expression.kind]}`
    reader.note('POL-308', place(expression), { message })
    return
  }
  const names = namesOf[property]
  if (names === null || names.some((name) => name === expression.value)) return
  const message = `no claim has the ${property} ${shortened(place(expression).text)}`
  reader.note('POL-308', place(expression), { message, hint: `one of: ${names.join(', ')}` })
}

export interface WrittenClaim {
  readonly type: Expression
  readonly value: Expression
  readonly isProperty: boolean
  readonly section: SectionName
}

/** POL-310, and POL-309 for properties. */
export function checkClaim(reader: TokenReader, claim: WrittenClaim): void {
  const { type } = claim
  if (!isLiteral(type)) return
  if (type.kind !== 'string') {
    reader.note('POL-310', place(type), { message: `a claim type is a String; this is ${literalNames[type.kind]}` })
    return
  }
  const length = codePointsIn(type.value)
  if (length === 0) reader.note('POL-310', place(type), { message: 'a claim type is not empty' })
  else if (length > maximumClaimType) {
    const message = `a claim type has at most ${maximumClaimType} characters; this one has ${length}`
    reader.note('POL-310', place(type), { message })
  } else if (claim.isProperty) checkProperty(reader, claim, type)
}

function checkProperty(reader: TokenReader, { value, section }: WrittenClaim, type: Literal): void {
  const form = policyProperties.get(String(type.value))
  if (form !== undefined) checkPropertyValue(reader, form, value)
  else if (section === 'configurationrules') {
    const hint = `known: ${[...policyProperties.keys()].join(', ')}`
    reader.note('POL-309', place(type), { message: `unknown property ${shortened(place(type).text)}`, hint })
  }
}

function checkPropertyValue(reader: TokenReader, form: PropertyForm, value: Expression): void {
  if (!isLiteral(value)) return
  if (value.kind !== form.kind) {
    const message = `the property is ${literalNames[form.kind]}; this is ${literalNames[value.kind]}`
    reader.note('POL-309', place(value), { message })
  } else if (form.kind === 'integer' && value.kind === 'integer') {
    if (value.value >= form.least && value.value <= form.most) return
    reader.note('POL-309', place(value), { message: `the property lies between ${form.least} and ${form.most}` })
  }
}
