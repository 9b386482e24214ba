import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MalformedError } from './errors.ts'
import { escapedName, parseEscapedName, shownName } from './escaped-name.ts'

const bytesOf = (text: string) => new TextEncoder().encode(text)

describe('names of files as text (IMA-22)', () => {
  it.each([
    ['', ''],
    ['/usr/bin/env', '/usr/bin/env'],
    ['a b~', 'a b~'],
    ['two\nlines', 'two\\nlines'],
    ['back\\slash', 'back\\\\slash'],
    ['\\n', '\\\\n'],
    ['\x1b[2J', '\\x1b[2J'],
    ['\x7f\r\t\0', '\\x7f\\x0d\\x09\\x00'],
    ['é', '\\xc3\\xa9'],
    ['\u202e', '\\xe2\\x80\\xae'],
  ])('%j is %j', (raw, escaped) => {
    expect(escapedName(bytesOf(raw))).toBe(escaped)
    expect(parseEscapedName(escaped)).toEqual(bytesOf(raw))
  })

  it('shows any bytes as printable ASCII from which they can be had again', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const text = escapedName(bytes)
        expect(text).toMatch(/^[ -~]*$/)
        expect(parseEscapedName(text)).toEqual(bytes)
      }),
    )
  })

  it('takes a text only if it is the one of its bytes', () => {
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.constantFrom('\\', 'n', 'x', '4', '1', 'a', 'A', '0', '\n'), { maxLength: 8 }).map((c) => c.join('')),
    )
    fc.assert(
      fc.property(texts, (text) => {
        try {
          expect(escapedName(parseEscapedName(text))).toBe(text)
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError)
        }
      }),
    )
  })

  it.each(['\\x41', '\\x5c', '\\x0a', '\\xC3', '\\', 'a\\', '\\t', '\\x1', '\n', 'é', '…', 'a\\x', '\\x0A'])(
    'refuses %j',
    (text) => {
      expect(() => parseEscapedName(text, 'files.path')).toThrow(MalformedError)
      expect(() => parseEscapedName(text, 'files.path')).toThrow('files.path: is not an escaped name')
    },
  )

  it('cuts what is shown and tells so', () => {
    const name = bytesOf('a'.repeat(256))
    expect(shownName(name)).toBe('a'.repeat(256))
    expect(shownName(bytesOf('a'.repeat(257)))).toBe(`${'a'.repeat(256)}… (257 bytes)`)
    expect(shownName(Uint8Array.of(10, 0, 1), 2)).toBe('\\n\\x00… (3 bytes)')
  })
})
