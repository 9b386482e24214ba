import { type NamedCharacter, nameCharacter } from './character-names.ts'
import { codePointsIn, shortened } from './code-points.ts'
import type { PolicyDiagnostic } from './diagnostic.ts'
import type { Findings } from './findings.ts'
import { integerFault } from './integer.ts'
import { endOfLine, readStringLiteral, type StringLiteral } from './string-literal.ts'
import type { Span } from './syntax.ts'
import type { PolicyComment, Token, TokenKind } from './token.ts'

const feed = 0x0a
const carriageReturn = 0x0d
const byteOrderMark = '\ufeff'

const word = /[A-Za-z_][A-Za-z0-9_]*/y
const number = /[+-]?[0-9][A-Za-z0-9_.]*/y
const mark = /=>|==|=~|!=|<=|>=|&&|\|\||[{}[\](),;:.!=<>&|]/y

/** Names are short; so that none is told apart by what no screen shows (POL-109). */
const maximumIdentifier = 64

/** What stands between other quotes than `"` is read as the string that was meant, so that one slip is one error. */
const otherQuotes =
  /(?:['`\u2018-\u201f\u00ab\u00bb\uff02\uff07])[^"'`\r\n\u2018-\u201f\u00ab\u00bb\uff02\uff07]{0,256}["'`\u2018-\u201f\u00ab\u00bb\uff02\uff07]/y

interface Fault {
  readonly id: string
  readonly message: string
  readonly at: number
  readonly found: string
  readonly hint?: string | undefined
}

/**
 * Reads one policy text token by token (section 1). Never throws for bad text: what is wrong goes to the findings; once
 * they are full the text ends.
 */
export class Lexer {
  readonly comments: PolicyComment[] = []
  readonly #text: string
  readonly #literalBytes: number
  readonly #findings: Findings
  #at: number
  #line = 1
  /** Offset and column of a place on this line: columns are counted on from there. */
  #counted: { at: number; column: number }
  /** Where the next U+FEFF stands that has no place there; behind the text if there is none. */
  #nextByteOrderMark: number
  readonly #lastBlockEnd: number

  /** `literalBytes`: POL-604. */
  constructor(text: string, literalBytes: number, findings: Findings) {
    this.#text = text
    this.#literalBytes = literalBytes
    this.#findings = findings
    this.#at = text.startsWith(byteOrderMark) ? 1 : 0
    this.#counted = { at: this.#at, column: 1 }
    this.#nextByteOrderMark = this.#byteOrderMarkFrom(this.#at)
    this.#lastBlockEnd = text.lastIndexOf('*/')
  }

  next(): Token {
    while (this.#at < this.#text.length && !this.#findings.full) {
      const unit = this.#text.charCodeAt(this.#at)
      if (unit === 0x20 || unit === 0x09) this.#at++
      else if (unit === feed || unit === carriageReturn) this.#endLine(unit)
      else {
        const token = this.#tokenOrNothing(unit)
        if (token !== null) return token
      }
    }
    return { ...this.#token('end', this.#at, ''), text: '<EOF>' }
  }

  #endLine(unit: number): void {
    this.#at += unit === carriageReturn && this.#text.charCodeAt(this.#at + 1) === feed ? 2 : 1
    this.#line++
    this.#counted = { at: this.#at, column: 1 }
  }

  #tokenOrNothing(unit: number): Token | null {
    if (unit === 0x22) return this.#string()
    if (unit === 0x2f) return this.#comment()
    const wordEnd = this.#endOf(word)
    if (wordEnd > 0) return this.#word(wordEnd)
    const numberEnd = this.#endOf(number)
    if (numberEnd > 0) return this.#number(numberEnd)
    const markEnd = this.#endOf(mark)
    if (markEnd > 0) return this.#token('mark', markEnd, '')
    return this.#stray()
  }

  /** Offset behind what `pattern` matches here, or 0. */
  #endOf(pattern: RegExp): number {
    pattern.lastIndex = this.#at
    return pattern.test(this.#text) ? pattern.lastIndex : 0
  }

  #string(): Token {
    const literal = readStringLiteral(this.#text, this.#at)
    if (literal.fault !== null) this.#faultOfString(literal)
    else if (literal.value.length * 3 > this.#literalBytes) this.#checkLiteralBytes(literal.value)
    this.#reportInvisible(this.#at, literal.end)
    return this.#token('string', literal.end, literal.value)
  }

  #checkLiteralBytes(value: string): void {
    const bytes = Buffer.byteLength(value, 'utf8')
    if (bytes <= this.#literalBytes) return
    const message = `the string has ${bytes} bytes of UTF-8; ${this.#literalBytes} are allowed`
    this.#fault({ id: 'POL-604', message, at: this.#at, found: '"' })
  }

  #faultOfString({ fault, curly, value }: StringLiteral): void {
    if (fault === null) return
    const { id, at, found } = fault
    if (fault.says === 'open') {
      const named = curly === null ? null : nameCharacter(curly.codePointAt(0) ?? 0)
      const message = `string is not closed on its line${named ? `; it contains ${named.name}` : ''}`
      const hint =
        named?.hint ?? (value.includes('\\"') ? 'in a string \\" is a quote; \\\\ is a backslash' : undefined)
      this.#fault({ id, message, at, found, hint: hint ?? 'close it with "; a string cannot go on in the next line' })
    } else if (fault.says === 'escape') {
      const hint = 'only \\" and \\\\ are escapes; write \\\\ for a backslash'
      this.#fault({ id, message: 'a backslash that is no escape', at, found, hint })
    } else {
      const { name } = nameCharacter(found.charCodeAt(0))
      this.#fault({ id, message: `${name} in a string`, at, found, hint: 'delete it; of these TAB alone is allowed' })
    }
  }

  #comment(): Token | null {
    const follower = this.#text.charAt(this.#at + 1)
    if (follower === '*') return this.#blockComment()
    if (follower !== '/') return this.#stray()
    const end = endOfLine(this.#text, this.#at)
    this.#reportInvisible(this.#at, end)
    this.comments.push({ text: this.#text.slice(this.#at, end), span: this.#spanTo(end) })
    this.#at = end
    return null
  }

  #blockComment(): null {
    const hint = 'write // in front of every line'
    this.#fault({ id: 'POL-105', message: 'there are no block comments', at: this.#at, found: '/*', hint })
    const closed = this.#lastBlockEnd >= this.#at + 2
    const end = closed ? this.#text.indexOf('*/', this.#at + 2) + 2 : endOfLine(this.#text, this.#at)
    while (this.#at < end) {
      const unit = this.#text.charCodeAt(this.#at)
      if (unit === feed || unit === carriageReturn) this.#endLine(unit)
      else this.#at++
    }
    this.#countUp()
    return null
  }

  #word(end: number): Token {
    if (end - this.#at > maximumIdentifier) {
      const message = `the name has ${end - this.#at} characters; ${maximumIdentifier} are allowed`
      this.#fault({ id: 'POL-109', message, at: this.#at, found: this.#text.slice(this.#at, end) })
    }
    return this.#token('word', end, '')
  }

  #number(end: number): Token {
    const text = this.#text.slice(this.#at, end)
    const wrong = integerFault(text)
    if (wrong === null) return this.#token('number', end, '')
    const fault = this.#diagnostic({ id: 'POL-108', ...wrong, at: this.#at, found: text })
    return { ...this.#token('number', end, ''), fault }
  }

  /** POL-104. What was meant is read in its place; foreign characters that follow at once are not reported again. */
  #stray(): Token | null {
    const at = this.#at
    const quotedEnd = this.#endOf(otherQuotes)
    const { meant } = this.#faultOfCharacter(at)
    if (quotedEnd > 0) return this.#token('string', quotedEnd, this.#text.slice(at + 1, quotedEnd - 1))
    if (meant !== undefined) return { ...this.#token('mark', at + 1, ''), text: meant }
    do this.#at++
    while (this.#text.charCodeAt(this.#at) >= 0x80)
    this.#countUp()
    return null
  }

  #faultOfCharacter(at: number): NamedCharacter {
    const code = this.#text.codePointAt(at) ?? 0
    const named = nameCharacter(code)
    const found = String.fromCodePoint(code)
    this.#fault({ id: 'POL-104', message: `${named.name} has no place here`, at, found, hint: named.hint })
    return named
  }

  /** POL-102: a U+FEFF is an error everywhere but at the very start. */
  #reportInvisible(from: number, to: number): void {
    if (this.#nextByteOrderMark < from) this.#nextByteOrderMark = this.#byteOrderMarkFrom(from)
    if (this.#nextByteOrderMark < to) this.#faultOfCharacter(this.#nextByteOrderMark)
  }

  #byteOrderMarkFrom(from: number): number {
    const at = this.#text.indexOf(byteOrderMark, from)
    return at < 0 ? this.#text.length : at
  }

  #fault(fault: Fault): void {
    this.#findings.report(this.#diagnostic(fault))
  }

  #diagnostic({ at, found, hint, id, message }: Fault): PolicyDiagnostic {
    const span = { line: this.#line, column: this.#columnOf(at), length: codePointsIn(found) }
    const said = { found: shortened(found), expected: [], path: 'lexer' }
    const diagnostic = { id, severity: 'error' as const, message, ...span, ...said }
    return hint === undefined ? diagnostic : { ...diagnostic, hint }
  }

  /** `at` is on this line, not before what was counted last. */
  #columnOf(at: number): number {
    const { at: from, column } = this.#counted
    return column + codePointsIn(this.#text, from, at)
  }

  /** Counts the characters of a line once only, however many places on it are asked for. */
  #countUp(): number {
    const column = this.#columnOf(this.#at)
    this.#counted = { at: this.#at, column }
    return column
  }

  #spanTo(end: number): Span {
    const column = this.#countUp()
    return { line: this.#line, column, length: codePointsIn(this.#text, this.#at, end) }
  }

  #token(kind: TokenKind, end: number, value: string): Token {
    const start = this.#at
    const span = this.#spanTo(end)
    this.#at = end
    return { kind, text: this.#text.slice(start, end), value, start, end, span }
  }
}
