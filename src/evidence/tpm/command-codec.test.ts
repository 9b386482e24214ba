import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { tpmCommandValues } from '../../../test/support/tpm-arbitraries.ts'
import { concatBytes, parseText, toHex } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import {
  encodeCommand,
  encodeRefusal,
  encodeResponse,
  parseCommand,
  parseHeader,
  parseResponse,
  passwordSession,
  policySession,
} from './command-codec.ts'
import { tpm2 } from './commands.ts'

const hex = (text: string) => parseText(text.replaceAll(' ', ''), 'hex', 'test')
const sessionsFor = ({ authorised }: { authorised: number }) =>
  Array.from({ length: authorised }, (_, index) => (index === 0 ? passwordSession : policySession(0x03000000)))

describe('the bytes of a command', () => {
  it('are a header and parameters without sessions', () => {
    expect(toHex(encodeCommand(tpm2.flushContext, { flushed: 0x80000001 }))).toBe('80010000000e0000016580000001')
  })

  it('put handles before the sessions, and their size before them', () => {
    const command = encodeCommand(
      tpm2.quote,
      {
        key: 0x80ffffff,
        qualifyingData: hex('0102'),
        scheme: { algorithm: 'null' },
        selection: [{ hash: 0x000b, pcrs: [0, 10, 23] }],
      },
      [passwordSession],
    )
    const parts = [
      '8002 0000002b 00000158', // header
      '80ffffff', // key
      '00000009 40000009 0000 00 0000', // password session
      '0002 0102', // qualifyingData
      '0010', // scheme of the key
      '00000001 000b 03 010480', // selection
    ]
    expect(command).toEqual(hex(parts.join('')))
  })

  it('carry one session for each handle that needs authorisation', () => {
    const request = { activated: 1, key: 2, idObject: new Uint8Array(), encryptedSecret: new Uint8Array() }
    const command = encodeCommand(tpm2.activateCredential, request, [passwordSession, policySession(0x03000001)])
    expect(toHex(command.subarray(18, 22))).toBe('00000012')
    expect(() => encodeCommand(tpm2.activateCredential, request, [passwordSession])).toThrow(TypeError)
    expect(() => encodeCommand(tpm2.flushContext, { flushed: 1 }, [passwordSession])).toThrow(TypeError)
  })

  it.each([
    ['too long for its field', { key: 1, qualifyingData: new Uint8Array(67) }],
    ['not a u32', { key: -1, qualifyingData: new Uint8Array() }],
  ])('are refused for a value that is %s', (_, fields) => {
    const request = { ...fields, scheme: { algorithm: 'null' as const }, selection: [] }
    expect(() => encodeCommand(tpm2.quote, request, [passwordSession])).toThrow(RangeError)
  })
})

describe('a response', () => {
  const load = hex('8002 00000027 00000000 80000001 00000010 000e000b 0102030405060708090a0b0c'.replaceAll(' ', ''))
  const done = concatBytes(load.subarray(0, 34), hex('0000 01 0000'))

  it('is read with its handle, parameters and session', () => {
    expect(parseResponse(tpm2.load, done)).toEqual({
      outcome: 'done',
      response: { object: 0x80000001, name: hex('000b0102030405060708090a0b0c') },
      sessions: [{ nonce: new Uint8Array(), attributes: 1, hmac: new Uint8Array() }],
    })
  })

  it('is a refusal of exactly 10 bytes where the code is not 0', () => {
    expect(parseResponse(tpm2.load, encodeRefusal(0x1df))).toEqual({ outcome: 'refused', rc: 0x1df })
    expect(parseResponse(tpm2.load, hex('00c4 0000000a 0000001e'))).toEqual({ outcome: 'refused', rc: 0x1e })
    expect(() => parseResponse(tpm2.load, hex('8001 0000000b 000001df 00'))).toThrow(MalformedError)
    expect(() => parseResponse(tpm2.load, hex('8002 0000000a 000001df'))).toThrow(/another tag/)
  })

  const changed = (at: number, ...values: number[]) => {
    const copy = Uint8Array.from(done)
    copy.set(values, at)
    return copy
  }
  it.each([
    ['a tag without sessions', changed(0, 0x80, 0x01), /wrong tag/],
    ['a header that says another size', changed(5, 0x26), /the header says 38 bytes, there are 39/],
    ['a parameter area that is too small', changed(17, 0x0f), /name: needs 14 bytes/],
    ['a parameter area that is too large', changed(17, 0x11), /bytes left over/],
    ['no session', Uint8Array.from([...changed(5, 0x22).subarray(0, 34)]), /sessions.0/],
    ['a name over its cap', changed(18, 0x00, 0x45), /above the limit 68/],
  ])('with %s is malformed, and the message says where', (_, bytes, message) => {
    expect(() => parseResponse(tpm2.load, bytes)).toThrow(MalformedError)
    expect(() => parseResponse(tpm2.load, bytes)).toThrow(message)
  })

  it('to a command without sessions has no room for one', () => {
    const random = encodeResponse(tpm2.getRandom, { randomBytes: new Uint8Array(2) })
    expect(toHex(random)).toBe('80010000000e0000000000020000')
    const withSession = Uint8Array.from([...random, 0, 0, 1, 0, 0])
    withSession[5] = withSession.length
    expect(() => parseResponse(tpm2.getRandom, withSession)).toThrow('5 bytes left over')
  })
})

describe('caps on what a device may send (NAT-52)', () => {
  const capability = (body: string) => {
    const bytes = hex(`800100000000000000 00 00 ${body}`)
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(2, bytes.length)
    return () => parseResponse(tpm2.getCapability, bytes)
  }
  const handles = (count: number) => `00000001 ${count.toString(16).padStart(8, '0')} ${'80000000'.repeat(count)}`
  const banks = (count: number) => `00000005 ${count.toString(16).padStart(8, '0')} ${'000b03ffffff'.repeat(count)}`
  const bitmap = (size: number) => `00000005 00000001 000b ${size.toString(16).padStart(2, '0')} ${'00'.repeat(size)}`

  it.each([
    ['1000 handles', handles(1000)],
    ['16 banks', banks(16)],
    ['a bitmap of 32 bytes', bitmap(32)],
  ])('%s are taken', (_, body) => {
    expect(capability(body)().outcome).toBe('done')
  })

  it.each([
    ['1001 handles', handles(1001), 'length 1001 is above the limit 1000'],
    ['17 banks', banks(17), 'length 17 is above the limit 16'],
    ['a bitmap of 33 bytes', bitmap(33), 'length 33 is above the limit 32'],
    ['an empty bitmap', bitmap(0), 'length 0 is below the minimum 1'],
    ['a count that would need 16 GiB', '00000001 ffffffff', 'length 4294967295 is above the limit 1000'],
    ['an unknown capability', '00000002 00000000', 'capability 0x0002 is not known'],
  ])('%s are malformed', (_, body, problem) => {
    expect(capability(body)).toThrow(MalformedError)
    expect(capability(body)).toThrow(problem)
  })
})

describe('every declared command', () => {
  it('has values in this test', () => {
    expect(tpmCommandValues.map(({ command }) => command.name).sort()).toEqual(
      Object.values(tpm2)
        .map((command) => command.name)
        .sort(),
    )
  })

  it.each(tpmCommandValues)('$command.name: requests and responses survive both directions', (values) => {
    const { command } = values
    const check = (request: object, response: object) => {
      const sessions = sessionsFor(command)
      const bytes = encodeCommand(command, request, sessions)
      expect(parseHeader(bytes)).toMatchObject({ size: bytes.length, code: command.code })
      expect(parseCommand(command, bytes)).toEqual({ request, sessions })
      const answer = encodeResponse(command, response)
      expect(parseResponse(command, answer)).toMatchObject({ outcome: 'done', response })
    }
    fc.assert(fc.property(values.request, values.response, check), { numRuns: 50 })
  })

  it.each(tpmCommandValues)(
    '$command.name: cut or lengthened, both are malformed',
    ({ command, request, response }) => {
      const check = (asked: object, answered: object, at: number) => {
        for (const [bytes, parse] of [
          [encodeCommand(command, asked, sessionsFor(command)), parseCommand],
          [encodeResponse(command, answered), parseResponse],
        ] as const) {
          const cut = resized(bytes, at % bytes.length)
          expect(() => parse(command, cut)).toThrow(MalformedError)
          expect(() => parse(command, resized(bytes, bytes.length + 1 + (at % 16)))).toThrow(MalformedError)
        }
      }
      fc.assert(fc.property(request, response, fc.nat(), check), { numRuns: 50 })
    },
  )
})

/** Cut or filled up with zeros; the header says the new size where there is one. */
function resized(bytes: Uint8Array, size: number): Uint8Array {
  const copy = new Uint8Array(size)
  copy.set(bytes.subarray(0, size))
  if (size >= 6) new DataView(copy.buffer).setUint32(2, size)
  return copy
}
