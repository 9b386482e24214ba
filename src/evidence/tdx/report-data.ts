import { createHash } from 'node:crypto'
import { equalBytes } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { canonicalJson, type JsonObject } from '../../base/json.ts'

/** Bytes of the report data of a quote. */
export const reportDataSize = 64

function padded(bytes: Uint8Array, size: number, path: string): Uint8Array {
  if (bytes.length > size) throw new MalformedError({ path }, `has ${bytes.length} bytes, may have ${size}`)
  const whole = new Uint8Array(size)
  whole.set(bytes)
  return whole
}

/**
 * The 64 bytes of report data for a binding of another service: as it is, with zeros behind it (TDX-041). Two bindings
 * that differ in zeros at their end give the same report data; those of this project have none there. Throws
 * `MalformedError` for more than 64 bytes.
 */
export function padReportData(binding: Uint8Array): Uint8Array {
  return padded(binding, reportDataSize, 'reportData')
}

/** Report data for structured runtime data of Confidential Containers: SHA-384 of the canonical JSON, padded (TDX-042). */
export function reportDataOfRuntimeData(runtimeData: JsonObject): Uint8Array {
  return padReportData(new Uint8Array(createHash('sha384').update(canonicalJson(runtimeData)).digest()))
}

/**
 * Whether MRCONFIGID (48 bytes) is the digest of init data, with zeros behind it (TDX-043). Throws `MalformedError` for a
 * digest of more than 48 bytes.
 */
export function isInitDataDigest(mrConfigId: Uint8Array, digest: Uint8Array): boolean {
  return equalBytes(mrConfigId, padded(digest, 48, 'initData'))
}
