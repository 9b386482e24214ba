/**
 * HalfSipHash-1-3 of the bytes from `start` to `end`: 32 bits under a key of 64, as a signed integer (Aumasson, Bernstein: SipHash). Who does
 * not know the key cannot find texts whose hashes agree, so that names from a guest cannot make a table slow.
 */
export function keyedHash(view: DataView, start: number, end: number, key: readonly [number, number]): number {
  const words = (end - start) >> 2
  let v0 = key[0] | 0
  let v1 = key[1] | 0
  let v2 = 0x6c796765 ^ key[0]
  let v3 = 0x74656462 ^ key[1]
  // All whole words, the last one with the length in it, then three rounds to finish.
  for (let step = 0; step < words + 4; step++) {
    const word = step < words ? view.getInt32(start + 4 * step, true) : step === words ? lastWord(view, start, end) : 0
    if (step === words + 1) v2 ^= 0xff
    v3 ^= word
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
    v0 ^= word
  }
  return v1 ^ v3
}

/** The bytes that fill no word, little endian, with the length of all in the highest byte. */
function lastWord(view: DataView, start: number, end: number): number {
  const length = end - start
  let word = length << 24
  for (let at = length & ~3; at < length; at++) word |= view.getUint8(start + at) << (8 * (at & 3))
  return word
}
