import type { QueryNode } from '../jmespath/query-syntax.ts'
import type { Expression } from '../language/syntax.ts'
import { expressionsOf, queriesOf } from './expressions-of.ts'
import { type LintFinding, type LintId, shownName } from './lint-finding.ts'
import type { LintWork } from './lint-work.ts'
import { childrenOf, givesArray, nodesOf, rootFields } from './query-nodes.ts'
import type { RuleView } from './rule-view.ts'
import { documentOf, factsOf } from './value-facts.ts'

type QueryFinding = Pick<LintFinding, 'id' | 'message'> & { readonly hint?: string }

const literalNames: ReadonlySet<string> = new Set(['true', 'false', 'null'])

function dottedFields(node: QueryNode): ReadonlySet<QueryNode> {
  const steps = node.kind === 'chain' ? node.steps : []
  return new Set(steps.flatMap((step) => (step.kind === 'apply' ? [step.node] : [])))
}

/** Fields behind a dot are fields to every reader. */
function* bareNames(node: QueryNode): Generator<string> {
  if (node.kind === 'field' && !node.quoted && literalNames.has(node.name)) yield node.name
  const dotted = dottedFields(node)
  for (const child of childrenOf(node)) {
    if (!(child.kind === 'field' && dotted.has(child))) yield* bareNames(child)
  }
}

/** L06 */
function bareLiteral(node: QueryNode): QueryFinding | null {
  const [name] = bareNames(node)
  if (name === undefined) return null
  return {
    id: 'L06',
    message: `${name} is the name of a field here, and no literal`,
    hint: `write \`${name}\` between backticks`,
  }
}

const digits = /^-?[0-9]{1,19}$/

const isField = (node: QueryNode) =>
  node.kind === 'field' || (node.kind === 'chain' && node.steps.at(-1)?.kind === 'apply')

/** Neighbours in a comparison. */
function comparedPairs(node: QueryNode): readonly (readonly [QueryNode, QueryNode, operator: string])[] {
  if (node.kind !== 'comparison') return []
  const operands = [node.first, ...node.rest.map(({ operand }) => operand)]
  return node.rest.map(({ operator, operand }, at) => [operands[at] ?? operand, operand, operator])
}

/** L07 */
function digitsAsText(node: QueryNode): QueryFinding | null {
  const compares = (left: QueryNode, right: QueryNode) =>
    left.kind === 'raw' && digits.test(left.value) && isField(right)
  for (const one of nodesOf(node)) {
    for (const [left, right] of comparedPairs(one)) {
      const raw = compares(left, right) ? left : compares(right, left) ? right : null
      if (raw?.kind !== 'raw') continue
      return { id: 'L07', message: `'${raw.value}' is a string, and equals no number`, hint: `write \`${raw.value}\`` }
    }
  }
  return null
}

const isNull = (node: QueryNode) => node.kind === 'literal' && node.value === null

/** `isArray`: what the node is applied to always is one. */
function comparesArray(node: QueryNode, isArray: boolean): boolean {
  const wrong = comparedPairs(node).some(
    ([left, right, operator]) =>
      operator === '!=' &&
      ((isNull(right) && givesArray(left, isArray)) || (isNull(left) && givesArray(right, isArray))),
  )
  if (wrong) return true
  if (node.kind !== 'pipe') return childrenOf(node).some((child) => comparesArray(child, false))
  let before = isArray
  for (const operand of node.operands) {
    if (comparesArray(operand, before)) return true
    before = givesArray(operand, before)
  }
  return false
}

/** L08 */
function arrayAgainstNull(node: QueryNode): QueryFinding | null {
  if (!comparesArray(node, false)) return null
  const message = 'an empty array is not null: the comparison is true also where nothing was found'
  return { id: 'L08', message, hint: 'put | [0] in front, or compare length(@) with `0`' }
}

/** L09 */
function wrongRoot(node: QueryNode, root: string | null): QueryFinding | null {
  const wrong = root === null ? undefined : rootFields(node).find((name) => name !== root && !literalNames.has(name))
  if (wrong === undefined) return null
  return { id: 'L09', message: `the document has no member ${shownName(wrong)}`, hint: `its only member is ${root}` }
}

function* lintText(text: string, root: string | null, work: LintWork): Generator<QueryFinding> {
  const { node, problem } = work.parseQuery(text)
  if (node === null) {
    yield { id: 'L05', message: `${problem}: the rule is an error when it fires` }
    return
  }
  for (const finding of [bareLiteral(node), digitsAsText(node), arrayAgainstNull(node), wrongRoot(node, root)]) {
    if (finding !== null) yield finding
  }
}

/** L05 to L09: queries that are written out. */
export function* lintQueries(view: RuleView): Generator<LintFinding> {
  for (const { input, query } of queriesOf(view.rule)) {
    if (query.kind !== 'string') continue
    const root = documentOf(input, view)?.root ?? null
    for (const finding of lintText(query.value, root, view.work))
      yield { ...finding, span: query.span, found: query.value }
  }
}

/** L21: who can choose a part of a query chooses what it finds. */
export function* lintBuiltQueries(view: RuleView): Generator<LintFinding> {
  for (const { query } of queriesOf(view.rule)) {
    const { isForeign, builders } = factsOf(query, view)
    const places = builders !== null ? view.work.placesOf(builders) : isForeign && isProperty(query) ? [query.span] : []
    const message =
      'a query is built from text of the evidence or of the attester, who can close a quote and ask for something else'
    const hint =
      'compare outside of the query: take the field with JmesPath, then test it with ==, IsSubsetOf or ContainsOnlyValue'
    for (const span of places) yield { id: 'L21', span, message, hint }
  }
}

const isProperty = ({ kind }: Expression) => kind === 'property'

/** L15 */
export function* lintSingleValues(view: RuleView): Generator<LintFinding> {
  const id: LintId = 'L15'
  for (const { expression, needsOne } of expressionsOf(view.rule)) {
    if (!needsOne || expression.kind !== 'property' || !factsOf(expression, view).isMany) continue
    const { identifier, property, span } = expression
    const found = `${identifier}.${property}`
    yield { id, span, found, message: `${found} can have several values; two or more are an error here (POL-410)` }
  }
}
