/** Cuts values out of JSON text that has already been parsed strictly: no error is possible then, but for a bug. */

const space = /[ \t\r\n]*/y
const scalar = /[^,\]}\s]*/y

function matchEnd(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at
  return at + (pattern.exec(text)?.[0].length ?? 0)
}

function endOfString(text: string, start: number): number {
  let at = start + 1
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at + 1
}

/** Position behind the object or list that begins at `start`: brackets outside of strings are structure. */
function endOfGroup(text: string, start: number): number {
  let depth = 0
  for (let at = start; at < text.length; at++) {
    const character = text[at]
    if (character === '"') at = endOfString(text, at) - 1
    else if (character === '{' || character === '[') depth++
    else if ((character === '}' || character === ']') && --depth === 0) return at + 1
  }
  throw new TypeError('the text has not been parsed')
}

function endOfValue(text: string, start: number): number {
  const first = text[start]
  if (first === '"') return endOfString(text, start)
  return first === '{' || first === '[' ? endOfGroup(text, start) : matchEnd(scalar, text, start)
}

type Step = string | number
interface Child {
  readonly step: Step
  readonly start: number
  readonly end: number
}

function* childrenOf(text: string, open: number): Generator<Child> {
  const isObject = text[open] === '{'
  let at = matchEnd(space, text, open + 1)
  for (let index = 0; text[at] !== '}' && text[at] !== ']'; index++) {
    let step: Step = index
    if (isObject) {
      const end = endOfString(text, at)
      step = String(JSON.parse(text.slice(at, end)))
      at = matchEnd(space, text, matchEnd(space, text, end) + 1)
    }
    const end = endOfValue(text, at)
    yield { step, start: at, end }
    at = matchEnd(space, text, end)
    if (text[at] === ',') at = matchEnd(space, text, at + 1)
  }
}

function childAt(text: string, open: number, step: Step): Child | null {
  for (const child of childrenOf(text, open)) if (child.step === step) return child
  return null
}

/**
 * The text of the value at `path` (names of members, positions in lists) exactly as it stands, without the white space
 * around it; null if there is none.
 */
export function sliceOfJson(text: string, path: readonly Step[]): string | null {
  let [start, end] = [matchEnd(space, text, 0), text.length]
  for (const step of path) {
    if (text[start] !== '{' && text[start] !== '[') return null
    const child = childAt(text, start, step)
    if (child === null) return null
    start = child.start
    end = child.end
  }
  return path.length === 0 ? text.slice(start, endOfValue(text, start)) : text.slice(start, end)
}
