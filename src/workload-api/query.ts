import type { JsonObject, JsonValue } from '../base/json.ts'
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
