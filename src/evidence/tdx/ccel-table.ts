import { toLatin1 } from '../../base/bytes.ts'
import { bytesOf, constant, encode, mapped, parse, struct, type TypeOf, u8, u32le, u64le } from '../../base/layout.ts'

/** `ccType` of a TD. */
export const ccTypeTdx = 2

const tableSize = 56

const signature = mapped(
  bytesOf(4),
  (value, refuse) => {
    if (toLatin1(value) !== 'CCEL') throw refuse('is not CCEL')
    return value
  },
  (value) => value,
)

/** The ACPI table that says where firmware left the event log: 56 bytes (TDX-020). */
export const ccelTableLayout = struct({
  signature,
  length: constant(u32le, tableSize),
  revision: u8,
  checksum: u8,
  oemId: bytesOf(6),
  oemTableId: bytesOf(8),
  oemRevision: u32le,
  creatorId: bytesOf(4),
  creatorRevision: u32le,
  ccType: u8,
  ccSubtype: u8,
  reserved: bytesOf(2),
  /** Bytes of the log's area; most of it is padding. */
  logAreaLength: u64le,
  /** Physical address of the area. */
  logAddress: u64le,
})

export type CcelTable = TypeOf<typeof ccelTableLayout>

/**
 * Parses the CCEL table, exactly 56 bytes. Its checksum is the kernel's business, and `ccType` is for the caller to
 * compare with `ccTypeTdx`. Throws `MalformedError`.
 */
export function parseCcelTable(bytes: Uint8Array): CcelTable {
  return parse(ccelTableLayout, bytes, 'ccel')
}

/** The 56 bytes that `parseCcelTable` reads. */
export function encodeCcelTable(table: CcelTable): Uint8Array {
  return encode(ccelTableLayout, table, 'ccel')
}
