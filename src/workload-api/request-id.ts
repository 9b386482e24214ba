import type { RandomSource } from '../base/random.ts'

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'

/** 128 random bits as 26 characters of base32 (RFC 4648, lower case, no padding): API-31. */
export function drawRequestId(random: RandomSource): string {
  let [bits, held, id] = [0, 0, '']
  for (const byte of random(16)) {
    bits = ((bits << 8) | byte) & 0xfff
    for (held += 8; held >= 5; held -= 5) id += alphabet[(bits >> (held - 5)) & 31]
  }
  return id + alphabet[(bits << (5 - held)) & 31]
}
