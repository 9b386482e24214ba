import { EvaluationFailure } from '../evaluation-failure.ts'
import type { CallArguments } from './call-arguments.ts'
import type { Json } from './exact-json.ts'
import { equalJson } from './json-order.ts'
import { jsonText, utf8Length } from './json-text.ts'
import type { QueryRun } from './query-run.ts'
import { isFoundIn } from './text-search.ts'

/** ASCII letters only: a Unicode fold would let look-alike paths pass (POL-521). */
function foldAscii(unit: number): number {
  return unit >= 0x41 && unit <= 0x5a ? unit + 0x20 : unit
}

function equalIgnoringCase(left: string, right: string): boolean {
  if (left.length !== right.length) return false
  for (let at = 0; at < left.length; at++) {
    if (foldAscii(left.charCodeAt(at)) !== foldAscii(right.charCodeAt(at))) return false
  }
  return true
}

function pair(given: CallArguments): readonly [string, string] {
  const [text, part] = [given.string(0), given.string(1)]
  given.run.meter.takeCharacters(part.length)
  return [text, part]
}

/** Bounded before it is made (POL-606): a long glue between many strings would take all memory. */
function join(glue: string, parts: readonly string[], { limits, meter }: QueryRun): string {
  let bytes = utf8Length(glue) * Math.max(0, parts.length - 1)
  for (const part of parts) bytes += utf8Length(part)
  if (bytes > limits.stringBytes) {
    throw new EvaluationFailure('POL-606', `join makes a string of more than ${limits.stringBytes} bytes`)
  }
  meter.takeCharacters(bytes)
  return parts.join(glue)
}

function toText(value: Json, { limits, meter }: QueryRun): string {
  if (typeof value !== 'string') return jsonText(value, limits.resultBytes, meter)
  if (utf8Length(value, limits.resultBytes) > limits.resultBytes) {
    throw new EvaluationFailure('POL-607', `the result has more than ${limits.resultBytes} bytes`)
  }
  return value
}

export const stringFunctions = {
  contains: (given: CallArguments) => {
    const [subject, search] = [given.value(0), given.value(1)]
    if (typeof subject === 'string') return typeof search === 'string' && isFoundIn(subject, search, given.run.meter)
    if (!Array.isArray(subject)) throw given.refused(0, 'an array or a string')
    return subject.some((item) => equalJson(item, search, given.run))
  },
  ends_with: (given: CallArguments) => {
    const [text, end] = pair(given)
    return text.endsWith(end)
  },
  equals_ignore_case: (given: CallArguments) => {
    if (given.value(0) !== null && given.value(1) !== null) return equalIgnoringCase(...pair(given))
    for (const at of [0, 1]) if (given.value(at) !== null) given.string(at)
    return false
  },
  join: (given: CallArguments) => join(given.string(0), given.strings(1), given.run),
  starts_with: (given: CallArguments) => {
    const [text, start] = pair(given)
    return text.startsWith(start)
  },
  to_string: (given: CallArguments) => toText(given.value(0), given.run),
}
