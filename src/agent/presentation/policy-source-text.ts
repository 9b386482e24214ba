import type { Span } from '../../policies/language/syntax.ts'
import { escaped } from './terminal.ts'

/** Lines of a policy text, as places count them (POL-103), each a list of code points with those of its line end. */
export type SourceText = readonly (readonly string[])[]

/** Bytes that are no UTF-8 become U+FFFD; a byte order mark at the start does not count (POL-801). */
export function sourceText(bytes: Uint8Array): SourceText {
  const text = new TextDecoder().decode(bytes)
  return text.split(/(?<=\r\n|\n|\r(?!\n))/).map((line) => [...line])
}

const mostLines = 12

/** The code points of a place, line by line. */
function spanned(text: SourceText, { line, column, length }: Span): string[] {
  const lines: string[] = []
  let left = length
  for (let at = line - 1; at < text.length && left > 0; at++) {
    const cells = (text[at] ?? []).slice(at === line - 1 ? column - 1 : 0).slice(0, left)
    lines.push(cells.join(''))
    left -= cells.length
  }
  return lines
}

/** What stands at a place for people: line by line without indentation and whole-line comments, safe to print. */
export function spanText(text: SourceText, span: Span): string[] {
  const lines = spanned(text, span)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('//'))
  return lines.length <= mostLines ? lines.map(escaped) : [...lines.slice(0, mostLines).map(escaped), '…']
}

/** Where a place ends: the line and the column behind its last code point, 1-based. */
export function spanEnd(text: SourceText, span: Span): Pick<Span, 'line' | 'column'> {
  const lines = spanned(text, span)
  const last = [...(lines.at(-1) ?? '')].length
  if (lines.length <= 1) return { line: span.line, column: span.column + last }
  return { line: span.line + lines.length - 1, column: last + 1 }
}
