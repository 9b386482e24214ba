import { readExpression } from './expression.ts'
import { checkClaim } from './load-checks.ts'
import type { RuleScope } from './rule-scope.ts'
import type { Action, ActionArgument, Expression } from './syntax.ts'
import type { Token } from './token.ts'
import { type ActionName, actionNames, quoted, sectionActions } from './words.ts'

/** Words of other policy languages. */
const meantActions: ReadonlyMap<string, string> = new Map([
  ['allow', 'permit'],
  ['accept', 'permit'],
  ['grant', 'permit'],
  ['reject', 'deny'],
  ['refuse', 'deny'],
  ['forbid', 'deny'],
  ['set', 'add'],
  ['emit', 'issue'],
])

/** What stands behind `=>`, without the `;`. */
export function readAction(scope: RuleScope): Action {
  const { reader } = scope
  return reader.within('action', () => {
    const { token } = reader
    const kind = readActionName(scope)
    reader.expect('POL-209', '(')
    if (kind === 'permit' || kind === 'deny') {
      reader.expect('POL-209', ')', `${kind} takes no arguments`)
      return { kind, span: token.span }
    }
    const argument = readArgument(scope, kind)
    reader.expect('POL-209', ')')
    return { kind, argument, span: token.span }
  })
}

/** POL-208, POL-301. */
function readActionName({ reader, section }: RuleScope): ActionName {
  const { token } = reader
  const kind = reader.wordOf(actionNames)
  const allowed = sectionActions[section]
  if (kind === undefined) {
    const meant = meantActions.get(token.text)
    return reader.fail('POL-208', {
      expected: quoted(allowed),
      hint: meant === undefined ? reader.near(actionNames) : `write ${meant}`,
    })
  }
  const accepted = allowed.includes(kind) || (kind === 'issue' && section === 'authorizationrules')
  if (!accepted) {
    const message = `${kind} is not allowed in ${section}`
    reader.note('POL-301', token, { message, hint: `allowed here: ${allowed.join(', ')}` })
  }
  reader.advance()
  return kind
}

function readArgument(scope: RuleScope, kind: 'add' | 'issue' | 'issueproperty'): ActionArgument {
  const { reader } = scope
  const first = readTarget(scope, ['type', 'value', 'claim'])
  if (first === 'claim') return readCopy(scope)
  const firstExpression = readExpression(scope)
  if (!reader.at(',')) reader.fail('POL-209', { expected: ["','"], hint: `${kind} needs type= and value=` })
  reader.advance()
  const other = first === 'type' ? 'value' : 'type'
  readTarget(scope, [other])
  const otherExpression = readExpression(scope)
  requireNoMore(scope)
  const [type, value] = first === 'type' ? [firstExpression, otherExpression] : [otherExpression, firstExpression]
  return checkedClaim(scope, kind, type, value)
}

function checkedClaim(
  { reader, section }: RuleScope,
  kind: 'add' | 'issue' | 'issueproperty',
  type: Expression,
  value: Expression,
): ActionArgument {
  checkClaim(reader, { type, value, isProperty: kind === 'issueproperty', section })
  return { kind: 'claim', type, value }
}

type Target = 'type' | 'value' | 'claim'

/** `type =`, `value =` or `claim =`. */
function readTarget<Word extends Target>(scope: RuleScope, allowed: readonly Word[]): Word {
  const { reader } = scope
  const target = reader.wordOf(allowed)
  if (target === undefined) return failTarget(scope, allowed)
  reader.advance()
  const hint = reader.at('==') ? 'an action sets with a single =' : undefined
  reader.expect('POL-209', '=', hint)
  return target
}

function failTarget({ reader }: RuleScope, allowed: readonly Target[]): never {
  const { token } = reader
  const set = ['valueType', 'issuer'].find((word) => token.kind === 'word' && word === token.text)
  if (set !== undefined) {
    const why = set === 'issuer' ? 'it is AttestationPolicy' : 'it follows from the value'
    return reader.fail('POL-209', { message: `a policy cannot set ${set}`, hint: `leave it out: ${why}` })
  }
  const hint = reader.near(allowed) ?? (token.kind === 'string' ? 'arguments have names: type=, value=' : undefined)
  return reader.fail('POL-209', { expected: quoted(allowed), hint })
}

/** Behind both assignments: a third is named as what it is. */
function requireNoMore(scope: RuleScope): void {
  if (scope.reader.takes(',')) failMore(scope)
}

function failMore(scope: RuleScope): never {
  const { reader } = scope
  const { text, kind }: Token = reader.token
  if (kind === 'word' && (text === 'type' || text === 'value' || text === 'claim')) {
    return reader.fail('POL-209', { message: `${text}= is one too many: one type= and one value= are given` })
  }
  if (kind === 'word') return failTarget(scope, [])
  return reader.fail('POL-209', { expected: ["')'"], hint: 'delete the comma' })
}

/** The identifier of `claim=identifier`. */
function readCopy(scope: RuleScope): ActionArgument {
  const { reader } = scope
  const { token } = reader
  if (token.kind !== 'word') reader.fail('POL-209', { expected: ['identifier'] })
  scope.requireBound(token)
  reader.advance()
  if (reader.at('.')) reader.fail('POL-209', { expected: ["')'"], hint: `write claim=${token.text}` })
  return { kind: 'copy', identifier: token.text, span: token.span }
}
