import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MalformedError } from '../errors.ts'
import { type DecodedBlock, encodePem, findPem, parsePem, parsePemBlocks } from './pem.ts'

const content = Uint8Array.from({ length: 100 }, (_, at) => at)
const pem = encodePem(content, 'CERTIFICATE')
const body = pem.split('\n').slice(1, -2)
const begin = '-----BEGIN CERTIFICATE-----'
const end = '-----END CERTIFICATE-----'
const block = (...lines: string[]) => [begin, ...lines, end, ''].join('\n')

describe('a PEM block', () => {
  it.each([
    ['with LF', pem],
    ['with CRLF', pem.replaceAll('\n', '\r\n')],
    ['without a line end behind it', pem.trimEnd()],
    ['with NULs behind it', `${pem}\0\0`],
    ['with a NUL directly behind END', `${pem.trimEnd()}\0`],
    ['with lines of 76 characters', block(body.join('').slice(0, 76), body.join('').slice(76))],
  ])('%s is read', (_what, text) => {
    expect(parsePem(text, 'CERTIFICATE')).toEqual(content)
  })

  it.each([
    ['of another label', pem.replaceAll('CERTIFICATE', 'X509 CRL')],
    ['that ends with another label', pem.replace('END CERTIFICATE', 'END X509 CRL')],
    ['behind text', `hello\n${pem}`],
    ['behind an empty line', `\n${pem}`],
    ['before text', `${pem}hello`],
    ['before a space', `${pem} `],
    ['without END', pem.replace(`${end}\n`, '')],
    ['without BEGIN', pem.replace(`${begin}\n`, '')],
    ['with an empty line inside', block(body[0] ?? '', '', body[1] ?? '')],
    ['with a header', block('Proc-Type: 4,ENCRYPTED', '', ...body)],
    ['with a line of 77 characters', block(body.join('').slice(0, 77), body.join('').slice(77))],
    ['with a space at the end of a line', block(...body.map((line) => `${line} `))],
    ['with base64url', block('-_-_')],
    ['with base64 that is not canonical', block('QUJ=')],
    ['with padding missing', block('QUI')],
    ['with padding inside', block('QUI=', 'QUJD')],
    ['without content', block()],
    ['with a character whose low byte is base64', block(body.join('').replace('A', '\u0141'))],
    ['behind a NUL', `\0${pem}`],
    ['inside of a block', block(begin, ...body)],
    ['that is empty text', ''],
  ])('%s is refused', (_what, text) => {
    expect(() => parsePem(text, 'CERTIFICATE')).toThrow(MalformedError)
  })

  it('decodes to what was encoded', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (bytes) => {
        expect(parsePem(encodePem(bytes, 'X'), 'X')).toEqual(bytes)
      }),
    )
  })
})

describe('several blocks', () => {
  it('are read in order, with CR, LF and NUL between them', () => {
    const second = encodePem(Uint8Array.of(1), 'CERTIFICATE')
    expect(parsePemBlocks(`${pem}\r\n\n\0\n${second}`, 'CERTIFICATE')).toEqual([content, Uint8Array.of(1)])
    expect(() => parsePem(pem + second, 'CERTIFICATE')).toThrow('2 blocks')
    expect(() => parsePemBlocks(`${pem}text\n${second}`, 'CERTIFICATE')).toThrow('outside')
  })

  it('that are equal are one array, and a damaged one beside them is still refused', () => {
    const known: DecodedBlock[] = []
    const [first, second] = parsePemBlocks(pem + pem, 'CERTIFICATE', {}, known)
    const [third] = parsePemBlocks(pem, 'CERTIFICATE', {}, known)
    expect(first).toEqual(content)
    expect([second === first, third === first]).toEqual([true, true])
    const withEmptyLine = pem.replace('\n-----END', '\n\n-----END')
    expect(() => parsePemBlocks(withEmptyLine, 'CERTIFICATE', {}, known)).toThrow('a line that is empty')
    expect(() => parsePemBlocks(pem.replace('AAEC', 'AAE!'), 'CERTIFICATE', {}, known)).toThrow('base64')
    const withCarriageReturns = pem.replaceAll('\n', '\r\n')
    expect(parsePemBlocks(withCarriageReturns, 'CERTIFICATE', {}, known)).toEqual([content])
  })

  it('may end with a whole line', () => {
    for (const size of [46, 47, 48, 49, 95, 96, 97]) {
      const bytes = content.subarray(0, size)
      expect(parsePemBlocks(encodePem(bytes, 'CERTIFICATE'), 'CERTIFICATE')).toEqual([bytes])
    }
  })

  it('are limited in number and size', () => {
    expect(parsePemBlocks(pem.repeat(16), 'CERTIFICATE')).toHaveLength(16)
    expect(() => parsePemBlocks(pem.repeat(17), 'CERTIFICATE')).toThrow('more than 16 blocks')
    expect(() => parsePemBlocks(pem, 'CERTIFICATE', { characters: pem.length - 1 })).toThrow('limit')
    expect(parsePemBlocks(pem, 'CERTIFICATE', { characters: pem.length })).toHaveLength(1)
  })
})

describe('a PEM block in a dump', () => {
  it('is found between other text', () => {
    expect(findPem(`Certificate:\n  Data: ä\n${pem}more`, 'CERTIFICATE')).toEqual(content)
    expect(findPem(pem, 'CERTIFICATE')).toEqual(content)
  })

  it.each([
    ['none', 'Certificate:\n'],
    ['one without end', `text\n${begin}\nQUJD\n`],
    ['two', `text\n${pem}${pem}`],
    ['a key behind it', `text\n${pem}${encodePem(content, 'PRIVATE KEY')}`],
    ['one that begins inside of a line', `text ${pem}`],
    ['one with damaged base64', `text\n${pem.replace('A', '!')}`],
  ])('%s is refused', (_what, text) => {
    expect(() => findPem(text, 'CERTIFICATE')).toThrow(MalformedError)
  })
})
