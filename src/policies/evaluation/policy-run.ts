import type { Claim } from '../claim.ts'
import { EvaluationFailure } from '../evaluation-failure.ts'
import type { PolicyLimits } from '../policy-limits.ts'
import type { PolicyProfile } from '../reserved-claims.ts'
import type { ActionTargets } from './actions.ts'
import { unmetConfiguration } from './configuration.ts'
import type { ConditionTrace, Evaluation, EvaluationError } from './evaluation.ts'
import { EvaluationContext } from './evaluation-context.ts'
import type { RuleScope } from './expressions.ts'
import { IssuedToken } from './issued-token.ts'
import type { PreparedRule, PreparedRules } from './prepared-rule.ts'
import { PolicyProperties } from './properties.ts'
import { type MutableEntry, traceCondition, traceEffect } from './trace.ts'
import { type WorkingClaim, WorkingSet } from './working-set.ts'

export interface RunOptions {
  readonly profile: PolicyProfile
  readonly limits: PolicyLimits
  readonly trace: boolean
}

/** A failure with the rule in which it happened (POL-424). */
class RuleFailure extends Error {
  readonly failed: EvaluationError

  constructor(failed: EvaluationError) {
    super(failed.message)
    this.failed = failed
  }
}

/** One evaluation of one policy: its working set, and what its rules have done so far. */
export class PolicyRun {
  readonly #options: RunOptions
  readonly #context: EvaluationContext
  readonly #to: ActionTargets
  readonly #permits: number[] = []
  readonly #denies: number[] = []
  readonly #fired: number[] = []
  readonly #trace: MutableEntry[] = []

  constructor(options: RunOptions) {
    this.#options = options
    this.#context = new EvaluationContext(options.limits)
    this.#to = {
      working: new WorkingSet(options.limits.workingClaims),
      token: new IssuedToken(options.profile, options.limits),
      properties: new PolicyProperties(),
      added: [],
    }
  }

  /** Adds the incoming claims and runs all rules in the order of POL-403. */
  evaluate(prepare: () => { readonly claims: readonly WorkingClaim[]; readonly rules: PreparedRules }): Evaluation {
    try {
      const { claims, rules } = prepare()
      for (const claim of claims) this.#to.working.add(claim)
      return this.#decide(rules)
    } catch (error) {
      if (error instanceof RuleFailure) return this.#failed(error.failed)
      if (!(error instanceof EvaluationFailure)) throw error
      return this.#failed({ id: error.id, message: error.message, section: null, line: null })
    }
  }

  #decide({ configuration, authorization, issuance }: PreparedRules): Evaluation {
    this.#runAll(configuration)
    const unmet = unmetConfiguration(this.#to.working, this.#to.properties)
    if (unmet) return { ...this.#evaluated(unmet), verdict: 'deny', reason: 'configuration' }
    this.#runAll(authorization)
    // POL-421: a deny wins, wherever it stands.
    if (this.#denies.length > 0) return { ...this.#evaluated(this.#denies), verdict: 'deny', reason: 'deny-rule' }
    if (this.#permits.length === 0) return { ...this.#evaluated([]), verdict: 'deny', reason: 'no-permit' }
    this.#runAll(issuance)
    const [token, properties] = [this.#to.token.token(), this.#to.properties.all()]
    return { ...this.#evaluated(this.#permits), verdict: 'permit', token, properties }
  }

  #failed(error: EvaluationError): Evaluation {
    return { ...this.#evaluated(error.line === null ? [] : [error.line]), verdict: 'error', error }
  }

  #evaluated(decidedBy: readonly number[]) {
    const added = this.#to.added.map(
      ({ type, value, issuer, readOnly }): Claim => ({ type, value, issuer, ...(readOnly && { readOnly }) }),
    )
    const trace = this.#options.trace ? { trace: this.#trace } : {}
    return { decidedBy, steps: this.#context.meter.taken, firedLines: this.#fired, added, ...trace }
  }

  #runAll(rules: readonly PreparedRule[]): void {
    for (const rule of rules) this.#runOne(rule)
  }

  #runOne(prepared: PreparedRule): void {
    const { section, line } = prepared
    const entry = this.#entry(prepared)
    try {
      const scope = this.#scopeIfAllHold(prepared, entry)
      if (scope) this.#fire(prepared, scope, entry)
    } catch (error) {
      if (!(error instanceof EvaluationFailure)) throw error
      const failed = { id: error.id, message: error.message, section, line }
      if (entry) entry.error = failed
      throw new RuleFailure(failed)
    }
  }

  #entry({ section, number, rule }: PreparedRule): MutableEntry | undefined {
    if (!this.#options.trace) return undefined
    const { line, column } = rule.span
    const entry: MutableEntry = { section, rule: number, line, column, fired: false, conditions: [], effects: [] }
    this.#trace.push(entry)
    return entry
  }

  /** Left to right, up to the first condition that is false (POL-405, POL-406); undefined if one is. */
  #scopeIfAllHold({ conditions }: PreparedRule, entry: MutableEntry | undefined): RuleScope | undefined {
    const bound = new Map<string, readonly WorkingClaim[]>()
    const scope = { context: this.#context, bound }
    const traces: ConditionTrace[] = []
    if (entry) entry.conditions = traces
    for (const prepared of conditions) {
      const result = prepared.apply(this.#to.working, scope)
      const { negated, identifier } = prepared.condition
      const holds = negated !== result.matched.length > 0
      if (entry) traces.push(traceCondition(prepared, result, holds, this.#to.working))
      if (!holds) return undefined
      if (identifier !== null) bound.set(identifier, result.matched)
    }
    return scope
  }

  /** Once, however many claims matched (POL-408). */
  #fire({ rule: { action }, line, act }: PreparedRule, scope: RuleScope, entry: MutableEntry | undefined): void {
    this.#fired.push(line)
    if (entry) Object.assign(entry, { fired: true, action: action.kind })
    if (action.kind === 'permit') this.#permits.push(line)
    if (action.kind === 'deny') this.#denies.push(line)
    const effects = act(scope, this.#to)
    if (!entry) return
    entry.effects = effects.map(traceEffect)
    if ('argument' in action && effects.length === 0) entry.noop = 'empty value'
  }
}
