import { parseText, toBase64, toHex } from '../base/bytes.ts'
import { MalformedError } from '../base/errors.ts'
import { type JsonObject, parseJsonObject } from '../base/json.ts'

/** The extension that is under way, written down before it begins (TDX-036). */
export interface PendingExtension {
  /** Number of an RTMR or a PCR. */
  readonly register: number
  /** The register before and after, in all its banks. */
  readonly before: Uint8Array
  readonly after: Uint8Array
  /** Length of the log, in bytes, where `entry` belongs. */
  readonly offset: number
  /** What is to be appended. */
  readonly entry: Uint8Array
}

/** What the write-ahead record says. `diverged` stays until the machine restarts. */
export type PendingRecord =
  | { readonly kind: 'extending'; readonly extension: PendingExtension }
  | { readonly kind: 'diverged' }

export function encodePendingRecord(record: PendingRecord): Uint8Array {
  if (record.kind === 'diverged') return new TextEncoder().encode('{"diverged":true}\n')
  const { register, before, after, offset, entry } = record.extension
  const members = { register, before: toHex(before), after: toHex(after), offset, entry: toBase64(entry) }
  return new TextEncoder().encode(`${JSON.stringify(members)}\n`)
}

function registerValue(object: JsonObject, member: 'before' | 'after'): Uint8Array {
  const path = `record.${member}`
  const text = object[member]
  const bytes = typeof text === 'string' ? parseText(text, 'hex', path) : new Uint8Array()
  if (bytes.length < 20 || bytes.length > 512)
    throw new MalformedError({ path }, 'is not 20 to 512 bytes in hexadecimal')
  return bytes
}

/** Parses what `encodePendingRecord` wrote, and throws `MalformedError` for everything else. */
export function parsePendingRecord(bytes: Uint8Array): PendingRecord {
  const object = parseJsonObject(bytes, 'record', { integersOnly: true })
  if (object['diverged'] === true) return { kind: 'diverged' }
  const { register, offset, entry } = object
  if (typeof register !== 'number' || register < 0 || register > 23) {
    throw new MalformedError({ path: 'record.register' }, 'is not 0 to 23')
  }
  if (typeof offset !== 'number' || offset < 0) throw new MalformedError({ path: 'record.offset' }, 'is no offset')
  if (typeof entry !== 'string') throw new MalformedError({ path: 'record.entry' }, 'is not base64')
  const [before, after] = [registerValue(object, 'before'), registerValue(object, 'after')]
  return {
    kind: 'extending',
    extension: { register, before, after, offset, entry: parseText(entry, 'base64', 'record.entry') },
  }
}
