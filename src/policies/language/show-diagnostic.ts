import { codePointLabel } from './character-names.ts'
import type { PolicyDiagnostic } from './diagnostic.ts'

/** Characters that move the cursor, change the direction of reading, or cannot be seen. */
const unshowable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u

function shownCharacter(character: string): string {
  return unshowable.test(character) ? codePointLabel(character.codePointAt(0) ?? 0) : character
}

/** Nothing of a hostile text may command the terminal, or forge a line (POL-802). */
export function shownText(text: string): string {
  return Array.from(text, shownCharacter).join('')
}

const maximumExcerpt = 200

/** Index of the first of `length` characters of which `at` is one, somewhere in the middle. */
function windowStart(characters: number, at: number): number {
  if (characters <= maximumExcerpt) return 0
  return Math.max(0, Math.min(at - maximumExcerpt / 2, characters - maximumExcerpt))
}

function sourceLine(text: string, line: number): string {
  return text.replace(/^\ufeff/, '').split(/\r\n|\r|\n/, line)[line - 1] ?? ''
}

export interface DiagnosticExcerpt {
  /** The line of the source, or a part of it if it is very long: then `…` stands for what is left out. */
  readonly excerpt: string
  /** A `^` under the place. */
  readonly caret: string
}

/** The line that a diagnostic is about, and a line that points at the place (POL-802). */
export function diagnosticExcerpt(source: string, { line, column }: Pick<PolicyDiagnostic, 'line' | 'column'>) {
  const characters = Array.from(sourceLine(source, line))
  const start = windowStart(characters.length, column - 1)
  const cut = characters.slice(start, start + maximumExcerpt)
  const cells = cut.map((character) => (character === '\t' ? character : shownCharacter(character)))
  const before = (start > 0 ? '…' : '') + cells.slice(0, column - 1 - start).join('')
  const after = cells.slice(column - 1 - start).join('') + (start + maximumExcerpt < characters.length ? '…' : '')
  const caret = `${Array.from(before, (character) => (character === '\t' ? '\t' : ' ')).join('')}^`
  return { excerpt: before + after, caret } satisfies DiagnosticExcerpt
}

/**
 * A diagnostic for people (POL-802): the place and what is wrong, the line, a caret, and a hint if there is one. Lines
 * are joined by line feeds, without one at the end. `source` is what was parsed; bytes that are no UTF-8 show as U+FFFD.
 */
export function showDiagnostic(diagnostic: PolicyDiagnostic, source: string | Uint8Array, file: string): string {
  const text = typeof source === 'string' ? source : new TextDecoder('utf-8', { ignoreBOM: true }).decode(source)
  const { line, column, severity, id, message, hint } = diagnostic
  const { excerpt, caret } = diagnosticExcerpt(text, diagnostic)
  const head = `${shownText(file)}:${line}:${column}: ${severity} ${id}: ${shownText(message)}`
  return [head, excerpt, caret, ...(hint === undefined ? [] : [`hint: ${shownText(hint)}`])].join('\n')
}

function failureOf({ expected, found, message }: PolicyDiagnostic): string {
  if (expected.length === 0) return message
  const list = expected.length === 1 ? expected[0] : `{${expected.join(', ')}}`
  return `mismatched input '${found}' expecting ${list}`
}

/** The answer of the Azure façade to a policy that does not load (POL-803). */
export interface AzureParsingError {
  readonly code: 'PolicyParsingError'
  readonly message: string
}

/** As clients of Azure Attestation expect it: five quoted fields in this order (POL-803). */
export function azureParsingError(diagnostic: PolicyDiagnostic): AzureParsingError {
  const { found, line, column, path } = diagnostic
  const place = `Offending symbol: '${found}' Line: '${line}', Column: '${column}'`
  const message = `Policy Parser Exception Thrown: ${place} Failure message: '${failureOf(diagnostic)}' Failing rule: '${path}'`
  return { code: 'PolicyParsingError', message: shownText(message) }
}
