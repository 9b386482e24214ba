import type { JsonObject, JsonValue } from './json.ts'

export interface PlainJsonLimits {
  /** Nested arrays and objects. */
  readonly maxDepth: number
  /** Members of one object or items of one array. */
  readonly maxItems: number
  /** Values of the whole document. */
  readonly maxValues: number
}

interface Tally {
  values: number
  members: number
}

/**
 * Reads a document without escapes in strings, and with numbers that are safe integers without fraction and exponent
 * alone, by the parser of the engine, which takes a fraction of the time of a strict reader. Undefined where the strict
 * reader has to look: for any other document, for one that is no JSON or beyond the limits, and where a member is
 * repeated. Unlike those of `parseJson` the objects have a prototype: only own members may be asked for.
 */
export function parsePlainJson(text: string, limits: PlainJsonLimits): JsonValue | undefined {
  const members = countMembers(text)
  if (members < 0) return undefined
  const value = parsed(text)
  const tally: Tally = { values: 0, members: 0 }
  if (value === undefined || !fits(value, 0, tally, limits)) return undefined
  // The parser of the engine keeps the last of equal members: fewer are left than colons stand in the text.
  return tally.members === members ? value : undefined
}

function parsed(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const [quote, backslash, colon, dot] = [0x22, 0x5c, 0x3a, 0x2e]
/** The letter of an exponent in either case; `true` and `false` have it as well. */
const [exponent, lowerCase] = [0x65, 0x20]

/** Colons outside of strings; -1 for a text that is not plain. Whether it is JSON is not judged. */
function countMembers(text: string): number {
  let members = 0
  let isString = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) isString = !isString
    else if (code === backslash) return -1
    else if (isString) continue
    else if (code === colon) members++
    else if (code === dot || (code | lowerCase) === exponent) return -1
  }
  return members
}

/** Counts what is in `value`, itself included; false as soon as something is not plain or above a limit. */
function fits(value: JsonValue, depth: number, tally: Tally, limits: PlainJsonLimits): boolean {
  if (++tally.values > limits.maxValues) return false
  if (typeof value === 'number') return Number.isSafeInteger(value)
  if (typeof value !== 'object' || value === null) return true
  if (depth >= limits.maxDepth) return false
  return Array.isArray(value) ? itemsFit(value, depth, tally, limits) : membersFit(value, depth, tally, limits)
}

function itemsFit(items: readonly JsonValue[], depth: number, tally: Tally, limits: PlainJsonLimits): boolean {
  if (items.length > limits.maxItems) return false
  for (const item of items) if (!fits(item, depth + 1, tally, limits)) return false
  return true
}

function membersFit(object: JsonObject, depth: number, tally: Tally, limits: PlainJsonLimits): boolean {
  let count = 0
  // What the engine made of JSON has no enumerable member that is not its own.
  for (const name in object) {
    count++
    if (!fits(object[name] ?? null, depth + 1, tally, limits)) return false
  }
  tally.members += count
  return count <= limits.maxItems
}
