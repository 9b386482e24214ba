import { EvaluationFailure } from '../evaluation-failure.ts'
import type { CallArguments } from './call-arguments.ts'
import { exactInteger, isInt64, type Json, parseInteger } from './exact-json.ts'
import { isNumber, type JsonNumber } from './json-order.ts'

const wholeNumber = /^-?(?:0|[1-9][0-9]*)$/
const jsonNumber = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/

function isExact(value: JsonNumber): boolean {
  return typeof value === 'bigint' || Number.isSafeInteger(value)
}

/** Results have the range of what can be read: 64 bits, and doubles that are finite. */
function inRange(value: JsonNumber): JsonNumber {
  const isIn = typeof value === 'bigint' ? isInt64(value) : Number.isFinite(value)
  if (!isIn) throw new EvaluationFailure('POL-503', 'a number beyond what can be represented')
  return value
}

/** Exact between integers, whatever their size. */
function add(left: JsonNumber, right: JsonNumber): JsonNumber {
  if (typeof left === 'number' && typeof right === 'number') {
    const sum = left + right
    if (Number.isSafeInteger(sum) || !isExact(left) || !isExact(right)) return sum
  }
  return isExact(left) && isExact(right) ? exactInteger(BigInt(left) + BigInt(right)) : Number(left) + Number(right)
}

function total(values: readonly JsonNumber[]): JsonNumber {
  return values.reduce(add, 0)
}

function average(values: readonly JsonNumber[]): JsonNumber | null {
  if (values.length === 0) return null
  const sum = total(values)
  const count = BigInt(values.length)
  if (isExact(sum) && BigInt(sum) % count === 0n) return exactInteger(BigInt(sum) / count)
  return Number(sum) / values.length
}

function toNumber(value: Json): JsonNumber | null {
  if (typeof value !== 'string') return isNumber(value) ? value : null
  if (wholeNumber.test(value)) return parseInteger(value) ?? null
  const double = jsonNumber.test(value) ? Number(value) : Number.NaN
  return Number.isFinite(double) ? double + 0 : null
}

function absolute(value: JsonNumber): JsonNumber {
  if (typeof value === 'number') return Math.abs(value)
  return value < 0n ? exactInteger(-value) : value
}

export const numberFunctions = {
  abs: (given: CallArguments) => inRange(absolute(given.number(0))),
  avg: (given: CallArguments) => {
    const result = average(given.numbers(0))
    return result === null ? null : inRange(result)
  },
  ceil: (given: CallArguments) => rounded(given.number(0), Math.ceil),
  floor: (given: CallArguments) => rounded(given.number(0), Math.floor),
  sum: (given: CallArguments) => inRange(total(given.numbers(0))),
  to_number: (given: CallArguments) => {
    const value = given.value(0)
    if (typeof value === 'string') given.run.meter.takeCharacters(value.length)
    return toNumber(value)
  },
}

function rounded(value: JsonNumber, round: (double: number) => number): JsonNumber {
  return typeof value === 'number' ? round(value) : value
}
