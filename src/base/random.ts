/** Gives `size` unpredictable bytes. `node:crypto`'s `randomBytes` in production, a seeded stream in tests. */
export type RandomSource = (size: number) => Uint8Array

/** One uniform draw from [0, 1) with 32 bits of resolution: for jitter, never for secrets. */
export function drawUnit(random: RandomSource): number {
  const bytes = random(4)
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) / 2 ** 32
}

/** A random (version 4) UUID in lower case, RFC 9562 section 5.4. */
export function drawUuid(random: RandomSource): string {
  const bytes = Uint8Array.from(random(16))
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
