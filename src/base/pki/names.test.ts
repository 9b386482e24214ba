import { describe, expect, it } from 'vitest'
import { implicit, objectIdentifier, sequence, set, tagged, utf8String } from '../../../mocks/tdx/der.ts'
import { concatBytes } from '../bytes.ts'
import { openDer } from './der-cursor.ts'
import { commonNameOf, parseName } from './distinguished-name.ts'
import { readGeneralNames } from './general-names.ts'

const attribute = (text: string) => sequence(objectIdentifier('2.5.4.3'), utf8String(text))
const nameOf = (count: number) => sequence(...Array.from({ length: count }, (_, at) => set(attribute(`${at}`))))

describe('a distinguished name', () => {
  it('has up to 128 attributes', () => {
    expect(parseName(nameOf(128)).attributes).toHaveLength(128)
    expect(() => parseName(nameOf(129))).toThrow('too long')
    expect(() => parseName(sequence(set(concatBytes(...Array.from({ length: 129 }, () => attribute('a'))))))).toThrow(
      'too long',
    )
  })

  it('has a common name only where it is the one, and not empty', () => {
    expect(commonNameOf(parseName(nameOf(1)))).toBe('0')
    expect(commonNameOf(parseName(nameOf(2)))).toBeNull()
    expect(commonNameOf(parseName(sequence(set(attribute('')))))).toBeNull()
    expect(commonNameOf(parseName(sequence(set(concatBytes(attribute('a'), attribute('b'))))))).toBeNull()
  })
})

describe('general names', () => {
  const read = (...names: Uint8Array[]) => readGeneralNames(openDer(sequence(...names), 'names').enter())

  it('may be addresses of IPv4 and IPv6, with a mask or without, and of no other length', () => {
    for (let size = 0; size <= 33; size++) {
      const address = implicit(7, new Uint8Array(size))
      if ([4, 8, 16, 32].includes(size)) expect(read(address).count).toBe(1)
      else expect(() => read(address)).toThrow('structure')
    }
  })

  it('are counted, and directory names among them decoded', () => {
    const names = read(implicit(2, Uint8Array.of(97)), tagged(4, nameOf(1)), implicit(6, Uint8Array.of(98)))
    expect([names.count, names.directoryNames.map(commonNameOf)]).toEqual([3, ['0']])
    expect(() => read(tagged(4, nameOf(1), nameOf(1)))).toThrow('structure')
    expect(() => read(implicit(9, new Uint8Array(1)))).toThrow('structure')
    expect(() => read(implicit(4, new Uint8Array(1)))).toThrow('structure')
  })
})
