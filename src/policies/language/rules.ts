import type { PolicyLimits } from '../policy-limits.ts'
import { readAction } from './action.ts'
import { readCondition } from './condition.ts'
import { RuleScope } from './rule-scope.ts'
import type { Condition, PolicyVersion, Rule, SectionName } from './syntax.ts'
import { Abandoned, type TokenReader } from './token-reader.ts'
import { quoted, sectionNames } from './words.ts'

/** Whether a section begins here: its keyword, in any case, and `{`. */
export function atSection(reader: TokenReader): boolean {
  const { token } = reader
  if (token.kind !== 'word' || !sectionNames.some((name) => name === token.text.toLowerCase())) return false
  return reader.peek().text === '{'
}

/** The rules of a section; the policy's number of them is limited (POL-602), so the count goes on. */
export class RulesReader {
  readonly #reader: TokenReader
  readonly #limits: PolicyLimits
  #count = 0

  constructor(reader: TokenReader, limits: PolicyLimits) {
    this.#reader = reader
    this.#limits = limits
  }

  /** Up to the `}`, the end of the text, or the next section if the `}` was forgotten. */
  read(version: PolicyVersion, section: SectionName): Rule[] {
    const reader = this.#reader
    const rules: Rule[] = []
    while (!reader.at('}') && reader.token.kind !== 'end' && !atSection(reader)) {
      this.#countRule()
      const rule = this.#readOrSkip(new RuleScope(reader, this.#limits, version, section))
      if (rule !== null) rules.push(rule)
    }
    return rules
  }

  #countRule(): void {
    this.#reader.begin()
    if (++this.#count <= this.#limits.rules) return
    this.#reader.complain('POL-602', { message: `the policy has more than ${this.#limits.rules} rules` })
    throw new Abandoned('policy')
  }

  /** A rule that cannot be read is left at its `;`, so that the errors of later rules are found too (POL-804). */
  #readOrSkip(scope: RuleScope): Rule | null {
    try {
      return this.#reader.within('claimRule', () => readRule(scope))
    } catch (error) {
      if (!(error instanceof Abandoned) || error.scope === 'policy') throw error
      this.#skip()
      return null
    }
  }

  #skip(): void {
    const reader = this.#reader
    while (!reader.at('}') && reader.token.kind !== 'end' && !atSection(reader)) {
      if (reader.takes(';')) return
      reader.advance()
    }
  }
}

function readRule(scope: RuleScope): Rule {
  const { reader } = scope
  const start = reader.token
  const conditions = reader.at('=>') ? [] : readConditions(scope)
  if (!reader.takes('=>')) return failBetween(scope)
  const action = readAction(scope)
  if (!reader.takes(';')) reader.complain('POL-204', { expected: quoted([';']) })
  return { conditions, action, span: reader.spanFrom(start) }
}

function readConditions(scope: RuleScope): Condition[] {
  const { reader, limits } = scope
  const conditions: Condition[] = []
  do {
    if (conditions.length === limits.conditionsPerRule) {
      reader.fail('POL-602', { message: `the rule has more than ${limits.conditionsPerRule} conditions` })
    }
    conditions.push(readCondition(scope, conditions.length === 0))
  } while (reader.takes('&&'))
  return conditions
}

/** What people write between conditions. */
const betweenHints: ReadonlyMap<string, string> = new Map([
  ['||', 'there is no ||: write one rule for each alternative'],
  ['|', 'there is no |: write one rule for each alternative'],
  [',', 'conditions are joined by &&'],
  ['&', 'conditions are joined by &&'],
  ['[', 'conditions are joined by &&'],
  ['=', 'the arrow before the action is =>'],
])

/** POL-205. */
function failBetween({ reader }: RuleScope): never {
  return reader.fail('POL-205', { expected: quoted(['&&', '=>']), hint: betweenHints.get(reader.token.text) })
}
