import { EvaluationFailure } from '../evaluation-failure.ts'
import { parseQuery } from '../jmespath/parse-query.ts'
import type { QueryNode } from '../jmespath/query-syntax.ts'
import type { Rule, Span } from '../language/syntax.ts'
import type { PolicyLimits } from '../policy-limits.ts'
import { StepMeter } from '../step-meter.ts'

/** A query, or why it does not compile. */
export type ParsedQuery =
  | { readonly node: QueryNode; readonly problem: null }
  | { readonly node: null; readonly problem: string }

/**
 * Places where foreign text is appended. What several rules add to one claim is joined and not copied: a list of its own
 * for each of n rules would take n² of memory.
 */
export type Builders =
  | { readonly span: Span; readonly joined: null }
  | { readonly joined: readonly [Builders, Builders] }

/**
 * What one lint may take, and has taken. A policy is linted before anybody trusts it: one that is made to keep the lint
 * busy ends at a limit (POL-605, POL-608), counted and not timed, so that the same text always ends at the same place.
 */
export class LintWork {
  readonly #limits: PolicyLimits
  readonly #meter: StepMeter
  readonly #shown = new Set<Builders>()
  #line = 1

  constructor(limits: PolicyLimits) {
    this.#limits = limits
    this.#meter = new StepMeter(limits.steps)
  }

  /** Of the rule that is looked at. */
  get line(): number {
    return this.#line
  }

  begin({ span, conditions }: Rule): void {
    this.#line = span.line
    for (const { tests } of conditions) this.take(1 + tests.length)
  }

  /** Throws `EvaluationFailure` POL-608 when the work is more than it may be. */
  take(count = 1): void {
    this.#meter.take(count)
  }

  /** Steps as many as the evaluation takes to compile it. */
  parseQuery(text: string): ParsedQuery {
    this.take(1 + Math.min(text.length, this.#limits.queryBytes))
    try {
      return { node: parseQuery(text, this.#limits), problem: null }
    } catch (error) {
      if (error instanceof EvaluationFailure) return { node: null, problem: error.message }
      throw error
    }
  }

  /** Places that were not given before in this lint: each is doubtful once, however many queries are built there. */
  *placesOf(builders: Builders): Generator<Span> {
    const open = [builders]
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      this.take()
      if (this.#shown.has(next)) continue
      this.#shown.add(next)
      if (next.joined === null) yield next.span
      else open.push(...next.joined)
    }
  }
}
