import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type JsonValue, parseJson } from './json.ts'
import { parsePlainJson } from './plain-json.ts'

const limits = { maxDepth: 4, maxItems: 3, maxValues: 8 }
const wide = { maxDepth: 32, maxItems: 1_000, maxValues: 20_000 }

/** What the strict reader says with the same limits; undefined where it throws. */
function strictly(text: string): JsonValue | undefined {
  try {
    return parseJson(text, 'x', { ...wide, fractionsAsNaN: true })
  } catch {
    return undefined
  }
}

describe('plain JSON', () => {
  it.each([
    ['an object', ' {"a":[1,-2,{"b":"c, d: e.f"}],"":null}\r\n'],
    ['literals without the letter of an exponent', '[null]'],
    ['the largest integer', '9007199254740991'],
    ['a member with the name of the prototype', '{"__proto__":{"a":1}}'],
    ['no prototype of its members', '{"constructor":1}'],
  ])('reads %s as the strict reader does', (_what, text) => {
    const value = parsePlainJson(text, wide)
    expect(value).toBeDefined()
    expect(JSON.stringify(value)).toBe(JSON.stringify(parseJson(text, 'x')))
  })

  it.each([
    ['an escape', '"\\u0041"'],
    ['a fraction', '[1.0]'],
    ['an exponent', '[1e2]'],
    ['an exponent in upper case', '[1E2]'],
    ['an integer that no double holds', '9007199254740993'],
    ['a literal with the letter of an exponent', '[true]'],
    ['a repeated member', '{"a":1,"b":2,"a":1}'],
    ['a repeated member further inside', '[{"a":{"b":1,"b":1}}]'],
    ['a repeated member whose colon a string seems to have', '{"a":1,"a":":"}'],
    ['no JSON', '{"a":1,}'],
    ['nothing', ''],
    ['a byte order mark', '\ufeff{}'],
    ['text behind the end', '{}{}'],
    ['a control character in a string', '"\n"'],
  ])('leaves %s to the strict reader', (_what, text) => {
    expect(parsePlainJson(text, wide)).toBeUndefined()
  })

  it.each([
    ['depth', '[[[[1]]]]', '[[[[[]]]]]'],
    ['depth of objects', '{"a":{"a":{"a":{}}}}', '{"a":{"a":{"a":{"a":{}}}}}'],
    ['items', '[1,2,3]', '[1,2,3,4]'],
    ['members', '{"a":1,"b":2,"c":3}', '{"a":1,"b":2,"c":3,"d":4}'],
    ['values', '[[1,2,3],[1,2]]', '[[1,2,3],[1,2,3]]'],
  ])('has a limit of %s', (_what, within, beyond) => {
    expect(parsePlainJson(within, limits)).toBeDefined()
    expect(parsePlainJson(beyond, limits)).toBeUndefined()
  })

  it('says what the strict reader says, or nothing', () => {
    const part = fc.oneof(
      fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '"a"', '"b"', ' ', '0', '-', '1.5', 'e', 'null', 'true', '\\'),
      fc.json({ depthSize: 'small' }),
    )
    const text = fc.oneof(
      fc.json(),
      fc.array(part, { maxLength: 12 }).map((parts) => parts.join('')),
    )
    fc.assert(
      fc.property(text, (candidate) => {
        const plain = parsePlainJson(candidate, wide)
        if (plain !== undefined) expect(JSON.stringify(plain)).toBe(JSON.stringify(strictly(candidate)))
      }),
      { numRuns: 2_000 },
    )
  })

  it('is what the strict reader reads wherever there are only plain values', () => {
    const plainText = fc.string({ unit: fc.constantFrom('a', 'Z', '9', ':', '.', ' ', '{', ']') })
    const { tree } = fc.letrec<{ tree: JsonValue }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 3 },
        fc.oneof(fc.constant(null), fc.maxSafeInteger(), plainText),
        fc.array(tie('tree'), { maxLength: 4 }),
        fc.dictionary(plainText, tie('tree'), { maxKeys: 4 }),
      ),
    }))
    fc.assert(
      fc.property(tree, (value) => {
        const text = JSON.stringify(value)
        expect(JSON.stringify(parsePlainJson(text, wide))).toBe(JSON.stringify(strictly(text)))
      }),
    )
  })
})
