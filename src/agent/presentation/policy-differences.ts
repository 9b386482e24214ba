import type { Rule } from '../../policies/language/syntax.ts'
import type { PolicyDifferences, RuleDifference } from '../policy-tools/policy-differences.ts'
import type { PolicySource } from '../policy-tools/policy-source.ts'
import { type SourceText, sourceText, spanText } from './policy-source-text.ts'
import { type CommandIo, painted } from './terminal.ts'

/** Both texts, for showing what stands in them. */
export interface ComparedSources {
  readonly before: PolicySource
  readonly after: PolicySource
}

function side(sign: '-' | '+', rule: Rule | null, text: SourceText, io: CommandIo): string[] {
  if (rule === null) return []
  const colour = sign === '-' ? 'red' : 'green'
  return spanText(text, rule.span).map((line, at) => {
    const place = at === 0 ? String(rule.span.line) : ''
    return painted(io, colour, `${sign} ${place.padStart(5)}  ${line}`)
  })
}

function ruleLines({ kind, section, before, after }: RuleDifference, texts: readonly SourceText[], io: CommandIo) {
  const [old = [], now = []] = texts
  if (kind === 'moved') {
    const head = `moved in ${section}, from line ${before?.span.line} to line ${after?.span.line}`
    return [head, ...(after === null ? [] : spanText(now, after.span).map((line) => `         ${line}`))]
  }
  return [`${kind} in ${section}`, ...side('-', before, old, io), ...side('+', after, now, io)]
}

/** Rule by rule, in the order of the second text. */
export function renderPolicyDifferences(found: PolicyDifferences, sources: ComparedSources, io: CommandIo): string {
  const texts = [sourceText(sources.before.bytes), sourceText(sources.after.bytes)]
  const { version, rules, same } = found
  const lines = [
    ...(version === null ? [] : [`version ${version.before} became ${version.after}`]),
    ...rules.flatMap((each) => ruleLines(each, texts, io)),
    `${summaryOf(found)}; ${same === 1 ? '1 rule is' : `${same} rules are`} the same`,
  ]
  return `${lines.join('\n')}\n`
}

function summaryOf({ rules, version }: PolicyDifferences): string {
  if (rules.length === 0) return version === null ? 'the policies say the same' : 'the rules say the same'
  const count = (kind: RuleDifference['kind']) => rules.filter((each) => each.kind === kind).length
  return (['added', 'removed', 'changed', 'moved'] as const)
    .flatMap((kind) => (count(kind) === 0 ? [] : [`${count(kind)} ${kind}`]))
    .join(', ')
}

/** The same as JSON. */
export function policyDifferencesDocument(found: PolicyDifferences, { before, after }: ComparedSources) {
  const [old, now] = [sourceText(before.bytes), sourceText(after.bytes)]
  const shown = (rule: Rule | null, text: SourceText) =>
    rule === null ? null : { line: rule.span.line, text: spanText(text, rule.span).join('\n') }
  return {
    version: found.version,
    same: found.same,
    rules: found.rules.map((each) => ({
      kind: each.kind,
      section: each.section,
      before: shown(each.before, old),
      after: shown(each.after, now),
    })),
  }
}
