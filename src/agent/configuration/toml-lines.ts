/**
 * Where in a TOML text a key stands. The parser gives values without places; this finds the line again, so that
 * an error can name it. Where the form is too unusual to follow, the line of the nearest enclosing key is given.
 */
export function lineOfKey(text: string, path: readonly PropertyKey[]): number {
  const lines = text.split('\n')
  for (let depth = path.length; depth > 0; depth--) {
    const found = findKey(lines, path.slice(0, depth).map(String))
    if (found !== undefined) return found + 1
  }
  return 1
}

const bareOrQuoted = /\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*/y

/** `a."b.c".d` as parts, and where it ends; undefined if there is no key. */
function readKey(text: string, from: number): { parts: string[]; end: number } | undefined {
  const parts: string[] = []
  for (let at = from; ; at++) {
    bareOrQuoted.lastIndex = at
    const match = bareOrQuoted.exec(text)
    if (!match) return undefined
    parts.push(match[1] ?? match[2] ?? match[3] ?? '')
    at = bareOrQuoted.lastIndex
    if (text[at] !== '.') return { parts, end: at }
  }
}

interface Place {
  readonly table: readonly string[]
  readonly line: string
}

/** Counts `[[a.b]]` so that the path of its keys is `a.b.<n>.key`. */
function tablePath(name: readonly string[], counts: Map<string, number>, isArray: boolean): string[] {
  const path: string[] = []
  name.forEach((part, depth) => {
    path.push(part)
    const key = path.join('\u0000')
    const last = depth === name.length - 1
    if (last && isArray) counts.set(key, (counts.get(key) ?? -1) + 1)
    const index = counts.get(key)
    if (index !== undefined) path.push(String(index))
  })
  return path
}

function* places(lines: readonly string[]): Generator<Place & { index: number; header: boolean }> {
  const counts = new Map<string, number>()
  let table: string[] = []
  for (const [index, line] of lines.entries()) {
    const header = /^\s*(\[\[?)/.exec(line)
    const key = header ? readKey(line, header[0].length) : undefined
    if (header && key) table = tablePath(key.parts, counts, header[1] === '[[')
    yield { index, line, table, header: key !== undefined }
  }
}

const startsWith = (path: readonly string[], start: readonly string[]) => start.every((part, at) => path[at] === part)

function findKey(lines: readonly string[], path: readonly string[]): number | undefined {
  for (const { index, line, table, header } of places(lines)) {
    if (header && path.length === table.length && startsWith(path, table)) return index
    if (header || !startsWith(path, table)) continue
    const key = readKey(line, 0)
    if (!key || line[key.end] !== '=') continue
    const full = [...table, ...key.parts]
    if (full.length === path.length && startsWith(path, full)) return index
  }
  return undefined
}
