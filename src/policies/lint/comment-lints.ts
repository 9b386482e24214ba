import type { PolicyComment } from '../language/token.ts'
import type { LintFinding } from './lint-finding.ts'

const actionCall = /\b(?:permit|deny|add|issue|issueproperty)[ \t]{0,16}\(/

/** L12: a rule lost in a comment. */
export function lintComment({ text, span }: PolicyComment): LintFinding | null {
  if (!text.includes('=>') || !actionCall.test(text)) return null
  return { id: 'L12', span, message: 'the comment holds a rule, which does not run', hint: 'put it in, or delete it' }
}
