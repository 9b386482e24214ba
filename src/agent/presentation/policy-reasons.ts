import type { ConditionTrace, NearMiss } from '../../policies/index.ts'
import type { Condition } from '../../policies/language/syntax.ts'
import { addedType, stoppedAt, type TracedRule } from '../policy-tools/rule-places.ts'
import { type SourceText, spanText } from './policy-source-text.ts'
import { shownValue } from './policy-values.ts'
import { escaped } from './terminal.ts'

const deepestChain = 6
const mostProviders = 6

function nearLine(near: NearMiss): string {
  if ('absent' in near) return `there is no claim ${escaped(near.absent)}`
  const { type, value, issuer, failed } = near
  const differs = failed === 'value' ? '' : `: its ${failed} is not the one asked for`
  return `${escaped(type)} is ${shownValue(value)} (${issuer})${differs}`
}

export function claimLines({ claims = [], matched }: ConditionTrace): string[] {
  const lines = claims.map(({ type, value, issuer }) => `${escaped(type)} is ${shownValue(value)} (${issuer})`)
  return matched > claims.length ? [...lines, `and ${matched - claims.length} more claims`] : lines
}

/** Why a condition does not hold, in a line or some. */
export function reasonLines(trace: ConditionTrace): string[] {
  if (trace.negated) return [`a claim is there that must not be: ${claimLines(trace).join(', ')}`]
  return trace.near === undefined ? ['no claim fulfils it'] : trace.near.map(nearLine)
}

/** The type of claim that a condition looks for, if it is written there. */
function typeAsked({ tests }: Condition): string | null {
  const test = tests.find(({ property, operator }) => property === 'type' && operator === '==')
  return test?.expression.kind === 'string' ? test.expression.value : null
}

/** What an explanation is made from. `told`: rules that were explained, so that none is twice, however they hang together. */
export interface Reasoning {
  readonly rules: readonly TracedRule[]
  readonly text: SourceText
  readonly told: Set<TracedRule>
}

/** Rules before this one that could have added what it misses. */
function providersOf(missing: Condition, { rules }: Reasoning, before: TracedRule): readonly TracedRule[] {
  const type = typeAsked(missing)
  if (type === null) return []
  return rules.slice(0, rules.indexOf(before)).filter(({ rule }) => addedType(rule) === type)
}

const indented = (lines: readonly string[]) => lines.map((line) => `    ${line}`)

function providerLines(provider: TracedRule, reasoning: Reasoning, depth: number): readonly string[] {
  const { line, fired } = provider.entry
  if (fired) return [`line ${line} added one with another value`]
  if (reasoning.told.has(provider) || depth === deepestChain) return [`line ${line} would have added it`]
  reasoning.told.add(provider)
  return [`line ${line} would have added it:`, ...indented(whyNotFired(provider, reasoning, depth + 1))]
}

/**
 * Why a rule did not fire: its first condition that does not hold, the claims that come close, and if an earlier rule
 * should have added what is missing, why that one did not.
 */
export function whyNotFired(traced: TracedRule, reasoning: Reasoning, depth = 0): readonly string[] {
  const at = stoppedAt(traced)
  const [condition, trace] = at === null ? [] : [traced.rule.conditions[at], traced.entry.conditions[at]]
  if (condition === undefined || trace === undefined) return []
  const providers = trace.negated ? [] : providersOf(condition, reasoning, traced)
  const chain = [
    ...providers.slice(0, mostProviders).flatMap((provider) => providerLines(provider, reasoning, depth)),
    ...(providers.length > mostProviders ? [`${providers.length - mostProviders} more rules add such a claim`] : []),
  ]
  return [...spanText(reasoning.text, condition.span), ...indented([...reasonLines(trace), ...chain])]
}
