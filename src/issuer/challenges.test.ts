import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { countingRandom } from '../../test/support/issuing.ts'
import { Challenges } from './challenges.ts'

const table = (clock = new FakeClock(), capacity = 4) => new Challenges({ clock, random: countingRandom(), capacity })

describe('challenges of the verifier', () => {
  it('are 32 bytes, different, and redeemed once', () => {
    const challenges = table()
    const [first, second] = [challenges.issue(), challenges.issue()]
    expect([first.nonce.length, first.lifetimeS]).toEqual([32, 300])
    expect(first.nonce).not.toEqual(second.nonce)
    expect(challenges.redeem(first.nonce)).toBe(true)
    expect(challenges.redeem(first.nonce)).toBe(false)
    expect(challenges.redeem(second.nonce)).toBe(true)
  })

  it.each<[string, (nonce: Uint8Array) => Uint8Array]>([
    ['nothing', () => new Uint8Array(0)],
    ['zeros', () => new Uint8Array(32)],
    ['one byte less', (nonce) => nonce.subarray(1)],
    ['one byte more', (nonce) => new Uint8Array([...nonce, 0])],
    ['one other bit', (nonce) => nonce.map((byte, index) => (index === 31 ? byte ^ 1 : byte))],
  ])('are not redeemed by %s', (_, change) => {
    const challenges = table()
    const { nonce } = challenges.issue()
    expect(challenges.redeem(change(nonce))).toBe(false)
    expect(challenges.redeem(nonce)).toBe(true)
  })

  it('end after 300 s, in suspend too, whatever the wall clock says', async () => {
    const clock = new FakeClock()
    const challenges = table(clock)
    const nonces = [0, 1, 2].map(() => challenges.issue().nonce) as [Uint8Array, Uint8Array, Uint8Array]
    await clock.advance(299_999)
    expect(challenges.redeem(nonces[0])).toBe(true)
    clock.jump(-3_600_000)
    clock.suspend(1)
    expect(challenges.redeem(nonces[1])).toBe(false)
    expect(challenges.redeem(nonces[2])).toBe(false)
  })

  it('are bounded: a full table refuses new ones and keeps the old', async () => {
    const clock = new FakeClock()
    const challenges = table(clock, 2)
    const nonce = challenges.issue().nonce
    await clock.advance(1000)
    challenges.issue()
    expect(() => challenges.issue()).toThrow(expect.objectContaining({ code: 'CHALLENGES_EXHAUSTED', retryable: true }))
    expect(challenges.redeem(nonce)).toBe(true)
    challenges.issue()
    await clock.advance(300_000)
    expect([challenges.issue(), challenges.issue()]).toHaveLength(2)
  })

  it('are void after a snapshot was restored (BRK-63)', () => {
    const challenges = table()
    const { nonce } = challenges.issue()
    challenges.invalidateAll()
    expect(challenges.redeem(nonce)).toBe(false)
  })

  it('are not changed through the array that was handed out', () => {
    const challenges = table()
    const { nonce } = challenges.issue()
    const copy = Uint8Array.from(nonce)
    nonce.fill(0)
    expect(challenges.redeem(copy)).toBe(true)
  })
})
