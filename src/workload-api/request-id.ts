import type { RandomSource } from '../base/random.ts'

const alphabet = Buffer.from('abcdefghijklmnopqrstuvwxyz234567')
const length = 26

/** 128 random bits as 26 characters of base32 (RFC 4648, lower case, no padding): API-31. */
export function drawRequestId(random: RandomSource): string {
  const drawn = random(16)
  const id = Buffer.allocUnsafe(length)
  for (let at = 0; at < length; at++) {
    const [first, shift] = [(at * 5) >> 3, 11 - ((at * 5) & 7)]
    const pair = ((drawn[first] ?? 0) << 8) | (drawn[first + 1] ?? 0)
    id.writeUInt8(alphabet.readUInt8((pair >> shift) & 31), at)
  }
  return id.toString('latin1')
}
