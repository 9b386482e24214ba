import type { Claim, Evaluation, JointVerdict } from '../../policies/index.ts'
import type { Policy } from '../../policies/language/syntax.ts'
import type { PolicySource } from '../policy-tools/policy-source.ts'
import { stoppedAt, type TracedRule, tracedRules } from '../policy-tools/rule-places.ts'
import { counted } from './counted.ts'
import { claimLines, type Reasoning, reasonLines, whyNotFired } from './policy-reasons.ts'
import { sourceText, spanText } from './policy-source-text.ts'
import { shownTokenValue, shownValue } from './policy-values.ts'
import { type CommandIo, escaped, painted } from './terminal.ts'

/** A policy, what it was asked about, and what it said. */
export interface Explained {
  readonly source: PolicySource
  readonly policy: Policy
  readonly evaluation: Evaluation
  readonly claims: readonly Pick<Claim, 'type' | 'value' | 'issuer'>[]
}

interface Page extends Reasoning {
  readonly explained: Explained
}

const indented = (lines: readonly string[]) => lines.map((line) => `    ${line}`)

/** A rule that fired, each condition followed by the claims that fulfil it. */
function firedLines({ rule, entry }: TracedRule, { text }: Page): string[] {
  const conditions = rule.conditions.flatMap((condition, at) => {
    const trace = entry.conditions[at]
    const found = trace === undefined || trace.negated ? ['no such claim is there'] : claimLines(trace)
    return [...spanText(text, condition.span), ...indented(found)]
  })
  const action = spanText(text, rule.action.span).join(' ')
  return [...conditions, rule.conditions.length === 0 ? `${action}, whatever the claims are` : `so: ${action}`]
}

function decisiveLines(page: Page, does: string): string[] {
  const { decidedBy } = page.explained.evaluation
  const decisive = page.rules.filter(({ entry }) => entry.fired && decidedBy.includes(entry.line))
  const said = decisive.filter(({ entry }) => entry.action === 'permit' || entry.action === 'deny')
  return said.flatMap((each) => [`line ${each.entry.line} ${does}`, ...indented(firedLines(each, page))])
}

function noPermitLines(page: Page): string[] {
  const permits = page.rules.filter(({ rule }) => rule.action.kind === 'permit')
  if (permits.length === 0) return ['the policy has no rule that permits']
  return permits.flatMap((each) => {
    const at = stoppedAt(each) ?? 0
    const head = `line ${each.entry.line} did not permit: condition ${at + 1} of ${each.rule.conditions.length} does not hold`
    return [head, ...indented(whyNotFired(each, page))]
  })
}

const configurationClaims = ['tpm.quoted_pcrs', 'tpm.ak_trusted']

function configurationLines({ explained: { evaluation, claims } }: Page): string[] {
  const { decidedBy } = evaluation
  const where = decidedBy.length === 0 ? 'by default' : `by line ${decidedBy.join(', ')}`
  const facts = configurationClaims.map((type) => {
    const values = claims.filter((claim) => claim.type === type && claim.issuer === 'AttestationService')
    return `${type} is ${values.map(({ value }) => String(value)).join(', ') || 'absent'}`
  })
  const asks = 'PCRs in required_pcr_mask that are not quoted, or a trusted attestation key (require_valid_aik_cert)'
  return [`the configuration asks ${where} for more than the evidence shows: ${asks}`, ...indented(facts)]
}

function errorLines({ explained: { evaluation }, rules, text }: Page): string[] {
  if (evaluation.verdict !== 'error') return []
  const { id, message, line } = evaluation.error
  const failed = rules.find(({ entry }) => entry.error !== undefined)
  const where = line === null ? 'before any rule' : `line ${line}`
  const rule = failed === undefined ? [] : indented(spanText(text, failed.rule.span))
  return [`${where}: ${id}: ${escaped(message)}`, ...rule, 'one rule that cannot be evaluated refuses the whole token']
}

function whyLines(page: Page): string[] {
  const { evaluation } = page.explained
  if (evaluation.verdict === 'permit') return decisiveLines(page, 'permitted')
  if (evaluation.verdict === 'error') return errorLines(page)
  if (evaluation.reason === 'deny-rule') {
    return [...decisiveLines(page, 'denied'), 'one rule that denies decides, whatever else permits']
  }
  return evaluation.reason === 'configuration' ? configurationLines(page) : noPermitLines(page)
}

const verdicts = { permit: 'green', deny: 'red', error: 'red' } as const

function verdictLine({ evaluation, source }: Explained, io: CommandIo): string {
  const { verdict } = evaluation
  const reason = verdict === 'deny' ? ` (${evaluation.reason})` : ''
  return `${escaped(source.file)}: ${painted(io, verdicts[verdict], verdict.toUpperCase())}${reason}`
}

/** What a permit gives: the claims that the policy puts into the token, and properties. */
export function grantedLines(evaluation: Evaluation | JointVerdict): string[] {
  if (evaluation.verdict !== 'permit') return []
  const token = Object.entries(evaluation.token).map(([name, value]) => `${escaped(name)}  ${shownTokenValue(value)}`)
  const properties = Object.entries(evaluation.properties).map(([name, value]) => `${name}  ${shownValue(value)}`)
  return [
    token.length === 0 ? 'claims for the token: none' : 'claims for the token:',
    ...indented(token),
    ...(properties.length === 0 ? [] : ['properties:', ...indented(properties)]),
  ]
}

function effectOf({ entry }: TracedRule): string {
  if (entry.error !== undefined) return `${entry.error.id}: ${escaped(entry.error.message)}`
  if (entry.noop !== undefined) return 'yes, but there was no value'
  const effects = entry.effects.map(({ type, value }) => `${escaped(type)} = ${shownValue(value)}`)
  return ['yes', ...(effects.length === 0 ? [] : [effects.slice(0, 3).join(', ')])].join(': ')
}

function stopOf(traced: TracedRule): string {
  const at = stoppedAt(traced)
  const trace = at === null ? undefined : traced.entry.conditions[at]
  if (trace === undefined) return effectOf(traced)
  const more = (trace.near?.length ?? 0) > 1 ? ', …' : ''
  return `no: ${reasonLines(trace)[0] ?? ''}${more}`
}

const mostRules = 48

/** One line a rule, in the order in which they ran. */
function ruleTable({ rules }: Page): string[] {
  const interesting = rules.length <= mostRules ? rules : rules.filter(({ entry }) => entry.fired || entry.error)
  const left = rules.length - interesting.length
  const lines = interesting.map((each) => {
    const { line } = each.entry
    return `${String(line).padStart(6)}  ${each.rule.action.kind.padEnd(13)}  ${each.entry.fired ? effectOf(each) : stopOf(each)}`
  })
  if (rules.length === 0) return []
  return [
    '',
    'rules, by line:',
    ...lines,
    ...(left === 0 ? [] : [`        ${left} rules did not fire and are left out`]),
  ]
}

/** A query may have 32 KiB on a line; nobody reads on behind this. */
const longestLine = 400
const cutLine = (line: string): string => (line.length <= longestLine ? line : `${line.slice(0, longestLine)}…`)

/** One page: the verdict, why, what a permit gives, and what each rule did (POL-820). */
export function renderExplanation(explained: Explained, io: CommandIo): string {
  const { source, policy, evaluation } = explained
  const page = {
    explained,
    rules: tracedRules(policy, evaluation),
    text: sourceText(source.bytes),
    told: new Set<TracedRule>(),
  }
  const lines = [
    verdictLine(explained, io),
    '',
    ...whyLines(page),
    ...grantedLines(evaluation),
    ...ruleTable(page),
    '',
    `${counted(explained.claims.length, 'claim')}, ${counted(evaluation.steps, 'step')}`,
  ]
  return `${lines.map(cutLine).join('\n')}\n`
}

/** The object of POL-820, with what the policy gives or why it could not be evaluated. */
export function explanationDocument(evaluation: Evaluation): Record<string, unknown> {
  const { verdict, decidedBy, trace = [], steps } = evaluation
  const head = { verdict, decidedBy, trace, steps }
  if (evaluation.verdict === 'permit') return { ...head, token: evaluation.token, properties: evaluation.properties }
  if (evaluation.verdict === 'deny') return { ...head, reason: evaluation.reason }
  return { ...head, reason: 'error', error: evaluation.error }
}
