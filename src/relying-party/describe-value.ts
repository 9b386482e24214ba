import type { JsonValue } from '../base/json.ts'

/** At most `limit` printable ASCII characters of a text that a stranger chose: safe for logs and terminals. */
export function clipText(text: string, limit = 200): string {
  const printable = text.replace(/[^\x20-\x7e]/g, '?')
  return printable.length > limit ? `${printable.slice(0, limit)}…` : printable
}

/** A claim for a finding: `"value"`, `absent`, or the kind of an array or object. Never for nonces and other secrets. */
export function describeValue(value: JsonValue | undefined): string {
  if (value === undefined) return 'absent'
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (typeof value === 'object' && value !== null) return 'an object'
  return clipText(typeof value === 'string' ? JSON.stringify(value) : String(value))
}
