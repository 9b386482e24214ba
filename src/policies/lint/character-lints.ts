import { nameCharacter } from '../language/character-names.ts'
import { codePointsIn } from '../language/code-points.ts'
import type { LintFinding } from './lint-finding.ts'

/** Marks, embeddings, overrides and isolates of the bidirectional algorithm (UAX #9). */
const directional = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/
/** What many programs show as the end of a line, and the lexer does not take for one (POL-103). */
const seeming = /[\u000b\u000c\u0085\u2028\u2029]/

interface TextLine {
  readonly text: string
  readonly number: number
  /** How it ends; empty for the last one. */
  readonly end: string
}

function* linesOf(text: string): Generator<TextLine> {
  const parts = text.replace(/^\ufeff/, '').split(/(\r\n|\r|\n)/)
  for (let at = 0; at < parts.length; at += 2) {
    yield { text: parts[at] ?? '', number: at / 2 + 1, end: parts[at + 1] ?? '' }
  }
}

const spanAt = ({ text, number }: TextLine, at: number) => ({
  line: number,
  column: codePointsIn(text, 0, at) + 1,
  length: 1,
})

/** L23, a lone CR: `// seen as one line<CR>=> permit();` is a comment to who reads it, and a rule here. */
function loneReturn(line: TextLine): LintFinding | null {
  if (line.end !== '\r') return null
  const message = 'the line ends with a lone CR: many programs show the next line as part of this one'
  const hint = 'end lines with LF or CR LF: attestd policy fmt does'
  return { id: 'L23', span: { ...spanAt(line, line.text.length), length: 0 }, message, hint, found: 'U+000D' }
}

/** L23, the opposite: what looks like a rule on a line of its own still belongs to the comment before it. */
function seemingEnd(line: TextLine): LintFinding | null {
  const at = line.text.search(seeming)
  if (at < 0) return null
  const { name } = nameCharacter(line.text.charCodeAt(at))
  const message = `${name} ends no line here, and does where many programs show the text`
  return { id: 'L23', span: spanAt(line, at), message, hint: 'write a line feed, or delete it', found: name }
}

/** L24: an attacker shows a rule, or a value, other than it is evaluated (CVE-2021-42574). */
function directionalCharacter(line: TextLine): LintFinding | null {
  const at = line.text.search(directional)
  if (at < 0) return null
  const { name } = nameCharacter(line.text.charCodeAt(at))
  const message = `${name}: programs show what stands around it in another order than it is read here`
  return { id: 'L24', span: spanAt(line, at), message, hint: 'delete it', found: name }
}

/**
 * Characters by which a text reads other than it evaluates: of line ends the first of each kind, of what changes
 * directions the first in each line. Outside of strings and comments most of them are errors already (POL-104).
 */
export function lintCharacters(text: string): LintFinding[] {
  const lines = [...linesOf(text)]
  return [
    ...lines.flatMap((line) => loneReturn(line) ?? []).slice(0, 1),
    ...lines.flatMap((line) => seemingEnd(line) ?? []).slice(0, 1),
    ...lines.flatMap((line) => directionalCharacter(line) ?? []),
  ]
}
