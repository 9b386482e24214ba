import { MalformedError } from '../base/errors.ts'
import { parseEscapedName } from '../base/escaped-name.ts'
import { anything, type GlobNode, literalNodes, parseGlob } from './glob.ts'

/**
 * What paths a rule is about, over bytes and always the whole path (IMA-16).
 *
 * `prefix`: the path begins with these bytes; `text` is an escaped name (`\\`, `\n`, `\xNN`).
 *
 * `glob`: `*` is any bytes but `/`, `?` one byte but `/`, `[a-z]` and `[!a-z]` one byte of some or not of them, never
 * `/`, `{a,b}` one of several, `**` any bytes, and `**` with a `/` behind it, at the start or after a `/`, also nothing,
 * so that `/lib/` + `**` + `/x.so` has `/lib/x.so`. A backslash takes a meaning away (`\*`), or gives a byte as in
 * escaped names (`\n`, `\xNN`). Letters beyond ASCII are refused as in escaped names, so that what a rule matches can
 * be seen.
 *
 * Plain data: a thread can give it to another one.
 */
export interface PathPattern {
  readonly kind: 'glob' | 'prefix'
  readonly text: string
}

/** The pieces of a pattern. Throws `MalformedError` naming `path`. */
export function nodesOfPattern({ kind, text }: PathPattern, path = 'pattern'): GlobNode[] {
  if (kind === 'glob') return parseGlob(text, path)
  const bytes = parseEscapedName(text, path)
  if (bytes.length === 0) throw new MalformedError({ path }, 'is an empty prefix, which every path has')
  return [...literalNodes(bytes), anything]
}

/** Requires that a pattern can be read, and gives it back. */
export function parsePathPattern(pattern: PathPattern, path = 'pattern'): PathPattern {
  nodesOfPattern(pattern, path)
  return pattern
}
