import type { SqlRow, SqlValue } from './sql-engine.ts'
import { storeErrors } from './store-errors.ts'

/** Of one row, by name. */
export type Columns = Readonly<Record<string, SqlValue>>

/** Bugs of ours, or a hand in the database. */
export function damaged(column: string): Error {
  return storeErrors.error('registry_corrupt', `the column ${column} has a value that this program does not write`)
}

/**
 * Text that a database takes and gives back as it was: it can hold neither U+0000 nor half a surrogate pair, both of
 * which a name in a certificate may have, and two names must never become one (ENR-09).
 */
export function storable(text: string): string {
  const isPlain = !/[\0\p{Surrogate}]/u.test(text) && !text.startsWith('json:')
  return isPlain ? text : `json:${JSON.stringify(text)}`
}

/** What `storable` was given. */
function restored(text: string): string {
  if (!text.startsWith('json:')) return text
  try {
    const value: unknown = JSON.parse(text.slice(5))
    if (typeof value === 'string') return value
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw damaged('of a name')
}

/** Decimal text of a time or a count. */
export function integerText(value: number): string {
  if (!Number.isSafeInteger(value)) throw new TypeError('what a registry keeps of times and counts is an integer')
  return String(value)
}

export const orNull = <T>(value: T | null, as: (value: T) => SqlValue): SqlValue => (value === null ? null : as(value))

/** Reads columns that must have one type; each is null only where it may be. */
export class RowReader {
  #row: SqlRow

  constructor(row: SqlRow) {
    this.#row = row
  }

  text(column: string): string {
    return this.textOrNull(column) ?? this.#fail(column)
  }

  textOrNull(column: string): string | null {
    const value = this.#row[column]
    return value === null || typeof value === 'string' ? value : this.#fail(column)
  }

  flag(column: string): boolean {
    return this.flagOrNull(column) ?? this.#fail(column)
  }

  flagOrNull(column: string): boolean | null {
    const value = this.#row[column]
    return value === null || typeof value === 'boolean' ? value : this.#fail(column)
  }

  bytes(column: string): Uint8Array {
    return this.bytesOrNull(column) ?? this.#fail(column)
  }

  /** A copy: a driver may give a view into what it received. */
  bytesOrNull(column: string): Uint8Array | null {
    const value = this.#row[column]
    if (value === null) return null
    return value instanceof Uint8Array ? Uint8Array.from(value) : this.#fail(column)
  }

  integer(column: string): number {
    return this.integerOrNull(column) ?? this.#fail(column)
  }

  integerOrNull(column: string): number | null {
    const text = this.textOrNull(column)
    if (text === null) return null
    const value = Number(text)
    return /^-?\d{1,16}$/.test(text) && Number.isSafeInteger(value) ? value : this.#fail(column)
  }

  oneOf<const T extends string>(column: string, allowed: readonly T[]): T {
    const text = this.text(column)
    return allowed.find((value) => value === text) ?? this.#fail(column)
  }

  name(column: string): string | null {
    const text = this.textOrNull(column)
    return text === null ? null : restored(text)
  }

  words(column: string): readonly string[] {
    return this.text(column)
      .split(' ')
      .filter((word) => word !== '')
  }

  #fail(column: string): never {
    throw damaged(column)
  }
}
