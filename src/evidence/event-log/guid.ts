import { toHex } from '../../base/bytes.ts'

/** The first three fields of a GUID are little-endian. */
const fieldOrder = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]

/** A GUID of 16 bytes in its usual text form, lower-case: first three fields swapped. */
export function guidText(bytes: Uint8Array): string {
  const hex = toHex(Uint8Array.from(fieldOrder, (at) => bytes[at] ?? 0))
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
