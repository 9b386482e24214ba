import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { haveVectors, vectorJson } from '../../../test/support/vectors.ts'
import { concatBytes, toHex } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import {
  type AaelEvent,
  encodeAaelData,
  encodeAaelHeader,
  encodeAaelRecord,
  isAaelData,
  parseAaelData,
  registerOfPcr,
} from './aael.ts'
import { parseCcEventLog, sha384Of } from './cc-event-log.ts'

const event: AaelEvent = { domain: 'domain', operation: 'operation', content: 'content' }

describe('a runtime record (TDX-034)', () => {
  it.skipIf(!haveVectors)('has the published data and digest', () => {
    const { domain, operation, content, event_data_hex, sha384 } = vectorJson('tdx/golden/aael-digests.json')
    const { digest } = encodeAaelRecord(3, { domain, operation, content })
    expect(toHex(encodeAaelData({ domain, operation, content }))).toBe(event_data_hex)
    expect(toHex(digest)).toBe(sha384)
    expect(parseAaelData(new Uint8Array(Buffer.from(event_data_hex, 'hex')))).toEqual({ domain, operation, content })
  })

  it.each([0, 1, 2, 3] as const)('of RTMR%i names the register one above it (TDX-032)', (rtmr) => {
    const { entry, digest } = encodeAaelRecord(rtmr, event)
    const [logged] = parseCcEventLog(concatBytes(encodeAaelHeader(), entry)).events
    expect(logged).toMatchObject({ pcr: rtmr + 1, type: 6, data: encodeAaelData(event) })
    expect(logged && sha384Of(logged)).toEqual(digest)
  })

  const names = fc.stringMatching(/^[A-Za-z0-9._/-]{1,128}$/)
  const contents = fc.string({ unit: 'grapheme', maxLength: 200 }).filter((content) => !/\p{Cc}/u.test(content))

  it('is read back as it was written', () => {
    fc.assert(
      fc.property(names, names, contents, (domain, operation, content) => {
        const data = encodeAaelData({ domain, operation, content })
        expect(isAaelData(data)).toBe(true)
        expect(parseAaelData(data)).toEqual({ domain, operation, content })
      }),
      { numRuns: 200 },
    )
  })

  it('keeps a byte order mark and spaces in its content', () => {
    const content = '\ufeff  two '
    expect(parseAaelData(encodeAaelData({ ...event, content })).content).toBe(content)
  })
})

describe('what an event may say (TDX-035)', () => {
  it.each([
    ['domain', '', 'event.domain: is not 1 to 128 letters'],
    ['domain', 'a b', 'event.domain'],
    ['domain', 'a'.repeat(129), 'event.domain'],
    ['domain', 'a\n', 'event.domain'],
    ['domain', 'é', 'event.domain'],
    ['operation', '', 'event.operation'],
    ['operation', 'x y', 'event.operation'],
    ['operation', 'o'.repeat(129), 'event.operation'],
    ['content', 'a\nb', 'event.content: has a control character'],
    ['content', 'a\0', 'event.content: has a control character'],
    ['content', '\u007f', 'event.content: has a control character'],
    ['content', '\u0085', 'event.content: has a control character'],
    ['content', '\ud800', 'event.content: has a control character or half a character'],
    ['content', 'a'.repeat(8193), 'event.content: has 8193 bytes, may have 8192'],
    ['content', 'é'.repeat(4097), 'event.content: has 8194 bytes, may have 8192'],
  ])('no %s %j', (member, value, says) => {
    expect(() => encodeAaelData({ ...event, [member]: value })).toThrow(says)
    expect(() => encodeAaelData({ ...event, [member]: value })).toThrow(MalformedError)
  })

  it('names of 128 characters and a content of 8 KiB, or none', () => {
    const longest = { domain: 'd'.repeat(128), operation: 'o'.repeat(128), content: 'é'.repeat(4096) }
    expect(parseAaelData(encodeAaelData(longest))).toEqual(longest)
    expect(parseAaelData(encodeAaelData({ ...event, content: '' })).content).toBe('')
  })
})

describe('foreign data', () => {
  const data = (text: string | Uint8Array, { tag = 'LEAA', length = -1 } = {}) => {
    const bytes = Buffer.from(text)
    const size = Buffer.alloc(4)
    size.writeUInt32LE(length < 0 ? bytes.length : length)
    return new Uint8Array(Buffer.concat([Buffer.from(tag), size, bytes]))
  }

  it.each([
    ['another tag', data('a b c', { tag: 'AAEL' }), 'aael.tag'],
    ['a length beyond the end', data('a b c', { length: 6 }), 'aael.text: needs 6 bytes, has 5'],
    ['a byte too many', data('a b c', { length: 4 }), '1 bytes left over'],
    ['a length of 4 GiB', data('a b c', { length: 0xffffffff }), 'is above the limit'],
    ['one word', data('a'), 'is not a domain, an operation and a content'],
    ['two words', data('a b'), 'is not a domain, an operation and a content'],
    ['no text', data(''), 'is not a domain'],
    ['an empty domain', data(' b c'), 'event.domain'],
    ['an empty operation', data('a  c'), 'event.operation'],
    ['no UTF-8', data(Uint8Array.of(0x61, 0x20, 0x62, 0x20, 0xff)), 'aael.text: is not valid UTF-8'],
    ['a line end', data('a b c\n'), 'event.content'],
  ])('is refused with %s', (_, bytes, says) => {
    expect(() => parseAaelData(bytes)).toThrow(says)
    expect(() => parseAaelData(bytes)).toThrow(MalformedError)
  })

  it('is told apart from runtime records', () => {
    expect(isAaelData(data('a b c'))).toBe(true)
    expect(isAaelData(data(''))).toBe(true)
    expect(isAaelData(data('a b c').subarray(0, 7))).toBe(false)
    expect(isAaelData(data('a b c', { tag: 'AAEL' }))).toBe(false)
  })
})

it('a log of runtime records alone begins as firmware begins its own (TDX-021)', () => {
  expect(toHex(encodeAaelHeader())).toBe(
    `0100000003000000${'00'.repeat(20)}21000000${toHex(new TextEncoder().encode('Spec ID Event03'))}00` +
      '0000000000020002010000000c00300000',
  )
  const { headerRegister, algorithms } = parseCcEventLog(encodeAaelHeader())
  expect([headerRegister, algorithms]).toEqual([1, [{ id: 12, size: 48, name: 'sha384' }]])
})

it('PCR indices stand for registers (TDX-033)', () => {
  const expected = [4, 1, 2, 2, 2, 2, 2, 1, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4]
  expect(expected.map((_, pcr) => registerOfPcr(pcr))).toEqual(expected)
})
