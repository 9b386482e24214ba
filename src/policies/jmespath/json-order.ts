import { EvaluationFailure } from '../evaluation-failure.ts'
import type { StepMeter } from '../step-meter.ts'
import { isMembers, type Json, type JsonMembers } from './exact-json.ts'
import type { QueryRun } from './query-run.ts'

export type JsonNumber = number | bigint
/** What can be sorted. */
export type SortKey = JsonNumber | string

/** Far above what a document can nest, and far below what the stack holds. */
const deepestComparison = 512

/** Equality of JSON values: numbers by what they are worth, objects whatever the order of their members. */
export function equalJson(left: Json, right: Json, run: QueryRun, depth = 0): boolean {
  run.meter.take()
  if (depth > deepestComparison) throw new EvaluationFailure('POL-503', 'compares values that nest too deep')
  if (typeof left === 'string') return equalStrings(left, right, run.meter)
  if (isNumber(left)) return isNumber(right) && compareNumbers(left, right) === 0
  if (Array.isArray(left)) return Array.isArray(right) && equalArrays(left, right, run, depth)
  if (isMembers(left)) return isMembers(right) && equalObjects(left, right, run, depth)
  return left === right
}

export function isNumber(value: Json): value is JsonNumber {
  return typeof value === 'number' || typeof value === 'bigint'
}

/** Exact also between a double and a BigInt. */
export function compareNumbers(left: JsonNumber, right: JsonNumber): number {
  if (left < right) return -1
  return left > right ? 1 : 0
}

function equalStrings(left: string, right: Json, meter: StepMeter): boolean {
  if (typeof right !== 'string' || left.length !== right.length) return false
  meter.takeCompared(left.length)
  return left === right
}

function equalArrays(left: readonly Json[], right: readonly Json[], run: QueryRun, depth: number): boolean {
  if (left.length !== right.length) return false
  return left.every((item, at) => equalJson(item, right[at] ?? null, run, depth + 1))
}

function equalObjects(left: JsonMembers, right: JsonMembers, run: QueryRun, depth: number): boolean {
  const size = run.sizes.of(left)
  if (size !== run.sizes.of(right)) return false
  run.meter.take(size)
  return Object.keys(left).every((name) => {
    const other = right[name]
    return other !== undefined && equalJson(left[name] ?? null, other, run, depth + 1)
  })
}

/** UTF-16 units in the order of the code points to which they belong: surrogates behind all others. */
function rank(unit: number): number {
  if (unit < 0xd800) return unit
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800
}

/** By code point (POL-520), which differs from the order of UTF-16 units beyond U+FFFF. */
function compareCodePoints(left: string, right: string): number {
  const length = Math.min(left.length, right.length)
  for (let at = 0; at < length; at++) {
    const [one, other] = [left.charCodeAt(at), right.charCodeAt(at)]
    if (one !== other) return rank(one) - rank(other)
  }
  return left.length - right.length
}

/** Of two keys of the same kind. */
export function compareKeys(left: SortKey, right: SortKey): number {
  if (typeof left === 'string') return typeof right === 'string' ? compareCodePoints(left, right) : 1
  return typeof right === 'string' ? -1 : compareNumbers(left, right)
}

/** Pays for sorting before it is done: how often an engine compares is its own affair (POL-608). */
export function paySort(keys: readonly SortKey[], meter: StepMeter): void {
  const rounds = Math.ceil(Math.log2(keys.length + 1))
  let characters = 0
  for (const key of keys) if (typeof key === 'string') characters += key.length
  meter.take(keys.length * rounds)
  meter.takeCharacters(characters * rounds)
}
