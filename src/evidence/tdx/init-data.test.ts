import { describe, expect, it } from 'vitest'
import { isInitDataDigest } from './init-data.ts'

describe('init data (TDX-043)', () => {
  const digest = new Uint8Array(32).fill(7)
  const padded = Uint8Array.from([...digest, ...Array<number>(16).fill(0)])

  it('is in MRCONFIGID with zeros behind it', () => {
    expect(isInitDataDigest(padded, digest)).toBe(true)
    expect(isInitDataDigest(padded, padded)).toBe(true)
    expect(isInitDataDigest(new Uint8Array(48).fill(7), digest)).toBe(false)
    expect(isInitDataDigest(new Uint8Array(48), digest)).toBe(false)
    expect(isInitDataDigest(padded.subarray(0, 32), digest)).toBe(false)
    expect(() => isInitDataDigest(padded, new Uint8Array(49))).toThrow('49')
  })
})
