import { type JsonNumberText, type JsonTree, parseJsonWith } from '../../base/json.ts'
import type { ClaimValue } from '../claim.ts'
import { EvaluationFailure } from '../evaluation-failure.ts'
import { exactLimits, isInt64 } from '../jmespath/exact-json.ts'
import type { EvaluationContext } from './evaluation-context.ts'
import { distinctValues, type PolicyValue, type ValueSet } from './value-set.ts'

/** A number that is no integer, or of which a double does not tell whether it is one. */
const inexact = Symbol('a number that is no exact integer')

const mostDigits = 20
const parts = /^-?([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/

function trailingZeros(digits: string): number {
  let zeros = 0
  while (zeros < digits.length && digits.charCodeAt(digits.length - 1 - zeros) === 0x30) zeros++
  return zeros
}

/** Judged by the digits: the double of `255.00000000000000001` is 255. */
function isWhole(text: string): boolean {
  const [, whole = '', fraction = '', exponent = '0'] = parts.exec(text) ?? []
  const digits = whole + fraction
  const zeros = trailingZeros(digits)
  return zeros === digits.length || Number(exponent) - fraction.length + zeros >= 0
}

/** `1.0` and `1e2` are the integers 1 and 100, as far as a double is exact. */
function readNumber({ text, isInteger }: JsonNumberText, refuse: (problem: string) => Error): bigint | symbol {
  if (isInteger) {
    const value = text.length > mostDigits ? undefined : BigInt(text)
    if (value === undefined || !isInt64(value)) throw refuse('integer beyond 64 bits')
    return value
  }
  const double = Number(text)
  return Number.isSafeInteger(double) && isWhole(text) ? BigInt(double) : inexact
}

function primitive(value: JsonTree<bigint | symbol>): ClaimValue {
  if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'bigint') return value
  const what = typeof value === 'symbol' ? 'a number that is no exact integer' : 'an object or an array in an array'
  throw new EvaluationFailure('POL-504', `${what} cannot become a claim value`)
}

/**
 * `JsonToClaimValue` (POL-504): a primitive as such, null as the empty value, an array of primitives as a set without
 * its nulls. Everything is as read-only as the text. Throws `EvaluationFailure` POL-501 or POL-504.
 */
export function claimValues({ value, readOnly }: PolicyValue, context: EvaluationContext): ValueSet {
  if (typeof value !== 'string') throw new EvaluationFailure('POL-501', 'JsonToClaimValue needs a String of JSON text')
  const json = context.reading(value, () => parseJsonWith(value, 'JSON', exactLimits(context.onJsonValue), readNumber))
  const items = Array.isArray(json) ? json : [json]
  const values = items.filter((item) => item !== null).map((item) => ({ value: primitive(item), readOnly }))
  return distinctValues(values)
}
