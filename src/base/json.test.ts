import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MalformedError } from './errors.ts'
import { canonicalJson, parseJson } from './json.ts'

const refused = (text: string | Uint8Array, limits = {}) => {
  try {
    parseJson(text, 'body', limits)
  } catch (error) {
    expect(error).toBeInstanceOf(MalformedError)
    return (error as Error).message
  }
  return 'accepted'
}

describe('strict JSON', () => {
  it.each([
    ['{"a":1,"a":2}', 'duplicate member "a" (line 1, column 8)'],
    ['{"a":{"b":1,"b":2}}', 'duplicate member "b"'],
    ['{"a":1,"\\u0061":2}', 'duplicate member "a"'],
    ['{\n  "a": 1,\n}', 'expected a member name in double quotes (line 3, column 1)'],
    ['[1,]', 'expected a value (line 1, column 4)'],
    ['{"a":1} x', 'text behind the end'],
    ['"\u0001"', 'control character'],
    ['"abc', 'without an end'],
    ['"\\x"', 'escape'],
    ['01', 'text behind the end'],
    ['1e400', 'out of range'],
    ['', 'ends too early'],
    ['nul', 'expected a value'],
    ['[1 2]', "expected ',' or ']'"],
    ['\ufeff{}', 'expected a value'],
  ])('refuses %j', (text, says) => {
    expect(refused(text)).toContain(says)
  })

  it('shows no more than the start of a long name', () => {
    const name = 'a'.repeat(100_000)
    expect(refused(`{"${name}":1,"${name}":2}`).length).toBeLessThan(200)
  })

  it('refuses bytes that are not UTF-8, and a byte order mark', () => {
    expect(refused(Uint8Array.of(0x22, 0xff, 0x22))).toContain('not valid UTF-8')
    expect(refused(Uint8Array.of(0xef, 0xbb, 0xbf, 0x7b, 0x7d))).toContain('byte order mark')
  })

  it('keeps its limits at n and n + 1', () => {
    expect(refused('[[[]]]', { maxDepth: 3 })).toBe('accepted')
    expect(refused('[[[]]]', { maxDepth: 2 })).toContain('nested deeper than 2')
    expect(refused('[1,2]', { maxItems: 2 })).toBe('accepted')
    expect(refused('[1,2,3]', { maxItems: 2 })).toContain('more than 2 items')
    expect(refused(`${'['.repeat(1e5)}`)).toContain('nested deeper')
    expect(refused('[1,{"a":[2]}]', { maxValues: 5 })).toBe('accepted')
    expect(refused('[1,{"a":[2]}]', { maxValues: 4 })).toContain('more than 4 values (line 1, column 10)')
  })

  it('takes at most 200 000 values, however they nest', () => {
    const row = (count: number) => `[${Array.from({ length: count }, () => '{}').join()}]`
    expect(refused(`[${row(99_999)},${row(99_998)}]`)).toBe('accepted')
    expect(refused(`[${row(99_999)},${row(99_999)}]`)).toContain('more than 200000 values')
  })

  it.each([
    ['line ends before an error', `${'\n'.repeat(4e6)}x`, '(line 4000001, column 1)'],
    ['escapes', `"${'\\n\\u0041'.repeat(5e5)}\\x"`, 'escape that JSON does not have (line 1, column 4000002)'],
  ])('answers quickly for millions of %s', (_what, text, says) => {
    const begun = process.cpuUsage()
    expect(refused(text)).toContain(says)
    expect(process.cpuUsage(begun).user).toBeLessThan(2_000_000)
  })

  it.each([
    ['"\\u004"', 'escape'],
    ['"\\u00g1"', 'escape'],
    ['"\\', 'escape'],
    ['"a\\"', 'without an end'],
    ['"\\n\n"', 'control character in a string (line 1, column 4)'],
    ['"\\n\u0000"', 'control character'],
  ])('refuses %j, behind an escape as well', (text, says) => {
    expect(refused(text)).toContain(says)
  })

  it('decodes every escape', () => {
    const text = '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u20aC\\ud83d\\ude00 \\ud800."'
    expect(parseJson(text, 'body')).toBe('"\\/\b\f\n\r\t\u20ac\u{1f600} \ud800.')
    expect(parseJson('["", "x", "\\u0000"]', 'body')).toEqual(['', 'x', '\0'])
  })

  it.each(['1.0', '1e3', '9007199254740993', '-0.5'])('refuses %s where integers are asked for', (text) => {
    expect(refused(text, { integersOnly: true })).toContain('not an integer')
    expect(refused(text)).toBe('accepted')
  })

  it('reads an overflow as an infinity where that is asked for, and not among integers', () => {
    expect(parseJson('[1e400,-1e400]', 'body', { allowOverflow: true })).toEqual([Infinity, -Infinity])
    expect(refused('1e400', { allowOverflow: true, integersOnly: true })).toContain('not an integer')
  })

  it('reads what is no integer as NaN where that is asked for', () => {
    const numbers = '[1,-1,9007199254740991,1.0,1e0,255.00000000000000001,9007199254740993,1e400]'
    expect(parseJson(numbers, 'body', { fractionsAsNaN: true })).toEqual([
      ...[1, -1, 9007199254740991],
      ...Array(5).fill(Number.NaN),
    ])
  })

  it('keeps prototype names as plain members, or refuses them', () => {
    expect(Object.keys(parseJson('{"__proto__":{"x":1}}', 'body') as object)).toEqual(['__proto__'])
    expect(refused('{"a":{"constructor":1}}', { refusePrototypeNames: true })).toContain('is refused')
  })

  it('agrees with JSON.parse on every document without duplicates', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value, null, 2)
        expect(JSON.stringify(parseJson(text, 'body'))).toBe(JSON.stringify(JSON.parse(text)))
      }),
    )
  })

  it('accepts nothing that JSON.parse refuses', () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), fc.string({ maxLength: 2 }), (text, at, insert) => {
        const edited = text.slice(0, at % (text.length + 1)) + insert + text.slice((at % (text.length + 1)) + 1)
        if (refused(edited) === 'accepted') expect(() => JSON.parse(edited)).not.toThrow()
      }),
      { numRuns: 2000 },
    )
  })
})

describe('canonical JSON (RFC 8785)', () => {
  it('sorts by code unit and adds no white space', () => {
    expect(canonicalJson({ b: 1, a: 'test', c: { d: 'e' }, '\u20ac': [1e21, 0.5, null] })).toBe(
      '{"a":"test","b":1,"c":{"d":"e"},"€":[1e+21,0.5,null]}',
    )
  })
})
