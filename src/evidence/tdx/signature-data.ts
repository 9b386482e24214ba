import {
  bytesOf,
  constant,
  type Layout,
  mapped,
  sized,
  sizedBytes,
  struct,
  type TypeOf,
  u16le,
  u32le,
} from '../../base/layout.ts'
import { oneOf } from './one-of.ts'
import { sgxReportLayout } from './sgx-report.ts'

/** A layout together with the bytes that it took, which signatures are over; writing goes by the value alone. */
function withBytes<T>(inner: Layout<T>): Layout<{ readonly value: T; readonly bytes: Uint8Array }> {
  return {
    read: (reader) => {
      const start = reader.offset
      const value = inner.read(reader)
      return { value, bytes: reader.since(start) }
    },
    write: (writer, { value }) => inner.write(writer, value),
  }
}

const keyFields = { signature: bytesOf(64), attestationKey: bytesOf(64) }

/** What the quoting enclave says of itself and who vouches for it: the same in all versions (TDX section 2.3). */
const qeFields = {
  qeReport: withBytes(sgxReportLayout),
  qeReportSignature: bytesOf(64),
  qeAuthData: sizedBytes(u16le),
  certification: struct({ type: oneOf(u16le, [1, 2, 3, 4, 5]), data: sizedBytes(u32le) }),
}

const version3 = struct({ ...keyFields, ...qeFields })

export type SignatureData = TypeOf<typeof version3>

/** Versions 4 and 5 wrap what version 3 has bare into certification data of type 6 (TDX-107). */
const version4 = struct({
  ...keyFields,
  qeCertification: struct({ type: constant(u16le, 6), data: sized(u32le, struct(qeFields)) }),
})

const version4Flat: Layout<SignatureData> = mapped(
  version4,
  ({ qeCertification, ...keys }) => ({ ...keys, ...qeCertification.data }),
  ({ signature, attestationKey, ...data }) => ({ signature, attestationKey, qeCertification: { type: 6, data } }),
)

/**
 * The signature data with its length before it. All lengths inside consume their container exactly (TDX-106): the bytes
 * here are unsigned, and a gap could say something else to another parser.
 */
export function signatureDataLayout(version: 3 | 4 | 5): Layout<SignatureData> {
  return version === 3 ? sizedVersion3 : sizedVersion4
}

const sizedVersion3 = sized(u32le, version3)
const sizedVersion4 = sized(u32le, version4Flat)
