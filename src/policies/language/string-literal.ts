/** What is wrong in a string literal; `at` is an offset in the text. */
export interface StringFault {
  readonly id: 'POL-106' | 'POL-107'
  readonly at: number
  readonly found: string
  readonly says: 'open' | 'escape' | 'control'
}

export interface StringLiteral {
  /** Offset behind it: behind the closing quote, or where reading can go on. */
  readonly end: number
  readonly value: string
  readonly fault: StringFault | null
  /** A curly quote in a literal that is not closed: what the author took for the closing quote (POL-106). */
  readonly curly: string | null
}

const quote = 0x22
const backslash = 0x5c
const tab = 0x09
const curlyQuotes = /[\u2018-\u201f\u2032\u2033]/

const endsLine = (unit: number) => unit === 0x0a || unit === 0x0d

/** Offset of the end of the line that `from` stands in. */
export function endOfLine(text: string, from: number): number {
  let at = from
  while (at < text.length && !endsLine(text.charCodeAt(at))) at++
  return at
}

/** A literal without its closing quote: reading goes on behind a curly quote, or on the next line. */
function openLiteral(text: string, start: number): StringLiteral {
  const line = text.slice(start, endOfLine(text, start))
  const at = line.search(curlyQuotes)
  return {
    end: start + (at < 0 ? line.length : at + 1),
    value: line.slice(1, at < 0 ? undefined : at),
    fault: { id: 'POL-106', at: start, found: '"', says: 'open' },
    curly: line.charAt(at) || null,
  }
}

/** A backslash stands for nothing but `\"` and `\\` (POL-106). */
function escapedUnit(text: string, at: number): string | null {
  const unit = text.charCodeAt(at + 1)
  return unit === quote || unit === backslash ? String.fromCharCode(unit) : null
}

/** The backslash and the whole character behind it, which may take two units. */
function wrongEscape(text: string, at: number): string {
  const [behind = ''] = text.slice(at + 1, at + 3)
  return `\\${behind}`.trimEnd()
}

/** The literal whose opening quote stands at `start` (POL-106, POL-107). The first fault of several is given. */
export function readStringLiteral(text: string, start: number): StringLiteral {
  const pieces: string[] = []
  let fault: StringFault | null = null
  let from = start + 1
  for (let at = from; at < text.length && !endsLine(text.charCodeAt(at)); at++) {
    const unit = text.charCodeAt(at)
    if (unit === quote) return { end: at + 1, value: pieces.join('') + text.slice(from, at), fault, curly: null }
    if (unit === backslash) {
      const escaped = escapedUnit(text, at)
      if (escaped === null) {
        fault ??= { id: 'POL-106', at, found: wrongEscape(text, at), says: 'escape' }
        continue
      }
      pieces.push(text.slice(from, at), escaped)
      at++
      from = at + 1
    } else if (unit < 0x20 && unit !== tab) {
      fault ??= { id: 'POL-107', at, found: text.charAt(at), says: 'control' }
    }
  }
  return openLiteral(text, start)
}
