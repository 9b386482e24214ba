import type { ClaimValue } from '../claim.ts'
import { EvaluationFailure } from '../evaluation-failure.ts'
import { beginningOf } from '../language/code-points.ts'
import { type PropertyForm, policyProperties } from '../language/policy-properties.ts'
import type { SectionName } from '../language/syntax.ts'

function accepts(form: PropertyForm, value: ClaimValue): boolean {
  if (form.kind === 'integer') return typeof value === 'bigint' && value >= form.least && value <= form.most
  return typeof value === form.kind
}

/** The properties of one evaluation, with the lines of the rules that set them. */
export class PolicyProperties {
  readonly #values = new Map<string, { readonly value: ClaimValue; readonly line: number }>()

  /** POL-309, POL-426. A name that section 7 does not have is without effect in issuancerules (L20). */
  set(name: string, value: ClaimValue, section: SectionName, line: number): void {
    const form = policyProperties.get(name)
    if (!form) {
      if (section === 'issuancerules') return
      throw new EvaluationFailure('POL-309', `there is no property ${beginningOf(name)}`)
    }
    if (!accepts(form, value)) throw new EvaluationFailure('POL-309', `${name} is of another type or out of range`)
    const known = this.#values.get(name)
    if (known && known.value !== value) throw new EvaluationFailure('POL-426', `${name} is set to two values`)
    if (!known) this.#values.set(name, { value, line })
  }

  value(name: string): ClaimValue | undefined {
    return this.#values.get(name)?.value
  }

  /** Line of the rule that set the property; none if it has its default. */
  lines(name: string): number[] {
    const line = this.#values.get(name)?.line
    return line === undefined ? [] : [line]
  }

  /** Without a prototype. */
  all(): Record<string, ClaimValue> {
    const all: Record<string, ClaimValue> = Object.create(null)
    for (const [name, { value }] of this.#values) all[name] = value
    return all
  }
}
