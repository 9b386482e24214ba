import { EvaluationFailure } from '../evaluation-failure.ts'
import { isMembers, type Json, type JsonMembers } from './exact-json.ts'
import { isNumber, type JsonNumber, type SortKey } from './json-order.ts'
import type { Evaluate, QueryRun } from './query-run.ts'
import type { QueryFunctionName } from './query-syntax.ts'

/** The evaluated arguments of one call, each with the type that the function asks for; another type is POL-503. */
export class CallArguments {
  readonly run: QueryRun
  readonly #name: QueryFunctionName
  readonly #given: readonly (Json | Evaluate)[]

  constructor(name: QueryFunctionName, given: readonly (Json | Evaluate)[], run: QueryRun) {
    this.#name = name
    this.#given = given
    this.run = run
  }

  refused(at: number, expected: string): EvaluationFailure {
    return new EvaluationFailure('POL-503', `${this.#name} needs ${expected} as argument ${at + 1}`)
  }

  value(at: number): Json {
    const given = this.#given[at] ?? null
    if (typeof given === 'function') throw this.refused(at, 'a value')
    return given
  }

  values(): Json[] {
    return this.#given.map((_, at) => this.value(at))
  }

  reference(at: number): Evaluate {
    const given = this.#given[at]
    if (typeof given !== 'function') throw this.refused(at, 'an &expression')
    return given
  }

  number(at: number): JsonNumber {
    const value = this.value(at)
    if (!isNumber(value)) throw this.refused(at, 'a number')
    return value
  }

  string(at: number): string {
    const value = this.value(at)
    if (typeof value !== 'string') throw this.refused(at, 'a string')
    return value
  }

  members(at: number): JsonMembers {
    const value = this.value(at)
    if (!isMembers(value)) throw this.refused(at, 'an object')
    return value
  }

  array(at: number): readonly Json[] {
    const value = this.value(at)
    if (!Array.isArray(value)) throw this.refused(at, 'an array')
    this.run.meter.take(value.length)
    return value
  }

  numbers(at: number): readonly JsonNumber[] {
    const values = this.array(at)
    if (!values.every(isNumber)) throw this.refused(at, 'an array of numbers')
    return values
  }

  strings(at: number): readonly string[] {
    const values = this.array(at)
    if (!values.every(isString)) throw this.refused(at, 'an array of strings')
    return values
  }

  keys(at: number): readonly SortKey[] {
    return this.sortable(this.array(at), at)
  }

  /** All numbers or all strings. */
  sortable(values: readonly Json[], at: number): readonly SortKey[] {
    if (values.every(isNumber) || values.every(isString)) return values
    throw this.refused(at, 'numbers only or strings only')
  }
}

function isString(value: Json): value is string {
  return typeof value === 'string'
}
