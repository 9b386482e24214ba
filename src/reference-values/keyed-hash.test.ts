import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { keyedHash } from './keyed-hash.ts'

const key = [0x03020100, 0x07060504] as const
const hashOf = (bytes: Uint8Array, by: readonly [number, number] = key) =>
  keyedHash(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length, by)

/** The construction again, in its own terms: 32-bit words, rotations, one round a word, three at the end. */
function reference(bytes: Uint8Array, [k0, k1]: readonly [number, number]): number {
  const v = [k0, k1, (0x6c796765 ^ k0) >>> 0, (0x74656462 ^ k1) >>> 0] as [number, number, number, number]
  const rotated = (word: number, by: number) => ((word << by) | (word >>> (32 - by))) >>> 0
  const mix = (left: 0 | 1 | 2 | 3, right: 0 | 1 | 2 | 3, by: number) => {
    v[left] = (v[left] + v[right]) >>> 0
    v[right] = (rotated(v[right], by) ^ v[left]) >>> 0
  }
  const round = () => {
    mix(0, 1, 5)
    v[0] = rotated(v[0], 16)
    mix(2, 3, 8)
    mix(0, 3, 7)
    mix(2, 1, 13)
    v[2] = rotated(v[2], 16)
  }
  const whole = bytes.length & ~3
  const padded = new Uint8Array(whole + 4)
  padded.set(bytes)
  padded[whole + 3] = bytes.length
  const view = new DataView(padded.buffer)
  for (let at = 0; at <= whole; at += 4) {
    const word = view.getUint32(at, true)
    v[3] = (v[3] ^ word) >>> 0
    round()
    v[0] = (v[0] ^ word) >>> 0
  }
  v[2] = (v[2] ^ 0xff) >>> 0
  for (let i = 0; i < 3; i++) round()
  return v[1] ^ v[3]
}

describe('the hash of names', () => {
  const word = fc.integer({ min: 0, max: 0xffffffff })

  it('is HalfSipHash-1-3, wherever the bytes stand', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.tuple(word, word), fc.nat(5), (bytes, by, before) => {
        const inside = new Uint8Array(before + bytes.length + 3).fill(9)
        inside.set(bytes, before)
        const expected = reference(bytes, by)
        expect(hashOf(bytes, by)).toBe(expected)
        expect(keyedHash(new DataView(inside.buffer), before, before + bytes.length, by)).toBe(expected)
      }),
    )
  })

  it('depends on its key: texts that agree under one do not under another', () => {
    const seen = new Map<number, Uint8Array>()
    const pairs: (readonly [Uint8Array, Uint8Array])[] = []
    for (let at = 0; at < 20_000; at++) {
      const text = new TextEncoder().encode(`/usr/lib/${at}`)
      const low = hashOf(text) & 0xffffff
      const other = seen.get(low)
      if (other !== undefined) pairs.push([other, text])
      seen.set(low, text)
    }
    expect(pairs.length).toBeGreaterThan(3)
    const still = pairs.filter(([one, two]) => hashOf(one, [1, 2]) === hashOf(two, [1, 2]))
    expect(still).toEqual([])
  })
})
