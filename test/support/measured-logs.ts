import { concatBytes } from '../../src/base/bytes.ts'
import { bytesOf, encode, listOf, rest, sizedBytes, struct, u8, u16le, u32le } from '../../src/base/layout.ts'
import { digestOf, type HashName, hashAlgorithms } from '../../src/evidence/tpm/algorithms.ts'

/** One measurement of firmware: the digest of `measured` is extended, by default that of `data`. */
export interface MeasuredEvent {
  readonly pcr: number
  readonly type: number
  readonly data: Uint8Array
  readonly measured?: Uint8Array
}

export const evNoAction = 0x00000003
export const evSeparator = 0x00000004
export const evEfiAction = 0x80000007

const text = new TextEncoder()

const headerLayout = struct({
  signature: bytesOf(16),
  platformClass: u32le,
  minor: u8,
  major: u8,
  errata: u8,
  uintnSize: u8,
  algorithms: listOf(u32le, struct({ id: u16le, size: u16le }), { max: 8 }),
  vendor: sizedBytes(u8),
})
const legacyLayout = struct({ pcr: u32le, type: u32le, digest: bytesOf(20), data: sizedBytes(u32le) })
const eventLayout = struct({
  pcr: u32le,
  type: u32le,
  digests: listOf(u32le, struct({ id: u16le, digest: rest }), { max: 8 }),
  data: sizedBytes(u32le),
})

/** A crypto-agile log, as `binary_bios_measurements` gives it. */
export function encodeEventLog(events: readonly MeasuredEvent[], banks: readonly HashName[]): Uint8Array {
  const header = encode(headerLayout, {
    signature: text.encode('Spec ID Event03\0'),
    platformClass: 0,
    minor: 0,
    major: 2,
    errata: 0,
    uintnSize: 2,
    algorithms: banks.map((hash) => hashAlgorithms[hash]),
    vendor: new Uint8Array(),
  })
  const first = encode(legacyLayout, { pcr: 0, type: evNoAction, digest: new Uint8Array(20), data: header })
  const entries = events.map((event) => {
    const digests = banks.map((hash) => ({
      id: hashAlgorithms[hash].id,
      digest: digestOf(hash, event.measured ?? event.data),
    }))
    return encode(eventLayout, { ...event, digests })
  })
  return concatBytes(first, ...entries)
}

const sizedField = struct({ bytes: sizedBytes(u32le) })
const recordLayout = struct({
  pcr: u32le,
  column: bytesOf(20),
  template: sizedBytes(u32le),
  data: sizedBytes(u32le),
})

/** Template data of `ima-ng`: the digest of a file and its path; what IMA hashes and extends. */
export function imaNgData(path: string, fileDigest: Uint8Array): Uint8Array {
  const field = (bytes: Uint8Array) => encode(sizedField, { bytes })
  return concatBytes(field(concatBytes(text.encode('sha256:\0'), fileDigest)), field(text.encode(`${path}\0`)))
}

/** A binary IMA log with a SHA-1 column, as `binary_runtime_measurements` gives it. */
export function encodeImaLog(pcr: number, templateData: readonly Uint8Array[]): Uint8Array {
  const template = text.encode('ima-ng')
  return concatBytes(
    ...templateData.map((data) => encode(recordLayout, { pcr, column: digestOf('sha1', data), template, data })),
  )
}
