import { type JsonNumberText, type JsonTree, parseJsonWith } from '../../base/json.ts'
import type { StepMeter } from '../step-meter.ts'

/**
 * JSON as queries see it: integers are exact, a BigInt stands for those that a double cannot hold. Objects have no
 * prototype; they are visited in the order of `memberNames`.
 */
export type Json = JsonTree<number | bigint>
export interface JsonMembers {
  [member: string]: Json
}

/** POL-501. */
export const maximumJsonDepth = 64

const [int64Minimum, int64Maximum] = [-(2n ** 63n), 2n ** 63n - 1n]
/** Of a signed 64-bit integer: more digits are never read, for that takes time in the square of their number. */
const mostDigits = 20

export function isInt64(value: bigint): boolean {
  return value >= int64Minimum && value <= int64Maximum
}

/** A whole number of any size in its one representation, so that equal numbers are equal values. */
export function exactInteger(value: bigint): number | bigint {
  const double = Number(value)
  return Number.isSafeInteger(double) ? double : value
}

/** An integer as it is written in JSON; undefined beyond 64 bits. */
export function parseInteger(text: string): number | bigint | undefined {
  const value = Number(text)
  if (Number.isSafeInteger(value)) return value + 0
  if (text.length > mostDigits) return undefined
  const exact = BigInt(text)
  return isInt64(exact) ? exact : undefined
}

function readNumber({ text, isInteger }: JsonNumberText, refuse: (problem: string) => Error): number | bigint {
  if (isInteger) {
    const value = parseInteger(text)
    if (value === undefined) throw refuse('integer beyond 64 bits')
    return value
  }
  const value = Number(text)
  if (!Number.isFinite(value)) throw refuse('number out of range')
  return value + 0
}

/**
 * Strict JSON (POL-501): no duplicate member, no lone surrogate, depth at most 64, integers of at most 64 bits.
 * `onValue` is called before each value and may throw. Throws `MalformedError`.
 */
export function parseExactJson(text: string, name: string, onValue: (isContainer: boolean) => void = () => {}): Json {
  return parseJsonWith(text, name, exactLimits(onValue), readNumber)
}

/** No text of 16 MiB has more, and no engine tells twice as many apart: its tables end there, and throw. */
const mostItems = 2 ** 23

/** The limits of every JSON text in a policy: how much there is, is counted by `onValue`. */
export function exactLimits(onValue: (isContainer: boolean) => void) {
  const bounds = { maxItems: mostItems, maxValues: Number.POSITIVE_INFINITY }
  return { ...bounds, maxDepth: maximumJsonDepth, refuseLoneSurrogates: true, onValue }
}

export function isMembers(value: Json): value is JsonMembers {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The order in which objects are visited (POL-520) and written (RFC 8785): by UTF-16 code units. */
export function memberNames(object: JsonMembers, meter: StepMeter): string[] {
  const names = Object.keys(object)
  meter.take(names.length * Math.ceil(Math.log2(names.length + 1)))
  return names.sort()
}

export function noMembers(): JsonMembers {
  return Object.create(null)
}
