import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sliceOfJson } from './json-span.ts'

describe('a slice of JSON text', () => {
  it.each([
    ['{"a":{"b":1}}', ['a'], '{"b":1}'],
    ['{"a":{"b":1}}', ['a', 'b'], '1'],
    [' { "a" : [ 1 , "]}" , { "x" : "\\"" } ] } ', ['a', 2], '{ "x" : "\\"" }'],
    ['{"\\u0061":true}', ['a'], 'true'],
    ['[[],{}]', [1], '{}'],
    ['[1]', [], '[1]'],
    [' 7 ', [], '7'],
  ] as const)('%s at %j', (text, path, slice) => {
    expect(sliceOfJson(text, path)).toBe(slice)
  })

  it.each([
    ['{"a":1}', ['b']],
    ['{"a":1}', [0]],
    ['[1]', [1]],
    ['[1]', ['0']],
    ['{"a":1}', ['a', 'b']],
    ['{}', ['a']],
  ] as const)('%s has nothing at %j', (text, path) => {
    expect(sliceOfJson(text, path)).toBeNull()
  })

  it('parses to the value that is there, whatever the document and its white space', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(0, 1, 2), (value, indent) => {
        const text = JSON.stringify(value, null, indent)
        const visit = (part: unknown, path: readonly (string | number)[]): void => {
          const slice = sliceOfJson(text, path)
          expect(slice === null ? undefined : JSON.parse(slice)).toEqual(JSON.parse(JSON.stringify(part)))
          if (typeof part !== 'object' || part === null) return
          const isList = Array.isArray(part)
          for (const [name, child] of Object.entries(part)) visit(child, [...path, isList ? Number(name) : name])
        }
        visit(value, [])
      }),
      { numRuns: 200 },
    )
  })
})
