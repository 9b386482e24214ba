import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MalformedError } from '../../base/errors.ts'
import { canonicalJson } from '../../base/json.ts'
import { isUnicode } from '../claim.ts'
import { StepMeter } from '../step-meter.ts'
import { type Json, parseExactJson } from './exact-json.ts'
import { jsonText, utf8Length } from './json-text.ts'

const written = (value: Json, limit = 1e6) => jsonText(value, limit, new StepMeter(1e6))

function read(text: string): string {
  try {
    return written(parseExactJson(text, 'document'))
  } catch (error) {
    if (error instanceof MalformedError) return 'refused'
    throw error
  }
}

describe('numbers are exact (POL-401, POL-501)', () => {
  it.each([
    ['0', '0'],
    ['-0', '0'],
    ['-0.0', '0'],
    ['9007199254740991', '9007199254740991'],
    ['9007199254740993', '9007199254740993'],
    ['-9007199254740993', '-9007199254740993'],
    ['9223372036854775807', '9223372036854775807'],
    ['9223372036854775808', 'refused'],
    ['-9223372036854775808', '-9223372036854775808'],
    ['-9223372036854775809', 'refused'],
    [`1${'0'.repeat(100_000)}`, 'refused'],
    ['1.50', '1.5'],
    ['1.0', '1'],
    ['1e2', '100'],
    ['1E-2', '0.01'],
    ['1e21', '1e+21'],
    ['1e400', 'refused'],
    ['01', 'refused'],
    ['+1', 'refused'],
    ['.5', 'refused'],
    ['5.', 'refused'],
    ['NaN', 'refused'],
  ])('%s is %s', (text, result) => {
    expect(read(text)).toBe(result)
  })
})

describe('strict JSON (POL-501)', () => {
  it.each([
    ['{"a":1,"\\u0061":2}'],
    ['[1,]'],
    ['{"a":1,}'],
    ["{'a':1}"],
    ['"\\ud800"'],
    ['"\\udc00\\ud800"'],
    ['"\ud800"'],
    ['{"\\ud800":1}'],
    ['"\t"'],
    ['"\\x41"'],
    ['1 2'],
    [''],
    ['\ufeff1'],
    ['tru'],
    ['[1'],
    ['// no\n1'],
  ])('refuses %j', (text) => {
    expect(read(text)).toBe('refused')
  })

  it('nests 64 levels deep (n and n + 1), objects and arrays alike', () => {
    const nested = (levels: number) => `${'[{"a":'.repeat(levels / 2)}1${'}]'.repeat(levels / 2)}`
    expect(read(nested(64))).toBe(nested(64))
    expect(read(`[${nested(64)}]`)).toBe('refused')
    expect(read('['.repeat(1_000_000))).toBe('refused')
  })

  it('takes pairs of surrogates, escaped or not', () => {
    expect(read('"\\ud83d\\ude00😀"')).toBe('"😀😀"')
  })

  it('keeps members of the prototype apart', () => {
    expect(read('{"constructor":{"__proto__":1},"__proto__":2}')).toBe('{"__proto__":2,"constructor":{"__proto__":1}}')
  })
})

describe('RFC 8785 text', () => {
  it('is what the canonical writer of documents gives', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        const text = JSON.stringify(value)
        fc.pre(isUnicode(text))
        const integers = /(?:^|[[,:])-?[0-9]{16,}/.test(text)
        fc.pre(!integers)
        expect(read(text)).toBe(canonicalJson(JSON.parse(text)))
      }),
    )
  })

  it('sorts by UTF-16 unit, and writes control characters and quotes escaped', () => {
    expect(read('{"\\uffe0":1,"\\ud83d\\ude00":2,"10":3,"9":4}')).toBe('{"10":3,"9":4,"😀":2,"\uffe0":1}')
    expect(read('"\\u0000\\u001f\\b\\t\\n\\f\\r\\"\\\\\\/\\u007f\\u2028"')).toBe(
      '"\\u0000\\u001f\\b\\t\\n\\f\\r\\"\\\\/\u007f\u2028"',
    )
  })

  it('counts its bytes (POL-607)', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
        const text = canonicalJson(JSON.parse(JSON.stringify(value)))
        fc.pre(isUnicode(text) && !/(?:^|[[,:])-?[0-9]{16,}/.test(text))
        const bytes = new TextEncoder().encode(text).length
        const json = parseExactJson(text, 'document')
        expect(written(json, bytes)).toBe(text)
        expect(() => written(json, bytes - 1)).toThrow('bytes')
      }),
    )
  })
})

describe('bytes of UTF-8', () => {
  it('are those of an encoder', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        fc.pre(isUnicode(text))
        expect(utf8Length(text)).toBe(new TextEncoder().encode(text).length)
      }),
    )
  })
})
