import { nearWords } from '../../base/near-words.ts'
import type { PolicyLimits } from '../policy-limits.ts'
import { shortened } from './code-points.ts'
import type { PolicyVersion, SectionName } from './syntax.ts'
import type { Token } from './token.ts'
import type { TokenReader } from './token-reader.ts'
import { isReserved } from './words.ts'

/** What the parts of one rule need to know of it. */
export class RuleScope {
  readonly reader: TokenReader
  readonly limits: PolicyLimits
  readonly version: PolicyVersion
  readonly section: SectionName
  readonly #bound = new Set<string>()

  constructor(reader: TokenReader, limits: PolicyLimits, version: PolicyVersion, section: SectionName) {
    this.reader = reader
    this.limits = limits
    this.version = version
    this.section = section
  }

  /** POL-302: only what an earlier condition of this rule has bound can be used. */
  requireBound(token: Token, hint?: string): void {
    const name = token.text
    if (this.#bound.has(name)) return
    if (isReserved(name)) {
      this.reader.note('POL-109', token, { message: `${name} is a word of the language and names no claims` })
      return
    }
    const near = nearWords(name.slice(0, 64), [...this.#bound])
    const message = `identifier '${shortened(name)}' is not bound by an earlier condition of this rule`
    const nearHint = near.length > 0 ? `bound are: ${near.join(', ')}` : hint
    this.reader.note('POL-302', token, { message, hint: nearHint })
  }

  /** POL-303, POL-109. It is bound for what follows its condition: call `bind` there. */
  requireNew(token: Token): void {
    const name = token.text
    if (isReserved(name)) {
      const message = `${name} is a word of the language and cannot name claims`
      this.reader.note('POL-109', token, { message, hint: `write another name, ${name}1 for example` })
    } else if (this.#bound.has(name)) {
      this.reader.note('POL-303', token, { message: `identifier '${name}' is bound twice in this rule` })
    }
  }

  bind(name: string): void {
    this.#bound.add(name)
  }
}
