import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MalformedError } from '../errors.ts'
import { contentOfElement, measureElement, requireDer } from './der.ts'

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
const judge = (hex: string) => {
  try {
    requireDer(bytes(hex), 'x')
    return 'DER'
  } catch (error) {
    if (error instanceof MalformedError) return error.message
    throw error
  }
}
/** Times and other texts as an element with this tag. */
const text = (tag: number, value: string) =>
  Buffer.from([tag, value.length, ...Buffer.from(value, 'latin1')]).toString('hex')

describe('DER', () => {
  it.each([
    ['an empty sequence', '30 00'],
    ['a boolean', '01 01 ff'],
    ['zero', '02 01 00'],
    ['an integer that needs its zero octet', '02 02 00 80'],
    ['a negative integer', '02 02 ff 7f'],
    ['an empty bit string', '03 01 00'],
    ['a bit string with unused bits', '03 02 07 80'],
    ['an object identifier with long arcs', '06 03 2a 86 48'],
    ['a set in order', '31 06 02 01 01 02 01 02'],
    ['a set with equal elements', '31 06 02 01 01 02 01 01'],
    ['a length of 128 bytes', `04 81 80 ${'00'.repeat(128)}`],
    ['a length of 256 bytes', `04 82 01 00 ${'00'.repeat(256)}`],
    ['a UTC time', text(0x17, '260101000000Z')],
    ['a generalized time', text(0x18, '99991231235959Z')],
    ['a context tag with content', 'a0 03 02 01 02'],
    ['an opaque implicit primitive', '82 02 00 00'],
    ['UTF-8', '0c 02 c3 a4'],
    ['a BMPString', '1e 02 00 41'],
    ['a UniversalString', '1c 04 00 00 00 41'],
  ])('takes %s', (_what, hex) => {
    expect(judge(hex)).toBe('DER')
  })

  it.each([
    ['nothing', '', 'needs 1 bytes, has 0'],
    ['bytes behind the element', '30 00 00', '1 bytes left over'],
    ['an indefinite length', '30 80 00 00', 'indefinite'],
    ['a long form for a short length', '04 81 01 00', 'not minimal'],
    ['a length with a leading zero', `04 82 00 80 ${'00'.repeat(128)}`, 'not minimal'],
    ['a length of five bytes', '04 85 01 00 00 00 00', 'more than 4 bytes'],
    ['a length beyond the end', '04 02 00', 'needs 2 bytes, has 1'],
    ['a child that is longer than its parent', '30 03 04 02 00', 'needs 2 bytes, has 1'],
    ['a high tag number', '1f 81 00 00', 'above 30'],
    ['a constructed octet string', '24 00', 'wrong one'],
    ['a primitive sequence', '10 00', 'wrong one'],
    ['a boolean of 01', '01 01 01', '00 or FF'],
    ['a boolean of two bytes', '01 02 ff ff', '00 or FF'],
    ['an integer without content', '02 00', 'integer is empty'],
    ['an integer with a superfluous zero octet', '02 02 00 7f', 'integer is not minimal'],
    ['an integer with a superfluous sign octet', '02 02 ff 80', 'integer is not minimal'],
    ['an enumerated with a superfluous zero octet', '0a 02 00 01', 'integer is not minimal'],
    ['a bit string without its first octet', '03 00', 'bit string is empty'],
    ['eight unused bits', '03 02 08 00', 'bit string'],
    ['unused bits of nothing', '03 01 01', 'bit string'],
    ['unused bits that are set', '03 02 01 01', 'unused bits'],
    ['an object identifier without arcs', '06 00', 'cut'],
    ['an object identifier that is cut', '06 02 2a 86', 'cut'],
    ['an arc with leading zeros', '06 03 2a 80 01', 'not minimal'],
    ['an object identifier that begins with padding', '06 02 80 01', 'not minimal'],
    ['null with content', '05 01 00', 'null'],
    ['a set that is not sorted', '31 06 02 01 02 02 01 01', 'sorted'],
    ['a UTC time without seconds', text(0x17, '2601010000Z'), 'YYMMDDHHMMSSZ'],
    ['a UTC time with an offset', text(0x17, '260101000000+0100'), 'YYMMDDHHMMSSZ'],
    ['a generalized time with a fraction', text(0x18, '20260101000000.5Z'), 'YYYYMMDDHHMMSSZ'],
    ['a generalized time in local time', text(0x18, '20260101000000'), 'YYYYMMDDHHMMSSZ'],
    ['broken UTF-8', '0c 01 c3', 'UTF-8'],
    ['an IA5String with high bytes', '16 01 c3', 'ASCII'],
    ['a PrintableString with high bytes', '13 01 80', 'ASCII'],
    ['a UniversalString of three bytes', '1c 03 00 00 00', 'within a character'],
    ['a BMPString of one byte', '1e 01 00', 'within a character'],
    ['a real number', '09 00', 'does not occur'],
    ['end-of-contents', '00 00', 'does not occur'],
  ])('refuses %s', (_what, hex, says) => {
    expect(judge(hex)).toContain(says)
  })

  it('names the byte offset of the element that is wrong', () => {
    expect(judge('30 06 02 01 00 01 01 01')).toBe('x: boolean is not 00 or FF (at byte 5)')
  })

  it('nests 16 levels deep and not deeper', () => {
    const nested = (levels: number) => {
      let hex = '0500'
      for (let level = 0; level < levels; level++) {
        const size = hex.length / 2
        hex = `30${size < 128 ? size.toString(16).padStart(2, '0') : `81${size.toString(16)}`}${hex}`
      }
      return hex
    }
    expect(judge(nested(16))).toBe('DER')
    expect(judge(nested(17))).toContain('deeper')
  })

  it('has object identifiers of 128 bytes and none longer', () => {
    expect(judge(`06 81 80 ${'01'.repeat(128)}`)).toBe('DER')
    expect(judge(`06 81 81 ${'01'.repeat(129)}`)).toContain('longer than 128 bytes')
  })

  it('has as many elements as the caller takes, those inside of elements counted', () => {
    const four = bytes('30 07 30 02 05 00 02 01 00')
    expect(() => requireDer(four, 'x', 4)).not.toThrow()
    expect(() => requireDer(four, 'x', 3)).toThrow('x: has too many elements (at byte 6)')
  })

  it('answers for any bytes with nothing but MalformedError', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 64 }),
        (random) => typeof judge(Buffer.from(random).toString('hex')) === 'string',
      ),
    )
  })

  it('judges an object identifier by its own bytes, not by what follows', () => {
    expect(judge('30 05 06 01 2a 80 00')).toBe('DER')
  })

  it('gives the content of the first element, whatever it is', () => {
    expect(contentOfElement(bytes('30 03 01 01 ff 00 00'), 'x')).toEqual(new Uint8Array(bytes('01 01 ff')))
    expect(contentOfElement(bytes('30 02 ff ff'), 'x')).toEqual(new Uint8Array(bytes('ff ff')))
    expect(() => contentOfElement(bytes('30 03 01 01'), 'x')).toThrow('x: needs 5 bytes, has 4')
    expect(() => contentOfElement(bytes(''), 'x')).toThrow(MalformedError)
  })

  it('measures the first element', () => {
    expect(measureElement(bytes('30 03 01 01 ff 00 00'), 'x')).toBe(5)
    expect(() => measureElement(bytes('30'), 'x')).toThrow(MalformedError)
  })
})
