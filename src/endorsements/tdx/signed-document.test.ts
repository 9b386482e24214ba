import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MalformedError } from '../../base/errors.ts'
import { cutSignedObject, longestSignedDocument, openSignedDocument } from './signed-document.ts'

const signature = 'ab'.repeat(64)
const bytes = (text: string) => new TextEncoder().encode(text)
const cut = (text: string) => cutSignedObject(bytes(text), 'tcbInfo')
const body = (inner: string) => `{"tcbInfo":${inner},"signature":"${signature}"}`

describe('the signed object of an answer (TDX-202, PCS-06)', () => {
  it.each([
    ['compact', '{"a":1}'],
    ['with white space inside', '{ "a" :\n 1 }'],
    ['empty', '{}'],
    ['with objects and lists in it', '{"a":{"b":[{"c":{}}]},"d":[]}'],
    ['with braces and quotation marks in strings', '{"a":"}{\\"}","\\\\":"\\\\"}'],
    ['with escapes that another encoder would write otherwise', '{"\\u0061":"\\/","é":"\\u00e9"}'],
    ['with numbers that another encoder would write otherwise', '{"a":1.0,"b":1e2}'],
  ])('is cut out as it stands: %s', (_what, inner) => {
    expect(cut(body(inner))).toEqual({ text: inner, signature })
  })

  it('is the same with white space around it, and behind its signature', () => {
    expect(cut(` { "tcbInfo" : {"a":1} , "signature" : "${signature}" } \n`).text).toBe('{"a":1}')
    expect(cut(`{"signature":"${signature}","tcbInfo":{"a":"{"}}`).text).toBe('{"a":"{"}')
  })

  it('has a signature of any case, given in lower case', () => {
    expect(cut(body('{}').replace(signature, signature.toUpperCase())).signature).toBe(signature)
  })

  it('is found by its own name', () => {
    const identity = body('{"id":"QE"}').replace('tcbInfo', 'enclaveIdentity')
    expect(cutSignedObject(bytes(identity), 'enclaveIdentity').text).toBe('{"id":"QE"}')
    expect(() => cut(identity)).toThrow(MalformedError)
  })

  it.each<[string, string, string]>([
    ['nothing', '', 'ends too early'],
    ['no object', '[]', 'not a JSON object'],
    ['no signature', '{"tcbInfo":{}}', 'signature'],
    ['a signature of 127 digits', body('{}').replace(signature, signature.slice(1)), '128 hexadecimal'],
    ['a signature that is not hexadecimal', body('{}').replace('ab', 'xy'), '128 hexadecimal'],
    ['an inner text in place of the object', body('"{}"'), 'is not an object'],
    ['a list in place of the object', body('[{}]'), 'is not an object'],
    ['the object twice', `{"tcbInfo":{"a":1},"tcbInfo":{},"signature":"${signature}"}`, 'duplicate'],
    [
      'the object twice, once with an escape',
      `{"tcbInfo":{},"tcb\\u0049nfo":{},"signature":"${signature}"}`,
      'duplicate',
    ],
    ['another member', `{"tcbInfo":{},"signature":"${signature}","x":{}}`, 'x: is not expected'],
    ['another object before it', `{"x":{},"tcbInfo":{},"signature":"${signature}"}`, 'x: is not expected'],
    ['text behind it', `${body('{}')}x`, 'behind the end'],
    ['a byte order mark', `\ufeff${body('{}')}`, 'byte order mark'],
  ])('is refused: %s', (_what, text, says) => {
    expect(() => cut(text)).toThrow(MalformedError)
    expect(() => cut(text)).toThrow(says)
  })

  it('is refused where it is not UTF-8', () => {
    expect(() => cutSignedObject(Uint8Array.of(...bytes(body('{}')), 0xff), 'tcbInfo')).toThrow('UTF-8')
  })

  it('is what the parser of JSON reads at that place, for any object', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat(3), (inner, space) => {
        const text = JSON.stringify(inner, null, space)
        expect(cut(body(text)).text).toBe(text)
      }),
    )
  })
})

describe('a signed document', () => {
  it('has at most 1 MiB', () => {
    const sized = (length: number) => `{}${' '.repeat(length - 2)}`
    expect(() => openSignedDocument(sized(longestSignedDocument), 'x')).not.toThrow()
    expect(() => openSignedDocument(sized(longestSignedDocument + 1), 'x')).toThrow('longer than 1 MiB')
  })

  it.each<[string, string]>([
    ['a member twice', '{"a":1,"a":1}'],
    ['a byte order mark', '\ufeff{}'],
    ['a comment', '{/* */}'],
    ['a comma at the end', '{"a":1,}'],
    ['a number with a leading zero', '{"a":01}'],
    ['text behind it', '{} {}'],
    ['33 levels', `{"a":${'['.repeat(32)}${']'.repeat(32)}}`],
  ])('is strict JSON: %s', (_what, text) => {
    expect(() => openSignedDocument(text, 'x')).toThrow(MalformedError)
  })

  it('may have 32 levels, and numbers of any form in members that are not read', () => {
    const deepest = `{"a":${'['.repeat(31)}${']'.repeat(31)}}`
    expect(() => openSignedDocument(deepest, 'x')).not.toThrow()
    expect(openSignedDocument('{"x":[1.5,1e999],"a":3}', 'x').integer('a', 3)).toBe(3)
  })

  it.each(['3.0', '3e0', '30e-1', '3.00000000000000000001', '-0', '1e400', '18446744073709551619'])(
    'has no integer that is written as %s (3.8.9)',
    (number) => {
      expect(() => openSignedDocument(`{"a":${number}}`, 'x').integer('a', Number.MAX_SAFE_INTEGER)).toThrow(
        MalformedError,
      )
    },
  )

  it('may have white space around it', () => {
    expect(openSignedDocument(' \r\n\t{"a":"b"}\n', 'x').text('a')).toBe('b')
  })
})
