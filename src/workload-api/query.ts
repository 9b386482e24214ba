import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts'
import { invalidRequest } from './errors.ts'
import { quoted } from './problem.ts'

/** How the text of a query parameter is read; `texts` may be given more than once. */
export type ParameterForm = 'text' | 'texts' | 'integer' | 'boolean'

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw invalidRequest('query', 'percent-encoding or UTF-8 is not valid')
  }
}

function typed(name: string, text: string, form: ParameterForm): JsonValue {
  if (form === 'integer') {
    if (!/^(?:0|[1-9][0-9]{0,14})$/.test(text)) throw invalidRequest(name, 'is not a whole number')
    return Number(text)
  }
  if (form === 'boolean') {
    if (text === 'true' || text === '1') return true
    if (text === 'false' || text === '0') return false
    throw invalidRequest(name, 'is not true or false')
  }
  return text
}

/**
 * Reads a query string (API-26) as the members that a JSON body would have. Unknown names, a single-valued name twice,
 * and encodings that are not valid are errors; an empty value counts as present.
 */
export function parseQuery(query: string | null, forms: Readonly<Record<string, ParameterForm>>): JsonObject {
  const members: JsonObject = Object.create(null)
  if (query === null) return members
  if (!/^[\x21-\x7e]*$/.test(query)) throw invalidRequest('query', 'holds characters that must be percent-encoded')
  for (const pair of query.split('&').filter((part) => part !== '')) {
    const [left, right] = pair.split(/=(.*)/s)
    const name = decoded(left ?? '')
    const form = Object.hasOwn(forms, name) ? forms[name] : undefined
    if (form === undefined) throw invalidRequest('query', `${quoted(name)} is not a parameter of this route`)
    const value = typed(name, decoded(right ?? ''), form)
    const before = members[name]
    if (before === undefined) members[name] = form === 'texts' ? [value] : value
    else if (Array.isArray(before)) before.push(value)
    else throw invalidRequest(name, 'is given twice')
  }
  return members
}

/** Typed access to the members of a request; whatever does not fit is a 400 that names the member (API-27). */
export class MemberReader {
  #members: JsonObject

  /** `members` may hold nothing but `known`; `path` stands before the names in errors. */
  constructor(members: JsonObject, known: readonly string[], path = '') {
    const unknown = Object.keys(members).filter((name) => !known.includes(name))
    if (unknown.length > 0) {
      const names = unknown.slice(0, 4).map(quoted).join(', ')
      throw invalidRequest(`${path}${unknown[0]?.slice(0, 32) ?? ''}`, `not members of this request: ${names}`)
    }
    this.#members = members
  }

  text(name: string): string | null {
    const value = this.#members[name]
    if (value === undefined) return null
    if (typeof value !== 'string') throw invalidRequest(name, 'is not a text')
    return value
  }

  /** A list of texts; where `scalar` is true a single text stands for a list of one. */
  texts(name: string, scalar = false): readonly string[] | null {
    const value = this.#members[name]
    if (value === undefined) return null
    if (scalar && typeof value === 'string') return [value]
    if (Array.isArray(value) && value.every((item): item is string => typeof item === 'string')) return value
    throw invalidRequest(name, scalar ? 'is not a text or a list of texts' : 'is not a list of texts')
  }

  integer(name: string, least: number, most: number): number | null {
    const value = this.#members[name]
    if (value === undefined) return null
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least || value > most) {
      throw invalidRequest(name, `is not a whole number from ${least} to ${most}`)
    }
    return value
  }

  boolean(name: string): boolean | null {
    const value = this.#members[name]
    if (value === undefined) return null
    if (typeof value !== 'boolean') throw invalidRequest(name, 'is not true or false')
    return value
  }

  object(name: string): JsonObject | null {
    const value = this.#members[name]
    if (value === undefined) return null
    if (!isJsonObject(value)) throw invalidRequest(name, 'is not an object')
    return value
  }
}
