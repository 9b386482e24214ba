import { guidText } from './guid.ts'

/** UEFI_VARIABLE_DATA as an event has it: GUID 16 bytes, u64 name length in UTF-16 units, u64 data length, name, data. */
export interface UefiVariable {
  /** Vendor GUID in text form, lower-case. */
  readonly guid: string
  /** Bytes of the name, UTF-16LE. */
  readonly name: Uint8Array
  readonly value: Uint8Array
  /** Bytes behind the value: shim logs one stray byte (tpm.md section 6). */
  readonly tail: Uint8Array
}

const headerSize = 32

/** Null where the lengths do not fit into `data`. */
export function variableOf(data: Uint8Array): UefiVariable | null {
  if (data.length < headerSize) return null
  const view = new DataView(data.buffer, data.byteOffset, data.length)
  // Both lengths are of 64 bits and from the log: as bigints they cannot wrap.
  const nameSize = 2n * view.getBigUint64(16, true)
  const valueSize = view.getBigUint64(24, true)
  if (BigInt(headerSize) + nameSize + valueSize > BigInt(data.length)) return null
  const valueStart = headerSize + Number(nameSize)
  const end = valueStart + Number(valueSize)
  return {
    guid: guidText(data.subarray(0, 16)),
    name: data.subarray(headerSize, valueStart),
    value: data.subarray(valueStart, end),
    tail: data.subarray(end),
  }
}

const utf16 = new TextDecoder('utf-16le', { fatal: true, ignoreBOM: true })

/** The name as text, or null where it is no UTF-16. */
export function variableNameOf({ name }: Pick<UefiVariable, 'name'>): string | null {
  try {
    return utf16.decode(name)
  } catch {
    return null
  }
}
