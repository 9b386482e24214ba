import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { equalBytes, samePublicBytes } from './bytes.ts'

describe('bytes', () => {
  it('are the same if no byte and no length differs', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(39), fc.integer({ min: 1, max: 255 }), (bytes, at, flip) => {
        const changed = bytes.map((byte, index) => (index === at ? byte ^ flip : byte))
        for (const same of [samePublicBytes, equalBytes]) {
          expect(same(bytes, bytes.slice())).toBe(true)
          expect(same(bytes, changed)).toBe(at >= bytes.length)
          expect(same(bytes, Uint8Array.of(...bytes, 0))).toBe(false)
          expect(same(Uint8Array.of(...bytes, 0), bytes)).toBe(false)
        }
      }),
    )
  })
})
