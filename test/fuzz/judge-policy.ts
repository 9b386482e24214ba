import {
  defaultPolicyLimits,
  type Evaluation,
  evaluatePolicy,
  lintPolicy,
  type PolicyDiagnostic,
  parsePolicy,
  type TokenValue,
} from '../../src/policies/index.ts'
import type { Policy } from '../../src/policies/language/syntax.ts'
import { reservedNames } from '../../src/policies/reserved-claims.ts'
import type { PolicyInput } from './policy-inputs.ts'

/** A verdict, an error of the evaluation, or why the policy did not load. */
export type Outcome = string

function require(holds: boolean, what: string): void {
  if (!holds) throw new TypeError(what)
}

/** Bytes of the token as it would be written, at least. */
const leastBytes = (token: Readonly<Record<string, TokenValue>>) =>
  Buffer.byteLength(JSON.stringify(token, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)))

/** POL-421, POL-422: what permits has a rule that does, and denies nothing. */
function checkPermit(policy: Policy, evaluation: Extract<Evaluation, { verdict: 'permit' }>, input: PolicyInput): void {
  const lines = policy.authorization.filter(({ action }) => action.kind === 'permit').map(({ span }) => span.line)
  require(evaluation.decidedBy.length > 0, 'permits without a rule (POL-422)')
  for (const line of evaluation.decidedBy) require(lines.includes(line), `line ${line} permits nothing (POL-422)`)
  const denies = evaluation.trace?.some(({ fired, action }) => fired && action === 'deny') ?? false
  require(!denies, 'permits although a rule denies (POL-421)')
  for (const name of Object.keys(evaluation.token)) {
    require(!reservedNames[input.profile].has(name), `issues ${name} (POL-427)`)
  }
  require(Object.getPrototypeOf(evaluation.token) === null, 'the token has a prototype (POL-419)')
  const most = input.limits.issuedBytes ?? defaultPolicyLimits.issuedBytes
  require(leastBytes(evaluation.token) <= most + 64, 'issues more than its limit (POL-609)')
}

/** Strict readers of JSON refuse it. */
const halfPair = /\p{Surrogate}/u

/** POL-801; a lint that reaches a limit says so. */
function checkDiagnostics(diagnostics: readonly PolicyDiagnostic[]): void {
  require(diagnostics.length < 10_000, `${diagnostics.length} findings`)
  for (const { id, message, found, hint = '' } of diagnostics) {
    require(!halfPair.test(message + hint) && !halfPair.test(found), `${id} has half a surrogate pair`)
  }
}

function checkError({ error }: Extract<Evaluation, { verdict: 'error' }>, lines: number): void {
  require(/^POL-[0-9]{3}$/.test(error.id), `an error without a rule: ${error.id}`)
  require(error.message.length > 0 &&
    error.message.length < 1000, `${error.id} says ${error.message.length} characters`)
  require(!halfPair.test(error.message), `${error.id} has half a surrogate pair in its message`)
  require(error.line === null || (error.line >= 1 && error.line <= lines), `${error.id} in line ${error.line}`)
}

function checkEvaluation(policy: Policy, evaluation: Evaluation, input: PolicyInput): void {
  if (evaluation.verdict === 'permit') checkPermit(policy, evaluation, input)
  if (evaluation.verdict === 'error') checkError(evaluation, input.text.split(/\r\n|\r|\n/).length)
  require((evaluation.trace !== undefined) === input.trace, 'a trace that nobody asked for (POL-820)')
  for (const { issuer } of evaluation.added)
    require(issuer === 'AttestationPolicy', `adds a claim of ${issuer} (POL-414)`)
}

/**
 * Loads a policy, lints it and evaluates it, and throws if anything but a verdict comes of it, or one that the
 * specification rules out. `again` evaluates twice: the same must come of it.
 */
export function judgePolicy(input: PolicyInput, again: boolean): Outcome {
  const { text, lenient, claims, profile, limits, trace } = input
  const parsed = parsePolicy(text, { lenient })
  if (parsed.policy === undefined) {
    checkDiagnostics(parsed.diagnostics)
    return parsed.diagnostics[0]?.id ?? 'nothing'
  }
  checkDiagnostics(lintPolicy(parsed, { profile, limits }))
  const evaluate = () => evaluatePolicy(parsed.policy, claims, { profile, limits, trace })
  const evaluation = evaluate()
  checkEvaluation(parsed.policy, evaluation, input)
  if (again) require(sameResult(evaluation, evaluate()), 'another result the second time (section 5)')
  return evaluation.verdict === 'error' ? `error ${evaluation.error.id}` : evaluation.verdict
}

function sameResult(one: Evaluation, other: Evaluation): boolean {
  const [left, right] = [one, other].map((each) =>
    JSON.stringify(each, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value)),
  )
  return left === right
}
