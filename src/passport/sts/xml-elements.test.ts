import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { processorMs } from '../../../test/support/processor-time.ts'
import { MalformedError } from '../../base/errors.ts'
import { elementAt, parseXml } from './xml-elements.ts'

const nested = (depth: number) => `${'<a>'.repeat(depth)}${'</a>'.repeat(depth)}`
const siblings = (count: number) => `<r>${'<a/>'.repeat(count)}</r>`

describe('the XML of token services', () => {
  it('gives elements, their text and the characters that references stand for', () => {
    const root = parseXml(
      '<?xml version="1.0" encoding="UTF-8"?>\n<R xmlns="https://x.example/doc/"><A>1 &lt;2&#x3E;&#38;</A><B/>\n</R>\n',
    )
    expect(elementAt(root, 'A')?.text).toBe('1 <2>&')
    expect(elementAt(root, 'B')).toEqual({ name: 'B', children: [], text: '' })
    expect(elementAt(root, 'C')).toBeNull()
  })

  it('finds no element that is there twice: two readers would take different ones', () => {
    expect(elementAt(parseXml('<R><A>1</A><A>2</A></R>'), 'A')).toBeNull()
    expect(elementAt(parseXml('<R><A><B>1</B></A><A><C>2</C></A></R>'), 'A', 'B')).toBeNull()
  })

  it.each([
    ['nothing', ''],
    ['text', 'hello'],
    ['a document type', '<!DOCTYPE r [<!ENTITY a "b">]><r>&a;</r>'],
    ['an unknown entity', '<r>&a;</r>'],
    ['a bare ampersand', '<r>a & b</r>'],
    ['a reference to nothing', '<r>&#0;</r>'],
    ['a reference to half a pair', '<r>&#xD800;</r>'],
    ['a reference beyond Unicode', '<r>&#x110000;</r>'],
    ['CDATA', '<r><![CDATA[a]]></r>'],
    ['a comment', '<r><!-- a --></r>'],
    ['a processing instruction', '<r><?a b?></r>'],
    ['a prefix', '<a:r></a:r>'],
    ['an element that does not end', '<r><a></r>'],
    ['no end', '<r>'],
    ['another end', '<r></s>'],
    ['text beside elements', '<r>x<a/></r>'],
    ['text behind elements', '<r><a/>x</r>'],
    ['a second root', '<r/><r/>'],
    ['text behind the end', '<r/>x'],
    ['an attribute in half quotes', '<r a="b></r>'],
    ['nine levels', nested(9)],
    ['65 elements', siblings(64)],
  ])('is refused where it is or has %s', (_, text) => {
    expect(() => parseXml(text)).toThrow(MalformedError)
  })

  it('may have 8 levels and 64 elements', () => {
    expect(() => parseXml(nested(8))).not.toThrow()
    expect(parseXml(siblings(63)).children).toHaveLength(63)
  })

  it('is read or refused, whatever it is, and never quoted', () => {
    const piece = fc.constantFrom(
      '<',
      '>',
      '/',
      'a',
      '<a>',
      '</a>',
      '&',
      '&#',
      ';',
      '<!',
      '<?xml',
      '"',
      '=',
      ' ',
      'secret',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        try {
          parseXml(pieces.join(''))
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError)
          expect(String(error)).not.toContain('secret')
        }
      }),
      { numRuns: 1000 },
    )
  })

  it('takes no longer than its length asks for', () => {
    const started = processorMs()
    expect(() => parseXml(`<r${' a="b"'.repeat(9_000)}`)).toThrow(MalformedError)
    expect(() => parseXml(`<r>${'&amp;'.repeat(12_000)}`)).toThrow(MalformedError)
    expect(() => parseXml(`<r${' '.repeat(60_000)}`)).toThrow(MalformedError)
    expect(processorMs() - started).toBeLessThan(1_000)
  })
})
