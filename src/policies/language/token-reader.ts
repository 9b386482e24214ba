import { nearWords } from '../../base/near-words.ts'
import { codePointsIn, shortened } from './code-points.ts'
import type { PolicyDiagnostic } from './diagnostic.ts'
import { Findings } from './findings.ts'
import { Lexer } from './lexer.ts'
import type { Span } from './syntax.ts'
import type { Token } from './token.ts'
import { inOtherCase, quoted } from './words.ts'

export interface ReaderOptions {
  /** POL-604. */
  readonly literalBytes: number
  /** Accepts words that differ in case only, with L18 (POL-110, POL-305). */
  readonly lenient: boolean
}

/** What is wrong at a token. Either tokens were expected there, or `message` says it. */
export interface Complaint {
  readonly expected?: readonly string[]
  readonly message?: string
  readonly hint?: string | undefined
}

/** Ends the reading of a rule that makes no sense any more, or of the whole text. Never leaves this folder. */
export class Abandoned extends Error {
  readonly scope: 'rule' | 'policy'

  constructor(scope: 'rule' | 'policy') {
    super(`abandoned: ${scope}`)
    this.scope = scope
  }
}

function grammarMessage(found: string, expected: readonly string[]): string {
  const last = expected.at(-1) ?? ''
  const list = expected.length > 1 ? `${expected.slice(0, -1).join(', ')} or ${last}` : last
  return `found ${found === '<EOF>' ? 'the end of the text' : `'${found}'`}, expected ${list}`
}

/** The tokens of a text with one token in view, and everything that was found wrong. */
export class TokenReader {
  readonly findings = new Findings()
  readonly lenient: boolean
  readonly #lexer: Lexer
  readonly #text: string
  /** No character takes two units: nothing needs to be counted. */
  readonly #isPlain: boolean
  readonly #path: string[] = ['policy']
  #token: Token
  #ahead: Token | null = null
  #lastEnd = 0
  /** Where the rule, or the section, began that is being read. */
  #began: Span

  constructor(text: string, options: ReaderOptions) {
    this.#text = text
    this.#isPlain = !/[\ud800-\udfff]/.test(text)
    this.lenient = options.lenient
    this.#lexer = new Lexer(text, options.literalBytes, this.findings)
    this.#token = this.#lexer.next()
    this.#began = { line: 1, column: 1, length: 0 }
  }

  get token(): Token {
    return this.#token
  }

  get comments() {
    return this.#lexer.comments
  }

  /** The token behind the one in view. */
  peek(): Token {
    this.#ahead ??= this.#lexer.next()
    return this.#ahead
  }

  /** Goes on to the next token; gives the one that was in view. */
  advance(): Token {
    const taken = this.#token
    if (taken.fault) this.findings.report(taken.fault)
    this.pass()
    return taken
  }

  /** As `advance`, whatever is wrong with the token itself. */
  pass(): void {
    if (this.findings.full) throw new Abandoned('policy')
    this.#lastEnd = this.#token.end
    this.#token = this.#ahead ?? this.#lexer.next()
    this.#ahead = null
  }

  at(mark: string): boolean {
    return this.#token.kind === 'mark' && this.#token.text === mark
  }

  /** Takes the mark if it is in view. */
  takes(mark: string): boolean {
    if (!this.at(mark)) return false
    this.advance()
    return true
  }

  /** Reads a part of the text whose name stands in the path of diagnostics. */
  within<T>(production: string, read: () => T): T {
    this.#path.push(production)
    try {
      return read()
    } finally {
      this.#path.pop()
    }
  }

  /** Errors that are the mere consequence of a lexical one are kept back from here on. */
  begin(): void {
    this.#began = this.#token.span
  }

  /** From `start` to the token that was taken last. */
  spanFrom(start: Token): Span {
    const units = this.#lastEnd - start.start
    return { ...start.span, length: this.#isPlain ? units : codePointsIn(this.#text, start.start, this.#lastEnd) }
  }

  /** Reports that something is wrong with a token that was read, whatever stands around it. */
  note(id: string, token: Pick<Token, 'text' | 'span'>, complaint: Complaint): void {
    this.findings.report(this.#diagnostic(id, token, complaint))
  }

  /** Reports that the token in view cannot stand there: the token's own fault first (POL-108). */
  complain(id: string, complaint: Complaint, token: Token = this.#token): void {
    if (token.fault) this.findings.report(token.fault)
    else if (!this.#isConsequence(token)) this.note(id, token, complaint)
  }

  /** As `complain`; the rule is not read further. */
  fail(id: string, complaint: Complaint, token: Token = this.#token): never {
    this.complain(id, complaint, token)
    throw new Abandoned('rule')
  }

  expect(id: string, mark: string, hint?: string): void {
    if (!this.takes(mark)) this.fail(id, { expected: quoted([mark]), hint })
  }

  /**
   * Which of `words` the token is. One that differs in case only is that word too, with POL-110, or in lenient mode
   * with L18.
   */
  wordOf<Word extends string>(words: readonly Word[], token: Token = this.#token): Word | undefined {
    if (token.kind !== 'word') return undefined
    const exact = words.find((word) => word === token.text)
    if (exact !== undefined) return exact
    const meant = inOtherCase(token.text, words)
    if (meant !== undefined) this.respell('POL-110', token, meant, { expected: quoted([meant]) })
    return meant
  }

  /** POL-110, POL-305: the word `meant` in the wrong case. */
  respell(id: string, token: Token, meant: string, complaint: Complaint): void {
    const hint = `write ${meant}`
    if (!this.lenient) {
      this.note(id, token, { ...complaint, hint })
      return
    }
    const message = `${token.text} is read as ${meant}`
    const warning = this.#diagnostic('L18', token, { message, hint })
    this.findings.report({ ...warning, expected: quoted([meant]), severity: 'warning' })
  }

  /** A hint that names the word of `words` that is nearly the token. */
  near(words: readonly string[], token: Token = this.#token): string | undefined {
    if (token.kind !== 'word' || token.text.length > 64) return undefined
    const near = nearWords(token.text, words)
    return near.length > 0 ? `did you mean ${near.join(' or ')}?` : undefined
  }

  #isConsequence({ span }: Token): boolean {
    return this.findings.hasErrorAt(span) || this.findings.hasErrorAt(this.#began, span, 'lexer')
  }

  #diagnostic(id: string, token: Pick<Token, 'text' | 'span'>, complaint: Complaint): PolicyDiagnostic {
    const { expected = [], hint } = complaint
    const found = shortened(token.text)
    const message = complaint.message ?? grammarMessage(found, expected)
    const path = this.#path.join(' > ')
    const diagnostic = { id, severity: 'error' as const, message, ...token.span, found, expected, path }
    return hint === undefined ? diagnostic : { ...diagnostic, hint }
  }
}
