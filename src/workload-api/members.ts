import { isJsonObject, type JsonObject } from '../base/json.ts'
import { invalidRequest } from './errors.ts'
import { quoted } from './problem.ts'

/** An unknown member is an error that lists the names, `path` before them (API-27). */
export function requireKnownMembers(members: JsonObject, known: readonly string[], path = ''): void {
  const unknown = Object.keys(members).filter((name) => !known.includes(name))
  const [first] = unknown
  if (first === undefined) return
  const names = unknown.slice(0, 4).map(quoted).join(', ')
  throw invalidRequest(`${path}${first.slice(0, 32)}`, `not members of this request: ${names}`)
}

/** Typed access to the members of a request; whatever does not fit is a 400 that names the member (API-27). */
export class MemberReader {
  #members: JsonObject

  /** `members` may hold nothing but `known`. */
  constructor(members: JsonObject, known: readonly string[], path = '') {
    requireKnownMembers(members, known, path)
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
