import { MalformedError } from '../../base/errors.ts'
import { EvaluationFailure } from '../evaluation-failure.ts'
import { type Json, parseExactJson } from './exact-json.ts'

const symbols = [
  ...['[?', '[]', '&&', '||', '!=', '==', '<=', '>='],
  ...['.', '*', '[', ']', '{', '}', '(', ')', ',', ':', '@', '&', '|', '!', '<', '>'],
] as const

type QuerySymbol = (typeof symbols)[number]

/** `at` is the index of the first UTF-16 unit in the query. */
export type QueryToken = { readonly at: number } & (
  | { readonly kind: QuerySymbol | 'end' }
  | { readonly kind: 'identifier' | 'quoted' | 'raw'; readonly text: string }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'literal'; readonly value: Json }
)

const space = /[ \t\r\n]*/y
const identifier = /[A-Za-z_][A-Za-z0-9_]*/y
const number = /-?[0-9]+/y
/** Closed by the quote; a backslash takes the next character along. No part can match in two ways. */
const delimited = {
  '"': /"(?:[^"\\]|\\.)*"/sy,
  "'": /'(?:[^'\\]|\\.)*'/sy,
  '`': /`(?:[^`\\]|\\.)*`/sy,
} as const

export function queryProblem(problem: string, at: number): EvaluationFailure {
  return new EvaluationFailure('POL-503', `the query does not compile: ${problem} (character ${at + 1})`)
}

/** Cuts a query into tokens; the last one is `end`. Throws `EvaluationFailure` POL-503. */
export class QueryTokens {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  all(): QueryToken[] {
    const tokens: QueryToken[] = []
    for (;;) {
      this.#matched(space)
      if (this.#at === this.#text.length) return [...tokens, { kind: 'end', at: this.#at }]
      tokens.push(this.#next())
    }
  }

  #next(): QueryToken {
    const at = this.#at
    const name = this.#matched(identifier)
    if (name !== undefined) return { kind: 'identifier', text: name, at }
    const digits = this.#matched(number)
    if (digits !== undefined) return { kind: 'number', value: Number(digits), at }
    const first = this.#text[at]
    if (first === '"' || first === "'" || first === '`') return this.#delimited(first, at)
    const symbol = symbols.find((candidate) => this.#text.startsWith(candidate, at))
    if (symbol === undefined) throw queryProblem('no token of the query language', at)
    this.#at += symbol.length
    return { kind: symbol, at }
  }

  #delimited(quote: '"' | "'" | '`', at: number): QueryToken {
    const text = this.#matched(delimited[quote])
    if (text === undefined) throw queryProblem(`${quote} is not closed`, at)
    const inner = text.slice(1, -1)
    if (quote === "'") return { kind: 'raw', text: unescaped(inner, "'"), at }
    if (quote === '`') return { kind: 'literal', value: json(unescaped(inner, '`'), at), at }
    return { kind: 'quoted', text: String(json(text, at)), at }
  }

  #matched(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#text)?.[0]
    if (match !== undefined) this.#at += match.length
    return match
  }
}

/** Only the delimiter itself is escaped: `'\windows'` keeps its backslash (POL-520). */
function unescaped(text: string, delimiter: string): string {
  return text.replace(/\\(.)/gs, (pair, next) => (next === delimiter ? next : pair))
}

function json(text: string, at: number): Json {
  try {
    return parseExactJson(text, 'literal')
  } catch (error) {
    if (error instanceof MalformedError) throw queryProblem('a literal that is not JSON', at)
    throw error
  }
}
