/** Bits of TD attributes that have a claim of their own, by its name (TDX-190, TDX-250). */
const bits = { debug: 0, septve_disable: 28, protection_keys: 30, key_locker: 31, perfmon: 63 } as const

export type NamedAttribute = keyof typeof bits

/** Bit 0 is the lowest of the first byte: the eight bytes are a little-endian number. */
function hasBit(attributes: Uint8Array, bit: number): boolean {
  return (((attributes[bit >> 3] ?? 0) >> (bit & 7)) & 1) === 1
}

/** The named bits of the 8 bytes of TD attributes; other bits have no name here. */
export function nameAttributes(attributes: Uint8Array): Record<NamedAttribute, boolean> {
  return {
    debug: hasBit(attributes, bits.debug),
    septve_disable: hasBit(attributes, bits.septve_disable),
    protection_keys: hasBit(attributes, bits.protection_keys),
    key_locker: hasBit(attributes, bits.key_locker),
    perfmon: hasBit(attributes, bits.perfmon),
  }
}
