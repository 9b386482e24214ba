import { describe, expect, it } from 'vitest'
import { NewestFew } from './newest-few.ts'

/** Things that say how many were made before them. */
function room(most: number) {
  const few = new NewestFew<string>(most)
  let made = 0
  return (...keys: readonly string[]) => keys.map((key) => few.of(key, () => `${key}${made++}`))
}

describe('the newest few', () => {
  it('are made once each', () => {
    expect(room(3)('a', 'b', 'c', 'a', 'b', 'c')).toEqual(['a0', 'b1', 'c2', 'a0', 'b1', 'c2'])
  })

  it('are as many as may be kept and no more: what was made first makes place', () => {
    const of = room(2)
    expect(of('a', 'b', 'c')).toEqual(['a0', 'b1', 'c2'])
    expect(of('b', 'c', 'a')).toEqual(['b1', 'c2', 'a3'])
    expect(of('c', 'b')).toEqual(['c2', 'b4'])
  })

  it('are none that could not be made', () => {
    const few = new NewestFew<string>(2)
    const fail = () => {
      throw new Error('not now')
    }
    expect(() => few.of('a', fail)).toThrow('not now')
    expect(few.of('a', () => 'made')).toBe('made')
  })
})
