import { parseText } from '../../base/bytes.ts'
import { timeOfCalendar } from '../../base/calendar.ts'
import { MalformedError } from '../../base/errors.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../../base/json.ts'

/**
 * Reads the members of one object of Intel's signed documents. A member that is absent and one of another type are
 * the same error: no default stands in for what a maker did not say.
 */
export class Members {
  readonly #object: JsonObject
  readonly #name: string
  readonly #owner: Members | null
  readonly #index: number

  /** `name` is that of the document, or of the member of `owner` that `object` is, at `index` if it is one of a list. */
  constructor(object: JsonObject, name: string, owner: Members | null = null, index = -1) {
    this.#object = object
    this.#name = name
    this.#owner = owner
    this.#index = index
  }

  /** Only errors need it. */
  get #path(): string {
    const name = this.#index < 0 ? this.#name : `${this.#name}[${this.#index}]`
    return this.#owner === null ? name : `${this.#owner.#path}.${name}`
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
    if (!isIntegerTo(value, maximum)) throw this.malformed(member, `is not an integer of 0 to ${maximum}`)
    return value
  }

  /** Exactly `size` bytes in hexadecimal digits of any case. */
  bytes(member: string, size: number): Uint8Array {
    const text = this.text(member)
    if (text.length !== 2 * size) throw this.malformed(member, `is not ${2 * size} hexadecimal digits`)
    return parseText(text.toLowerCase(), 'hex', () => `${this.#path}.${member}`)
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
    return new Members(value, member, this)
  }

  /** The items of a list of objects; `least` is 0 or 1. */
  objects(member: string, least: 0 | 1): Members[] {
    const value = this.value(member)
    if (!Array.isArray(value) || value.length < least) throw this.malformed(member, 'is not a list with an item')
    return value.map((item, at) => {
      if (!isJsonObject(item)) throw this.malformed(`${member}[${at}]`, 'is not an object')
      return new Members(item, member, this, at)
    })
  }

  /** The same integer of all objects in a list that has `count` of them. */
  integersOf(list: string, count: number, member: string, maximum: number): number[] {
    const values = this.value(list)
    const read = Array.isArray(values) && values.length === count ? integersIn(values, member, maximum) : null
    if (read !== null) return read
    const items = this.objects(list, 1)
    if (items.length !== count) throw this.malformed(list, `has ${items.length} items, must have ${count}`)
    return items.map((item) => item.integer(member, maximum))
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

function isIntegerTo(value: JsonValue | undefined, maximum: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= maximum && !Object.is(value, -0)
}

/** The integer `member` of each object; null where one of them is something else. */
function integersIn(items: readonly JsonValue[], member: string, maximum: number): number[] | null {
  const integers: number[] = []
  for (const item of items) {
    const value = isJsonObject(item) && Object.hasOwn(item, member) ? item[member] : undefined
    if (!isIntegerTo(value, maximum)) return null
    integers.push(value)
  }
  return integers
}

const dateForm = 'YYYY-MM-DDThh:mm:ssZ'

/** The decimal digits from `start` to `end`; NaN where something else stands. */
function digits(text: string, start: number, end: number): number {
  let value = 0
  for (let at = start; at < end; at++) {
    const digit = text.charCodeAt(at) - 0x30
    if (digit < 0 || digit > 9) return Number.NaN
    value = value * 10 + digit
  }
  return value
}

function hasMarks(text: string): boolean {
  const [date, time] = [text[4] === '-' && text[7] === '-', text[13] === ':' && text[16] === ':']
  return date && time && text[10] === 'T' && text[19] === 'Z'
}

/**
 * Milliseconds since the epoch of `YYYY-MM-DDThh:mm:ssZ`, or null for any other form and for a date that no calendar
 * has (TDX-179). `Date.parse` alone takes 30 February for a day in March, and answers NaN, after which nothing is
 * ever expired (TDX-262).
 */
export function parseDate(text: string): number | null {
  if (text.length !== dateForm.length || !hasMarks(text)) return null
  return timeOfCalendar({
    year: digits(text, 0, 4),
    month: digits(text, 5, 7),
    day: digits(text, 8, 10),
    hour: digits(text, 11, 13),
    minute: digits(text, 14, 16),
    second: digits(text, 17, 19),
  })
}
