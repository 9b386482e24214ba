import { createHash } from 'node:crypto'
import type { RandomSource } from '../base/random.ts'

/**
 * Chance that a seed decides, for tests of agents whose devices are simulated (BRK-170): equal seeds give equal bytes to
 * equal questions in equal order. `seed` is a whole number from 0 to 2^53 - 1, and no secret; nor is what comes of it. Keys of issuers
 * are not made of it.
 */
export function seededRandom(seed: number): RandomSource {
  let block = 0
  let left = Buffer.alloc(0)
  return (size) => {
    while (left.length < size) {
      left = Buffer.concat([left, createHash('sha256').update(`attestd test ${seed} ${block++}`).digest()])
    }
    const taken = new Uint8Array(left.subarray(0, size))
    left = left.subarray(size)
    return taken
  }
}
