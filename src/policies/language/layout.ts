import { codePointsIn } from './code-points.ts'
import type { LexicalItem } from './lexical-items.ts'

const indent = '    '
/** A rule with several conditions that is wider has each of them on a line of its own. */
const maximumWidth = 100

const isMark = (item: LexicalItem | undefined, text: string) => item?.kind === 'mark' && item.text === text

const endsStatement = (item: LexicalItem) => isMark(item, ';') || isMark(item, '{')

const isOrder = ({ kind, text }: LexicalItem) => kind === 'mark' && /^[<>]=?$/.test(text)

/** What stands between two tokens of one statement on one line. */
function gap(before: LexicalItem, after: LexicalItem): '' | ' ' {
  if (isMark(before, ',') || isMark(before, '&&') || isMark(before, '=>')) return ' '
  return isMark(after, '&&') || isMark(after, '=>') || isOrder(before) || isOrder(after) ? ' ' : ''
}

/** From one `;` or `{` to the next, each with the comments before it. */
function statements(items: readonly LexicalItem[]): LexicalItem[][] {
  const all: LexicalItem[][] = []
  let current: LexicalItem[] = []
  for (const item of items) {
    current.push(item)
    if (!endsStatement(item)) continue
    all.push(current)
    current = []
  }
  return [...all, current]
}

/** Whether the conditions of a statement stand on lines of their own. */
function isBroken(statement: readonly LexicalItem[]): boolean {
  if (statement.some(({ kind }) => kind === 'comment')) return true
  const line = statement.map((item, at) => {
    const before = statement[at - 1]
    return (before === undefined ? '' : gap(before, item)) + item.text
  })
  return codePointsIn(indent + line.join('')) > maximumWidth
}

/** Indent of a line in the middle of a statement, beside the statement's own. */
function continuation(token: LexicalItem, item: LexicalItem): string {
  return isMark(token, '&&') || isMark(item, '{') ? '' : indent
}

/** A comment ends its line, and one that has a line to itself keeps it. */
function startsLine(item: LexicalItem, before: LexicalItem): boolean {
  return isMark(item, '{') || before.kind === 'comment' || (item.kind === 'comment' && !item.trailing)
}

class Layout {
  readonly #lines: string[] = []
  #depth = 0

  get text(): string {
    return `${this.#lines.join('\n')}\n`
  }

  write(items: readonly LexicalItem[]): void {
    for (const statement of statements(items)) {
      const first = statement.findIndex(({ kind }) => kind !== 'comment')
      const lead = first < 0 ? statement : statement.slice(0, first)
      this.#comments(lead)
      if (first >= 0) this.#statement(statement.slice(first))
    }
  }

  /** Comments between two statements. */
  #comments(comments: readonly LexicalItem[]): void {
    for (const comment of comments) {
      if (comment.trailing) this.#append(` ${comment.text}`)
      else this.#line(comment, this.#depth > 0 ? indent : '')
    }
  }

  #statement(statement: readonly LexicalItem[]): void {
    const [first, ...others] = statement
    if (first === undefined) return
    if (isMark(first, '}')) this.#depth = 0
    const margin = this.#depth > 0 ? indent : ''
    this.#line(first, margin)
    const broken = isBroken(statement)
    let [before, token] = [first, first]
    for (const item of others) {
      if (startsLine(item, before) || (broken && isMark(token, '&&') && !item.trailing)) {
        this.#lines.push(margin + continuation(token, item) + item.text)
      } else {
        this.#append((item.trailing ? ' ' : gap(before, item)) + item.text)
      }
      before = item
      if (item.kind !== 'comment') token = item
    }
    if (isMark(token, '{')) this.#depth = 1
  }

  #append(text: string): void {
    this.#lines.push((this.#lines.pop() ?? '') + text)
  }

  /** Something between statements: an empty line before it stays, but for the first and the last line of a section. */
  #line(item: LexicalItem, margin: string): void {
    const last = this.#lines.at(-1)
    const opened = last === undefined || this.#justOpened
    if (item.afterBlank && !opened && !isMark(item, '}')) this.#lines.push('')
    this.#lines.push(margin + item.text)
  }

  /** Nothing but a comment behind the `{` stands in the section yet. */
  get #justOpened(): boolean {
    return /^\{(?: \/\/|$)/.test(this.#lines.at(-1) ?? '')
  }
}

/** The canonical text of a policy, without a byte order mark. `items` are all of a text that parses. */
export function layOut(items: readonly LexicalItem[]): string {
  const layout = new Layout()
  layout.write(items)
  return layout.text
}
