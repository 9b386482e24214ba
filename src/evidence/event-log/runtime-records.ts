import { concatBytes } from '../../base/bytes.ts'
import { bytesOf, constant, encode, listOf, sizedBytes, struct, tagged, u16le, u32le } from '../../base/layout.ts'
import { Reader } from '../../base/layout-cursor.ts'
import { type AaelEvent, encodeAaelData, evEventTag, isAaelData } from '../tdx/aael.ts'
import { digestOf, type HashName, hashAlgorithms, hashNameOf } from '../tpm/algorithms.ts'
import { parseEventLog } from './event-log.ts'
import { beginsWithSpecId, encodeSpecIdHeader, readSpecIdHeader } from './spec-id.ts'

/**
 * The log of what was measured while the system ran: TCG_PCR_EVENT2 entries behind one another, with a Spec ID header
 * only where the firmware left no log (TDX-021, TDX-034).
 */

const mostDigests = 16
const headerLimits = { maxAlgorithms: mostDigests, maxDigestSize: 64 }

const headerSize = (log: Uint8Array) =>
  log.length > 0 && beginsWithSpecId(log) ? (readSpecIdHeader(log, headerLimits)?.size ?? 0) : 0

/** Passes over one record, up to its data; gives how many bytes of those there are. */
function skipToData(reader: Reader): number {
  reader.skip(8)
  const count = reader.integer(4, true)
  if (count > mostDigests) throw reader.malformed(`has ${count} digests`)
  for (let left = count; left > 0; left--) {
    const name = hashNameOf(reader.integer(2, true))
    if (name === undefined) throw reader.malformed('has a digest of an algorithm that is not known')
    reader.skip(hashAlgorithms[name].size)
  }
  return reader.integer(4, true)
}

function* recordsIn(log: Uint8Array): Generator<{ readonly size: number; readonly data: Uint8Array }> {
  let count = 0
  const reader = new Reader(log, () => `runtimelog.${count}`)
  reader.offset = headerSize(log)
  for (; reader.remaining > 0; count++) {
    const start = reader.offset
    const size = skipToData(reader)
    const from = reader.offset
    reader.skip(size)
    yield { size: reader.offset - start, data: log.subarray(from, reader.offset) }
  }
}

/** How many records a runtime log has. Throws `MalformedError` where they do not fill it to the last byte. */
export function countRuntimeRecords(log: Uint8Array): number {
  let count = 0
  for (const _ of recordsIn(log)) count++
  return count
}

/** Behind tag and length; a domain has no space and 128 characters at most (TDX-035). */
const [domainAt, longestDomain, space] = [8, 128, 0x20]

/**
 * Bytes that the runtime records of some domains take in a log; records that are not ours count to no domain. Throws as
 * `countRuntimeRecords`.
 */
export function runtimeBytesOf(log: Uint8Array, covers: (domain: string) => boolean): number {
  let bytes = 0
  for (const { size, data } of recordsIn(log)) {
    const end = data.subarray(0, domainAt + longestDomain + 1).indexOf(space, domainAt)
    const domain = isAaelData(data) && end !== -1 ? new TextDecoder().decode(data.subarray(domainAt, end)) : null
    if (domain !== null && covers(domain)) bytes += size
  }
  return bytes
}

const digestCase = <Name extends HashName>(name: Name) =>
  [hashAlgorithms[name].id, struct({ digest: bytesOf(hashAlgorithms[name].size) })] as const

const recordLayout = struct({
  pcr: u32le,
  type: constant(u32le, evEventTag),
  digests: listOf(
    u32le,
    tagged('hash', u16le, {
      sha1: digestCase('sha1'),
      sha256: digestCase('sha256'),
      sha384: digestCase('sha384'),
      sha512: digestCase('sha512'),
    }),
    { max: mostDigests },
  ),
  data: sizedBytes(u32le),
})

/** A record and what the banks are extended with: digests of its data. */
export interface PcrRecord {
  readonly entry: Uint8Array
  readonly digests: ReadonlyMap<HashName, Uint8Array>
}

/**
 * The record of a measurement into a PCR: data and digests as TDX-034 has them for registers of a TD, in the hashes of
 * `logged`; `digests` are those of `extended`. Throws `MalformedError` for an event that breaks TDX-035.
 */
export function encodePcrRecord(
  pcr: number,
  event: AaelEvent,
  { logged, extended }: { readonly logged: readonly HashName[]; readonly extended: readonly HashName[] },
): PcrRecord {
  const data = encodeAaelData(event)
  const digests = logged.map((hash) => ({ hash, digest: digestOf(hash, data) }))
  return {
    entry: encode(recordLayout, { pcr, type: evEventTag, digests, data }),
    digests: new Map(extended.map((hash) => [hash, digestOf(hash, data)])),
  }
}

/** The header of a log that holds runtime records only. */
export function encodeRuntimeHeader(banks: readonly HashName[]): Uint8Array {
  return encodeSpecIdHeader(
    0,
    banks.map((bank) => hashAlgorithms[bank]),
  )
}

/**
 * The event log of a TPM that goes into evidence: the firmware's up to its last event, then the runtime records. Null
 * where there is neither. Whether they fit each other, the replay tells. Throws `MalformedError` for a log of the
 * firmware that does not parse.
 */
export function composeTpmEventLog(firmware: Uint8Array | null, runtime: Uint8Array | null): Uint8Array | null {
  if (runtime === null || runtime.length === 0) return firmware
  if (firmware === null) return runtime
  const { trailingBytes } = parseEventLog(firmware)
  return concatBytes(firmware.subarray(0, firmware.length - trailingBytes), runtime.subarray(headerSize(runtime)))
}
