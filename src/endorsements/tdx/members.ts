import { parseText } from '../../base/bytes.ts'
import { timeOfCalendar } from '../../base/calendar.ts'
import { MalformedError } from '../../base/errors.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../../base/json.ts'

/**
 * Reads the members of one object of Intel's signed documents. A member that is absent and one of another type are
 * the same error: no default stands in for what a maker did not say.
 */
export class Members {
  #object: JsonObject
  #path: string

  constructor(object: JsonObject, path: string) {
    this.#object = object
    this.#path = path
  }

  malformed(member: string, problem: string): MalformedError {
    return new MalformedError({ path: `${this.#path}.${member}` }, problem)
  }

  has(member: string): boolean {
    return Object.hasOwn(this.#object, member)
  }

  value(member: string): JsonValue | undefined {
    return this.has(member) ? this.#object[member] : undefined
  }

  text(member: string): string {
    const value = this.value(member)
    if (typeof value !== 'string') throw this.malformed(member, 'is not a string')
    return value
  }

  oneOf<T extends string>(member: string, allowed: readonly T[]): T {
    const text = this.text(member)
    const found = allowed.find((name) => name === text)
    if (found === undefined) throw this.malformed(member, `is not one of ${allowed.join(', ')}`)
    return found
  }

  /** An integer of 0 to `maximum`; whatever is written with a fraction or an exponent, and a string, are errors (tdx.md 3.8.9). */
  integer(member: string, maximum: number): number {
    const value = this.value(member)
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > maximum || Object.is(value, -0)) {
      throw this.malformed(member, `is not an integer of 0 to ${maximum}`)
    }
    return value
  }

  /** Exactly `size` bytes in hexadecimal digits of any case. */
  bytes(member: string, size: number): Uint8Array {
    const text = this.text(member)
    if (text.length !== 2 * size) throw this.malformed(member, `is not ${2 * size} hexadecimal digits`)
    return parseText(text.toLowerCase(), 'hex', `${this.#path}.${member}`)
  }

  /** Exactly `size` bytes in hexadecimal digits of any case, as lower-case digits. */
  hex(member: string, size: number): string {
    const text = this.text(member).toLowerCase()
    if (text.length !== 2 * size || !/^[0-9a-f]*$/.test(text)) {
      throw this.malformed(member, `is not ${2 * size} hexadecimal digits`)
    }
    return text
  }

  date(member: string): number {
    const date = parseDate(this.text(member))
    if (date === null) throw this.malformed(member, 'is not a date of the form YYYY-MM-DDThh:mm:ssZ')
    return date
  }

  object(member: string): Members {
    const value = this.value(member)
    if (!isJsonObject(value)) throw this.malformed(member, 'is not an object')
    return new Members(value, `${this.#path}.${member}`)
  }

  /** The items of a list of objects; `least` is 0 or 1. */
  objects(member: string, least: 0 | 1): Members[] {
    const value = this.value(member)
    if (!Array.isArray(value) || value.length < least) throw this.malformed(member, 'is not a list with an item')
    return value.map((item, at) => {
      if (!isJsonObject(item)) throw this.malformed(`${member}[${at}]`, 'is not an object')
      return new Members(item, `${this.#path}.${member}[${at}]`)
    })
  }

  /** A list of strings; an absent list is empty. */
  texts(member: string): string[] {
    const value = this.value(member)
    if (value === undefined) return []
    if (!Array.isArray(value)) throw this.malformed(member, 'is not a list')
    return value.map((item, at) => {
      if (typeof item !== 'string') throw this.malformed(`${member}[${at}]`, 'is not a string')
      return item
    })
  }
}

const dateForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/

/**
 * Milliseconds since the epoch of `YYYY-MM-DDThh:mm:ssZ`, or null for any other form and for a date that no calendar
 * has (TDX-179). `Date.parse` alone takes 30 February for a day in March, and answers NaN, after which nothing is
 * ever expired (TDX-262).
 */
export function parseDate(text: string): number | null {
  if (!dateForm.test(text)) return null
  const number = (start: number, end: number) => Number(text.slice(start, end))
  return timeOfCalendar({
    year: number(0, 4),
    month: number(5, 7),
    day: number(8, 10),
    hour: number(11, 13),
    minute: number(14, 16),
    second: number(17, 19),
  })
}
