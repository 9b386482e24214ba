import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seededRandom } from './seeded-random.ts'
import { openTestHost } from './wiring/host.ts'

describe('chance that a seed decides (BRK-170)', () => {
  it('gives the same bytes to the same seed, however they are asked for, and others to another', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.array(fc.nat(100), { maxLength: 20 }), (seed, sizes) => {
        const whole = seededRandom(seed)(sizes.reduce((sum, size) => sum + size, 0))
        const random = seededRandom(seed)
        expect(Buffer.concat(sizes.map((size) => random(size)))).toEqual(Buffer.from(whole))
      }),
    )
    expect(seededRandom(1)(32)).not.toEqual(seededRandom(2)(32))
    expect(seededRandom(1)(32)).not.toEqual(seededRandom(11)(32))
  })

  it('is that of an agent in test mode, and without a seed nobody knows it', () => {
    expect(openTestHost(5).random(32)).toEqual(seededRandom(5)(32))
    expect(openTestHost(null).random(32)).not.toEqual(openTestHost(null).random(32))
  })

  it('does not repeat itself', () => {
    const random = seededRandom(7)
    const drawn = Array.from({ length: 10_000 }, () => Buffer.from(random(16)).toString('hex'))
    expect(new Set(drawn).size).toBe(10_000)
  })

  it('gives bytes of its own: nobody writes into the next ones', () => {
    const [one, other] = [seededRandom(3), seededRandom(3)]
    one(8).fill(0)
    other(8)
    expect(one(8)).toEqual(other(8))
  })
})
