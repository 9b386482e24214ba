import type { RandomSource } from '../../src/base/random.ts'

/** Chance that a seed decides: mulberry32. Equal seeds give equal bytes. */
export function seededRandom(seed: number): RandomSource {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  return (size) => Uint8Array.from({ length: size }, () => next() >>> 24)
}
