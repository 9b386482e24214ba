import type { PolicyDiagnostic } from './diagnostic.ts'
import type { Span } from './syntax.ts'

/** `mark`: punctuation and operators. `end`: behind the last character. */
export type TokenKind = 'word' | 'string' | 'number' | 'mark' | 'end'

export interface Token {
  readonly kind: TokenKind
  /** As it stands in the text; strings with their quotes; `<EOF>` at the end. */
  readonly text: string
  /** What a string literal says, escapes undone; empty for every other kind. */
  readonly value: string
  /** Offsets in the text, in UTF-16 units. */
  readonly start: number
  readonly end: number
  readonly span: Span
  /** Of a number that is no Integer: an error wherever it stands but behind `version =` (POL-108, POL-202). */
  readonly fault?: PolicyDiagnostic
}

/** A comment from its `//` to the end of its line, which is not part of it (POL-105). */
export interface PolicyComment {
  readonly text: string
  readonly span: Span
}
