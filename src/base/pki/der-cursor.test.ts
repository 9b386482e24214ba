import { describe, expect, it } from 'vitest'
import { MalformedError } from '../errors.ts'
import { type DerCursor, identifiers, openDer } from './der-cursor.ts'
import { dottedIdentifier } from './object-identifier.ts'

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
const open = (hex: string) => openDer(bytes(hex), 'x')
const text = (tag: number, value: string) =>
  Buffer.from([tag, value.length, ...Buffer.from(value, 'latin1')]).toString('hex')

describe('a cursor over DER', () => {
  it('reads elements in order, whole or their content, and knows the end', () => {
    const parts = open('30 0c 02 01 05 04 02 aa bb 30 03 01 01 ff').enter()
    expect(parts.next()).toBe(0x02)
    expect(parts.element()).toEqual(bytes('02 01 05'))
    expect(parts.content(identifiers.octetString)).toEqual(bytes('aa bb'))
    expect([parts.meets(identifiers.set), parts.meets(identifiers.sequence)]).toEqual([false, true])
    const inner = parts.enter()
    expect(inner.boolean()).toBe(true)
    expect([inner.atEnd, parts.atEnd, parts.next()]).toEqual([true, true, -1])
    expect(() => parts.requireEnd()).not.toThrow()
  })

  it('goes into an element that it gave, at its offset', () => {
    const parts = open('30 07 02 01 05 30 02 05 00').enter()
    parts.element()
    const inside = parts.inside(parts.element())
    expect(() => inside.content(identifiers.integer)).toThrow('x: does not have the structure of its type (at byte 7)')
  })

  it('reads long lengths', () => {
    const content = '00'.repeat(300)
    const parts = open(`30 82 01 30 04 82 01 2c ${content}`).enter()
    expect(parts.content(identifiers.octetString)).toHaveLength(300)
    parts.requireEnd()
  })

  it('tells the arc of an object identifier below another one, and leaves others where they are', () => {
    const parent = bytes('2a 86 48')
    const open1 = (hex: string) =>
      open(`30 ${(hex.replaceAll(' ', '').length / 2).toString(16).padStart(2, '0')} ${hex}`).enter()
    const below = open1('06 04 2a 86 48 07 05 00')
    expect([below.arcBelow(parent), below.next()]).toEqual([7, 0x05])
    for (const hex of ['06 03 2a 86 48', '06 05 2a 86 48 81 01', '06 04 2a 86 49 07', '04 04 2a 86 48 07', '']) {
      const other = open1(hex)
      expect([other.arcBelow(parent), other.at]).toEqual([null, 2])
    }
  })

  it('gives plain arrays for a Buffer in the middle of another one', () => {
    const whole = Buffer.from('ffff3003020105ff', 'hex')
    const content = openDer(whole.subarray(2, 7), 'x').enter().content(identifiers.integer)
    expect(content.constructor).toBe(Uint8Array)
    expect(content).toEqual(bytes('05'))
  })

  it.each<[string, string, (cursor: DerCursor) => unknown, string]>([
    ['an element of another type', '02 01 05', (cursor) => cursor.enter(), 'structure'],
    ['an element behind the end', '30 00', (cursor) => cursor.enter().element(), 'structure'],
    ['a content behind the end', '30 00', (cursor) => cursor.enter().content(2), 'structure'],
    ['what is left over', '30 02 05 00', (cursor) => cursor.enter().requireEnd(), 'structure'],
    ['a default that is written out', '01 01 00', (cursor) => cursor.flag(), 'canonical'],
    ['bits that are no octets', '03 02 04 f0', (cursor) => cursor.octetsOfBits(), 'canonical'],
    ['bits of another type', '04 01 00', (cursor) => cursor.octetsOfBits(), 'structure'],
    ['a time of another type', '02 01 00', (cursor) => cursor.time(), 'structure'],
    ['a day that does not exist', text(0x17, '250230000000Z'), (cursor) => cursor.time(), 'canonical'],
    ['an hour that does not exist', text(0x18, '20250101240000Z'), (cursor) => cursor.time(), 'canonical'],
    ['bytes behind the element', '05 00 00', (cursor) => cursor, 'left over'],
  ])('refuses %s', (_what, hex, read, says) => {
    expect(() => read(open(hex))).toThrow(MalformedError)
    expect(() => read(open(hex))).toThrow(says)
  })

  it('reads flags, bits and every item', () => {
    expect(open('30 00').enter().flag()).toBe(false)
    expect(open('01 01 ff').flag()).toBe(true)
    expect(open('03 03 00 aa bb').octetsOfBits()).toEqual(bytes('aa bb'))
    const list = open('30 06 06 01 2a 06 01 2b').enter()
    expect(list.each((cursor) => cursor.objectIdentifier())).toEqual(['1.2', '1.3'])
  })

  it.each<[string, number, number | null]>([
    ['02 01 00', 255, 0],
    ['02 01 7f', 255, 127],
    ['02 02 00 ff', 255, 255],
    ['02 02 01 00', 255, null],
    ['02 01 ff', 255, null],
    ['02 03 00 ff ff', 65_535, 65_535],
    ['02 07 00 ff ff ff ff ff ff', 2 ** 48, 2 ** 48 - 1],
    ['02 08 00 ff ff ff ff ff ff ff', Number.MAX_SAFE_INTEGER, null],
  ])('reads small integers: %s up to %i is %j', (hex, maximum, value) => {
    expect(open(hex).smallInteger(maximum)).toBe(value)
  })

  it.each<[string, number]>([
    [text(0x17, '500101000000Z'), Date.UTC(1950, 0, 1)],
    [text(0x17, '491231235959Z'), Date.UTC(2049, 11, 31, 23, 59, 59)],
    [text(0x18, '20500101000000Z'), Date.UTC(2050, 0, 1)],
    [text(0x18, '99991231235959Z'), Date.UTC(9999, 11, 31, 23, 59, 59)],
    [text(0x17, '000229120000Z'), Date.UTC(2000, 1, 29, 12)],
  ])('reads times: %s', (hex, time) => {
    expect(open(hex).time()).toBe(time)
  })
})

describe('object identifiers in dots', () => {
  it.each([
    ['00', '0.0'],
    ['27', '0.39'],
    ['28', '1.0'],
    ['4f', '1.39'],
    ['50', '2.0'],
    ['55 1d 13', '2.5.29.19'],
    ['88 37', '2.999'],
    ['2a 86 48 86 f8 4d 01 0d 01', '1.2.840.113741.1.13.1'],
    ['2a ff ff ff ff ff ff 7f', '1.2.562949953421311'],
    ['2a 81 80 80 80 80 80 80 80 00', '1.2.72057594037927936'],
    ['81 80 80 80 80 80 80 80 00', '2.72057594037927856'],
  ])('%s is %s', (hex, dotted) => {
    expect(dottedIdentifier(bytes(hex))).toBe(dotted)
  })
})
