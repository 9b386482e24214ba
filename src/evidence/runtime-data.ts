import { createHash } from 'node:crypto'
import { parseText } from '../base/bytes.ts'
import { MalformedError } from '../base/errors.ts'
import { canonicalJson, type JsonObject } from '../base/json.ts'

/** Bytes of report data, whatever is bound by it (TDX-041). */
export const reportDataSize = 64

/** Hashes that structured runtime data may be bound by (SVC-09). */
export type RuntimeDataHash = 'sha256' | 'sha384' | 'sha512'

/** `bytes` and zeros behind them up to 64. More than 64 are a bug and throw `RangeError`: nothing is ever cut. */
export function padReportData(bytes: Uint8Array): Uint8Array {
  if (bytes.length > reportDataSize) throw new RangeError(`report data has ${bytes.length} bytes`)
  const padded = new Uint8Array(reportDataSize)
  padded.set(bytes)
  return padded
}

/**
 * The 64 bytes of report data that bind a structured document (TDX-042, SVC-26): the hash of its canonical JSON
 * (RFC 8785), zeros behind it. The caller bounds the document.
 */
export function hashStructuredData(document: JsonObject, hash: RuntimeDataHash = 'sha384'): Uint8Array {
  return padReportData(createHash(hash).update(canonicalJson(document)).digest())
}

/**
 * Decodes runtime data that is used as it is (SVC-24, SVC-25): base64 in the URL-safe or the standard alphabet, without
 * padding or with exactly the right one, 1 to 64 bytes. The result is not padded: a TPM compares it as it is. Throws
 * `MalformedError` at `path`.
 */
export function parseRawRuntimeData(text: string, path = 'runtime_data.raw'): Uint8Array {
  const unpadded = text.replace(/={1,2}$/, '')
  const padding = text.length - unpadded.length
  if (padding > 0 && text.length % 4 !== 0) throw new MalformedError({ path }, 'has the wrong padding')
  const bytes = /[+/]/.test(unpadded)
    ? parseText(unpadded.padEnd(Math.ceil(unpadded.length / 4) * 4, '='), 'base64', path)
    : parseText(unpadded, 'base64url', path)
  if (bytes.length === 0 || bytes.length > reportDataSize) {
    throw new MalformedError({ path }, `has ${bytes.length} bytes, must have 1 to ${reportDataSize}`)
  }
  return bytes
}
