import type { ClaimValue, TokenValue } from '../../policies/index.ts'
import { escaped } from './terminal.ts'

const longest = 200

/** A value for people: Strings in quotes and cut, nothing that a terminal obeys. */
export function shownValue(value: ClaimValue): string {
  if (typeof value !== 'string') return String(value)
  const text = escaped(JSON.stringify(value))
  return text.length <= longest ? text : `${text.slice(0, longest)}…`
}

export function shownTokenValue(value: TokenValue): string {
  return Array.isArray(value) ? `[${value.map(shownValue).join(', ')}]` : shownValue(value as ClaimValue)
}

/** For JSON.stringify: Integers are numbers up to 2^53 and decimal Strings beyond, as in test files (POL-830). */
export function exactInteger(_name: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value
  return BigInt(Number.MIN_SAFE_INTEGER) <= value && value <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(value)
    : `${value}`
}

/** One line of JSON. */
export const exactJson = (document: unknown): string => `${JSON.stringify(document, exactInteger)}\n`
