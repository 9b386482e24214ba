import type { PolicyDiagnostic } from './diagnostic.ts'
import { comparePlaces, Findings } from './findings.ts'
import { Lexer } from './lexer.ts'
import type { Span } from './syntax.ts'
import type { PolicyComment, Token } from './token.ts'

/** A token or a comment of a text that parses, as the layout needs it. */
export interface LexicalItem {
  readonly kind: 'mark' | 'comment' | 'other'
  readonly text: string
  /** A comment behind something else on its line. */
  readonly trailing: boolean
  /** One empty line or more stands before it. */
  readonly afterBlank: boolean
}

type Piece = Pick<Token, 'text' | 'span'> & { readonly kind: LexicalItem['kind'] }

const placeKey = ({ line, column }: Pick<Span, 'line' | 'column'>) => `${line}:${column}`

/** Right spelling of the words that lenient mode let pass, by place. */
function spellings(warnings: readonly PolicyDiagnostic[]): ReadonlyMap<string, string> {
  return new Map(
    warnings.flatMap((warning) => {
      const [meant] = warning.expected
      return meant === undefined ? [] : [[placeKey(warning), meant.slice(1, -1)] as const]
    }),
  )
}

function tokensOf(text: string): { tokens: Token[]; comments: readonly PolicyComment[] } {
  const lexer = new Lexer(text, text.length * 3, new Findings())
  const tokens: Token[] = []
  for (let token = lexer.next(); token.kind !== 'end'; token = lexer.next()) tokens.push(token)
  return { tokens, comments: lexer.comments }
}

function inOrder(tokens: readonly Piece[], comments: readonly Piece[]): Piece[] {
  return [...tokens, ...comments].sort((left, right) => comparePlaces(left.span, right.span))
}

/** Tokens and comments of `text`, which parses, in text order; `warnings` are those of parsing it. */
export function lexicalItems(text: string, warnings: readonly PolicyDiagnostic[]): LexicalItem[] {
  const meant = spellings(warnings)
  const { tokens, comments } = tokensOf(text)
  const pieces = inOrder(
    tokens.map(({ kind, text: written, span }) => ({
      kind: kind === 'mark' ? kind : 'other',
      text: meant.get(placeKey(span)) ?? written,
      span,
    })),
    comments.map((comment) => ({ kind: 'comment', ...comment })),
  )
  return pieces.map(({ kind, text: shown, span }, at) => {
    const before = pieces[at - 1]?.span.line ?? span.line
    const trailing = kind === 'comment' && at > 0 && before === span.line
    return { kind, text: shown, trailing, afterBlank: span.line - before > 1 }
  })
}
