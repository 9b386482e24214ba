import { parseText } from '../base/bytes.ts'
import { MalformedError } from '../base/errors.ts'
import { isJsonObject, type JsonLimits, type JsonObject, type JsonValue, parseJsonObject } from '../base/json.ts'

/** Members of evidence containers, read strictly; errors name the member's path and never its value. */

export function malformedMember(path: string, problem: string): MalformedError {
  return new MalformedError({ path }, problem)
}

/** Text of at most `maximum` characters. */
export function textAt(value: JsonValue | undefined, path: string, maximum: number): string {
  if (typeof value !== 'string') throw malformedMember(path, value === undefined ? 'is missing' : 'is not a string')
  if (value.length > maximum) throw malformedMember(path, `is longer than ${maximum} characters`)
  return value
}

/** Standard base64 of at most `maximum` bytes; the text is measured before it is decoded. */
export function base64At(value: JsonValue | undefined, path: string, maximum: number): Uint8Array {
  const bytes = parseText(textAt(value, path, 4 * Math.ceil(maximum / 3)), 'base64', path)
  if (bytes.length > maximum) throw malformedMember(path, `has ${bytes.length} bytes, may have ${maximum}`)
  return bytes
}

/** As `base64At`; no bytes at all are an error. */
export function filledBase64At(value: JsonValue | undefined, path: string, maximum: number): Uint8Array {
  const bytes = base64At(value, path, maximum)
  if (bytes.length === 0) throw malformedMember(path, 'is empty')
  return bytes
}

/** `null` and an absent member are the same: neither of them lets a check be skipped (EVD-07). */
export function optional<T>(value: JsonValue | undefined, read: (present: JsonValue) => T): T | null {
  return value === undefined || value === null ? null : read(value)
}

/**
 * `simulated` of the member `hints`. Members of `hints` that are not known are ignored: nothing there is authenticated
 * (EVD-02).
 */
export function parseSimulated(value: JsonValue | undefined): boolean {
  if (value === undefined) return false
  if (!isJsonObject(value)) throw malformedMember('evidence.hints', 'is not an object')
  const simulated = value['simulated'] ?? false
  if (typeof simulated !== 'boolean') throw malformedMember('evidence.hints.simulated', 'is not true or false')
  return simulated
}

/** The container as an object, from its text or bytes (at most `maximum` of them) or from the object itself. */
export function containerObject(
  document: string | Uint8Array | JsonObject,
  maximum: number,
  limits: JsonLimits,
): JsonObject {
  if (typeof document !== 'string' && !(document instanceof Uint8Array)) return document
  if (document.length > maximum) throw malformedMember('evidence', `is longer than ${maximum} bytes`)
  return parseJsonObject(document, 'evidence', limits)
}
