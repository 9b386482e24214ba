import type { ClaimValueType } from '../claim.ts'
import { claimEntryOf } from '../claims/claim-catalogue.ts'
import type { ClaimEntry, DocumentShape } from '../claims/claim-entry.ts'
import type { Condition, Expression } from '../language/syntax.ts'
import { admitsIssuer, literalOf, literalType, neededValues } from './condition-facts.ts'
import type { Call } from './expressions-of.ts'
import type { Builders, LintWork } from './lint-work.ts'
import { givesNumber } from './query-nodes.ts'

/** What is known of a value before any claim is there. */
export interface ValueFacts {
  /** Null: not known. */
  readonly types: ReadonlySet<ClaimValueType> | null
  /** There can be several values. */
  readonly isMany: boolean
  /** POL-425. */
  readonly isReadOnly: boolean
  /** Text that the guest or the attester can choose. */
  readonly isForeign: boolean
  /** Where foreign text was appended to make it. */
  readonly builders: Builders | null
}

/** What conditions before an expression have bound, and what earlier rules have added. */
export interface KnownClaims {
  readonly bound: ReadonlyMap<string, Condition>
  readonly added: ReadonlyMap<string, ValueFacts>
  /** Of expressions of this rule: each is looked at once, however many lints ask and whatever stands around it. */
  readonly remembered: Map<Expression, ValueFacts>
  readonly work: LintWork
}

function facts(types: readonly ClaimValueType[] | null, changes: Partial<ValueFacts> = {}): ValueFacts {
  const known = types && new Set(types)
  return { types: known, isMany: false, isReadOnly: false, isForeign: false, builders: null, ...changes }
}

const unknown = facts(null, { isForeign: true })
const anything = facts(null, { isForeign: true, isMany: true })

function joinedBuilders(left: Builders | null, right: Builders | null): Builders | null {
  if (left === null || right === null || left === right) return left ?? right
  return { joined: [left, right] }
}

/** Facts of a value that is one or the other. */
export function eitherOf(left: ValueFacts, right: ValueFacts): ValueFacts {
  return {
    types: left.types && right.types && new Set([...left.types, ...right.types]),
    isMany: left.isMany || right.isMany,
    isReadOnly: left.isReadOnly || right.isReadOnly,
    isForeign: left.isForeign || right.isForeign,
    builders: joinedBuilders(left.builders, right.builders),
  }
}

/** Custom claims have any value type. */
function entryFacts({ name, valueType, isMany, isReadOnly }: ClaimEntry): ValueFacts {
  if (name.startsWith('custom:')) return unknown
  return facts([valueType], { isMany, isReadOnly, isForeign: valueType === 'String' })
}

/** The claim of evidence or request that a condition can find; null if there is none. */
export function evidenceEntry(condition: Condition): ClaimEntry | null {
  const type = literalType(condition)
  const entry = type === null ? null : claimEntryOf(type)
  return entry !== null && admitsIssuer(condition, entry.issuer) ? entry : null
}

/** Of the claims that a condition can find; null if it can find none that is known. */
export function factsOfCondition(condition: Condition, added: KnownClaims['added']): ValueFacts | null {
  const found = foundFacts(condition, added)
  if (found === null || neededValues(condition, 'value').length === 0) return found
  return { ...found, isMany: false, isForeign: false, builders: null }
}

function foundFacts(condition: Condition, added: KnownClaims['added']): ValueFacts | null {
  const type = literalType(condition)
  if (type === null) return anything
  const entry = evidenceEntry(condition)
  const own = admitsIssuer(condition, 'AttestationPolicy') ? added.get(type) : undefined
  if (entry === null) return own ?? null
  return own ? eitherOf(entryFacts(entry), own) : entryFacts(entry)
}

type Property = Extract<Expression, { kind: 'property' }>

function factsOfProperty({ identifier, property }: Property, known: KnownClaims): ValueFacts {
  const condition = known.bound.get(identifier)
  if (condition === undefined) return unknown
  if (property === 'value') return factsOfCondition(condition, known.added) ?? unknown
  const isOpen = property === 'type' && literalType(condition) === null
  return facts(['String'], { isForeign: isOpen, isMany: isOpen })
}

/** The document that an expression is, if it is the text of one; null if that is not known. */
export function documentOf(expression: Expression, { bound }: KnownClaims): DocumentShape | null {
  if (expression.kind !== 'property' || expression.property !== 'value') return null
  const condition = bound.get(expression.identifier)
  return condition === undefined ? null : (evidenceEntry(condition)?.document ?? null)
}

function isNumber(call: Call, known: KnownClaims): boolean {
  const [input, query] = call.arguments
  const text = query === undefined ? null : literalOf(query)
  if (input === undefined || typeof text !== 'string' || documentOf(input, known) === null) return false
  const { node } = known.work.parseQuery(text)
  return node !== null && givesNumber(node)
}

function factsOfCall(call: Call, known: KnownClaims): ValueFacts {
  const given = call.arguments.map((argument) => factsOf(argument, known))
  const isReadOnly = given.some((one) => one.isReadOnly)
  const isForeign = given.some((one) => one.isForeign)
  switch (call.function) {
    case 'JmesPath':
      return facts(['String'], { isReadOnly, isForeign: isForeign && !isNumber(call, known) })
    case 'JsonToClaimValue':
      return facts(null, { isReadOnly, isForeign, isMany: isWrittenArray(call.arguments[0]) })
    case 'AppendString':
      return facts(['String'], {
        isReadOnly,
        isForeign,
        builders: isForeign ? { span: call.span, joined: null } : null,
      })
    case 'NegateBool':
      return facts(['Boolean'], { isReadOnly })
    case 'IsSubsetOf':
    case 'ContainsOnlyValue':
      return facts(['Boolean'])
  }
}

const isWrittenArray = (expression: Expression | undefined) =>
  expression?.kind === 'string' && expression.value.trimStart().startsWith('[')

const literalTypes = { string: 'String', integer: 'Integer', boolean: 'Boolean' } as const

function newFacts(expression: Expression, known: KnownClaims): ValueFacts {
  known.work.take()
  if (expression.kind === 'call') return factsOfCall(expression, known)
  if (expression.kind === 'property') return factsOfProperty(expression, known)
  return facts([literalTypes[expression.kind]])
}

/** Nesting is bounded by the parser (POL-603). */
export function factsOf(expression: Expression, known: KnownClaims): ValueFacts {
  const before = known.remembered.get(expression)
  if (before !== undefined) return before
  const found = newFacts(expression, known)
  known.remembered.set(expression, found)
  return found
}
