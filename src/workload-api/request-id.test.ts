import fc from 'fast-check'
import { expect, it } from 'vitest'
import { drawRequestId } from './request-id.ts'

/** RFC 4648 by arithmetic: the bits as one number, filled with zeros to a multiple of five. */
function base32(bytes: Uint8Array): string {
  const bits = BigInt(`0x${Buffer.from(bytes).toString('hex')}`) << 2n
  const digits = bits.toString(32).padStart(26, '0')
  return [...digits].map((digit) => 'abcdefghijklmnopqrstuvwxyz234567'[Number.parseInt(digit, 32)]).join('')
}

it('is 128 bits of chance in base32 (API-31)', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      const drawn: number[] = []
      const id = drawRequestId((size) => {
        drawn.push(size)
        return bytes
      })
      expect([id, drawn]).toEqual([base32(bytes), [16]])
    }),
  )
})
