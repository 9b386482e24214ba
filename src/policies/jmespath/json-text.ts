import { EvaluationFailure } from '../evaluation-failure.ts'
import type { StepMeter } from '../step-meter.ts'
import { isMembers, type Json, type JsonMembers, maximumJsonDepth, memberNames } from './exact-json.ts'

/** Bytes of a string in UTF-8, as soon as it is more than `enough` any number above it. */
export function utf8Length(text: string, enough = Number.POSITIVE_INFINITY): number {
  if (text.length > enough) return text.length
  let bytes = text.length
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    // A pair of surrogates is two units and four bytes.
    if (code >= 0x80) bytes += code < 0x800 || (code >= 0xd800 && code <= 0xdfff) ? 1 : 2
  }
  return bytes
}

/** Writes one value as RFC 8785 text and counts its bytes on the way (POL-607). */
class JsonTextWriter {
  #parts: string[] = []
  #bytes = 0
  readonly #limit: number
  readonly #meter: StepMeter

  constructor(limit: number, meter: StepMeter) {
    this.#limit = limit
    this.#meter = meter
  }

  text(): string {
    return this.#parts.join('')
  }

  value(value: Json, depth: number): void {
    this.#meter.take()
    if (typeof value === 'string') this.#string(value)
    else if (Array.isArray(value)) this.#array(value, depth)
    else if (isMembers(value)) this.#object(value, depth)
    else this.#ascii(String(Object.is(value, -0) ? 0 : value))
  }

  #ascii(text: string): void {
    this.#count(text.length)
    this.#parts.push(text)
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes > this.#limit)
      throw new EvaluationFailure('POL-607', `the result has more than ${this.#limit} bytes`)
  }

  #string(value: string): void {
    this.#meter.takeCharacters(value.length)
    // Before it is quoted: that makes a copy of up to six times its length.
    if (value.length > this.#limit) this.#count(value.length)
    const quoted = JSON.stringify(value)
    this.#count(utf8Length(quoted, this.#limit))
    this.#parts.push(quoted)
  }

  #array(items: readonly Json[], depth: number): void {
    this.#enter(depth)
    this.#ascii('[')
    items.forEach((item, at) => {
      if (at > 0) this.#ascii(',')
      this.value(item, depth + 1)
    })
    this.#ascii(']')
  }

  #object(object: JsonMembers, depth: number): void {
    this.#enter(depth)
    this.#ascii('{')
    memberNames(object, this.#meter).forEach((name, at) => {
      if (at > 0) this.#ascii(',')
      this.#string(name)
      this.#ascii(':')
      this.value(object[name] ?? null, depth + 1)
    })
    this.#ascii('}')
  }

  /** What a query builds may nest deeper than what it read; nobody could read such a text again. */
  #enter(depth: number): void {
    if (depth < maximumJsonDepth) return
    throw new EvaluationFailure('POL-503', `the result nests deeper than ${maximumJsonDepth} levels`)
  }
}

/** RFC 8785 text of at most `limit` bytes; shared sub-trees are counted as often as they are written (POL-607). */
export function jsonText(value: Json, limit: number, meter: StepMeter): string {
  const writer = new JsonTextWriter(limit, meter)
  writer.value(value, 0)
  return writer.text()
}
