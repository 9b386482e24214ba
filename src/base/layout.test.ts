import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MalformedError } from './errors.ts'
import {
  bytesOf,
  constant,
  encode,
  listOf,
  parse,
  parsePrefix,
  rest,
  sized,
  sizedBytes,
  struct,
  tagged,
  traceFields,
  u8,
  u16be,
  u32be,
  u32le,
  u64le,
} from './layout.ts'

const quote = struct({ version: u16be, signatureData: sizedBytes(u32be, { max: 8192 }) })

function problemOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof MalformedError) return error.message
    throw error
  }
  return 'nothing'
}

describe('a declared layout', () => {
  it('names path, need, rest and offset when bytes are missing', () => {
    const bytes = Uint8Array.from([0, 4, 0, 0, 0x10, 0xcc, 1, 2, 3])
    expect(problemOf(() => parse(quote, bytes, 'quote'))).toBe(
      'quote.signatureData: needs 4300 bytes, has 3 (at byte 6)',
    )
  })

  it('refuses bytes left over, hostile lengths and unknown tags', () => {
    const choice = tagged('type', u8, { a: [1, struct({ x: u8 })], b: [2, struct({ y: u16be })] })
    expect(problemOf(() => parse(u8, Uint8Array.of(1, 2), 'flag'))).toBe('flag: 1 bytes left over (at byte 1)')
    expect(problemOf(() => parse(quote, Uint8Array.from([0, 4, 0xff, 0xff, 0xff, 0xff]), 'quote'))).toContain(
      'above the limit 8192',
    )
    expect(problemOf(() => parse(choice, Uint8Array.of(3, 0), 'choice'))).toContain(
      'type 0x0003 is not known (at byte 0)',
    )
    expect(problemOf(() => parse(constant(u8, 1), Uint8Array.of(2), 'v'))).toBe('v: is 0x2, must be 0x1 (at byte 0)')
    expect(parse(choice, Uint8Array.of(2, 1, 0), 'choice')).toEqual({ type: 'b', y: 256 })
  })

  it('keeps its bounds at n, and at one below and above', () => {
    const bounds = { min: 2, max: 3 }
    const layouts = [sizedBytes(u8, bounds), sized(u8, rest, bounds), listOf(u8, u8, bounds)]
    for (const layout of layouts) {
      const read = (count: number) => () => parse<unknown>(layout, Uint8Array.of(count, ...Array(count).fill(7)), 'x')
      expect([2, 3].map((count) => problemOf(read(count)))).toEqual(['nothing', 'nothing'])
      expect(problemOf(read(1))).toContain('length 1 is below the minimum 2')
      expect(problemOf(read(4))).toContain('length 4 is above the limit 3')
    }
  })

  it('requires a sized container to be consumed exactly', () => {
    const container = sized(u16be, struct({ x: u16be }))
    expect(problemOf(() => parse(container, Uint8Array.of(0, 3, 0, 1, 9), 'c'))).toBe(
      'c: 1 bytes left over (at byte 4)',
    )
    expect(problemOf(() => parse(container, Uint8Array.of(0, 1, 0, 1), 'c'))).toBe(
      'c.x: needs 2 bytes, has 1 (at byte 2)',
    )
  })

  it('reads a prefix and says how long it was', () => {
    expect(parsePrefix(u32le, Uint8Array.of(1, 0, 0, 0, 7), 'n')).toEqual({ value: 1, size: 4 })
  })

  it('refuses to write what does not fit', () => {
    expect(() => encode(struct({ a: u8 }), { a: 256 }, 'm')).toThrow(
      new RangeError('m.a: 256 does not fit into 1 bytes'),
    )
    expect(() => encode(bytesOf(4), Uint8Array.of(1), 'm')).toThrow(RangeError)
  })

  it('of fields of fixed sizes says as well which field is cut', () => {
    const layout = struct({ a: u8, b: struct({ c: u16be, d: bytesOf(4) }) })
    expect(layout.fixedSize).toBe(7)
    expect(struct({ a: layout, b: sizedBytes(u8) }).fixedSize).toBeUndefined()
    expect(parse(layout, new Uint8Array(7), 'm')).toEqual({ a: 0, b: { c: 0, d: new Uint8Array(4) } })
    expect(() => parse(layout, new Uint8Array(6), 'm')).toThrow('m.b.d: needs 4 bytes, has 3 (at byte 3)')
    expect(() => parse(layout, new Uint8Array(2), 'm')).toThrow('m.b.c: needs 2 bytes, has 1 (at byte 1)')
    const inside = struct({ x: sized(u8, layout) })
    expect(() => parse(inside, Uint8Array.of(6, 0, 0, 0, 0, 0, 0, 0), 'm')).toThrow('m.x.b.d: needs 4 bytes, has 3')
    const { fields } = traceFields(layout, new Uint8Array(7), 'm')
    expect(fields.map(({ path }) => path.join('.'))).toEqual(['a', 'b', 'b.c', 'b.d'])
  })

  it('tells every field with offset and size, as far as reading got', () => {
    const layout = struct({ a: u8, b: struct({ c: u16be }), d: sizedBytes(u8) })
    const whole = traceFields(layout, Uint8Array.of(1, 0, 2, 1, 9), 'm')
    expect(whole.fields.map(({ path, offset, size }) => [path.join('.'), offset, size])).toEqual([
      ['a', 0, 1],
      ['b', 1, 2],
      ['b.c', 1, 2],
      ['d', 3, 2],
    ])
    const cut = traceFields(layout, Uint8Array.of(1, 0), 'm')
    expect(cut.fields.map(({ path, size }) => [path.join('.'), size])).toEqual([
      ['a', 1],
      ['b', -1],
      ['b.c', -1],
    ])
    expect(cut.error?.message).toBe('m.b.c: needs 2 bytes, has 1 (at byte 1)')
  })

  it('gives back what was written, for every value', () => {
    const layout = struct({ n: u64le, items: listOf(u16be, struct({ a: u32be, b: sizedBytes(u8) }), { max: 9 }) })
    const item = fc.record({ a: fc.nat(0xffffffff), b: fc.uint8Array({ maxLength: 255 }) })
    fc.assert(
      fc.property(
        fc.record({ n: fc.bigInt(0n, (1n << 64n) - 1n), items: fc.array(item, { maxLength: 9 }) }),
        (value) => {
          expect(parse(layout, encode(layout, value), 'm')).toEqual(value)
        },
      ),
    )
  })

  it('answers or throws MalformedError, whatever the bytes', () => {
    const layout = struct({ items: listOf(u16be, quote, { max: 100 }), tail: sized(u8, quote) })
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => void problemOf(() => parse(layout, bytes, 'm'))))
  })
})
