import { bytesOf, encode, listOf, parse, sizedBytes, struct, u8, u16le, u32le } from '../../base/layout.ts'
import { Reader } from '../../base/layout-cursor.ts'
import { type HashName, hashAlgorithms, hashNameOf } from '../tpm/algorithms.ts'
import { evNoAction } from './event-types.ts'

/** An algorithm that the log's header declares; `name` is undefined for those that this project does not compute. */
export interface LogAlgorithm {
  readonly id: number
  readonly size: number
  readonly name: HashName | undefined
}

/** The entry that begins a crypto-agile log, TCG_EfiSpecIDEvent in the form of TCG 1.2. */
export interface SpecIdHeader {
  readonly register: number
  readonly algorithms: readonly LogAlgorithm[]
  /** Bytes of the whole entry. */
  readonly size: number
}

const signature = new TextEncoder().encode('Spec ID Event03\0')

export interface SpecIdLimits {
  readonly maxAlgorithms: number
  /** Bytes of a digest of an algorithm that is not known here. */
  readonly maxDigestSize: number
}

const specIdLayout = (max: number) =>
  struct({
    signature: bytesOf(16),
    platformClass: u32le,
    minor: u8,
    major: u8,
    errata: u8,
    uintnSize: u8,
    algorithms: listOf(u32le, struct({ id: u16le, size: u16le }), { min: 1, max }),
    vendor: sizedBytes(u8),
  })

/** The form that every entry of a log of TCG 1.2 has; of a crypto-agile log only the first. */
export const legacyEntryLayout = struct({
  register: u32le,
  type: u32le,
  digest: bytesOf(20),
  data: sizedBytes(u32le),
})

/** ELOG-02, TDX-230: known algorithms have their size, and none occurs twice. */
function requireAlgorithms(
  reader: Reader,
  listed: readonly { id: number; size: number }[],
  maxDigestSize: number,
): LogAlgorithm[] {
  const seen = new Set<number>()
  return listed.map(({ id, size }) => {
    const name = hashNameOf(id)
    if (seen.has(id)) throw reader.malformed(`header declares algorithm 0x${id.toString(16)} twice`)
    if (size === 0 || size > maxDigestSize || (name !== undefined && hashAlgorithms[name].size !== size)) {
      throw reader.malformed(`header declares ${size} bytes for algorithm 0x${id.toString(16)}`)
    }
    seen.add(id)
    return { id, size, name }
  })
}

const signatureOffset = 32

/** Whether a header stands at the start: asked where an entry of another form may stand there. */
export function beginsWithSpecId(bytes: Uint8Array): boolean {
  return signature.every((byte, at) => bytes[signatureOffset + at] === byte)
}

/**
 * Reads the header of a crypto-agile log from its first byte; undefined where the first entry is not such a header.
 * Throws `MalformedError` for a header that breaks ELOG-02.
 */
export function readSpecIdHeader(
  bytes: Uint8Array,
  { maxAlgorithms, maxDigestSize }: SpecIdLimits,
): SpecIdHeader | undefined {
  const reader = new Reader(bytes, 'eventlog')
  const first = reader.field('header', () => legacyEntryLayout.read(reader))
  if (first.type !== evNoAction || !beginsWithSpecId(bytes)) return undefined
  const { algorithms } = parse(specIdLayout(maxAlgorithms), first.data, 'eventlog.header')
  return {
    register: first.register,
    algorithms: requireAlgorithms(reader, algorithms, maxDigestSize),
    size: reader.offset,
  }
}

/** The header entry of a log of platform class 0 (client) whose events carry digests of `algorithms`. */
export function encodeSpecIdHeader(
  register: number,
  algorithms: readonly { readonly id: number; readonly size: number }[],
): Uint8Array {
  const data = encode(specIdLayout(algorithms.length), {
    signature,
    platformClass: 0,
    minor: 0,
    major: 2,
    errata: 0,
    uintnSize: 2,
    algorithms: [...algorithms],
    vendor: new Uint8Array(),
  })
  return encode(legacyEntryLayout, { register, type: evNoAction, digest: new Uint8Array(20), data })
}
