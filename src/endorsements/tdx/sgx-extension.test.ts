import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { boolean, element, enumerated, integer, octetString, sequence } from '../../../mocks/tdx/der.ts'
import { flipBit } from '../../../test/support/test-ca-schema.ts'
import {
  entriesDer,
  nullValue,
  sgxEntries,
  sgxEntry,
  sgxExtensionDer,
  tcbEntries,
} from '../../../test/support/test-pck.ts'
import { MalformedError } from '../../base/errors.ts'
import { parseSgxExtension } from './sgx-extension.ts'

function outcome(der: Uint8Array): string {
  try {
    parseSgxExtension(der)
    return 'parsed'
  } catch (error) {
    if (error instanceof MalformedError) return error.message
    throw error
  }
}

const octets = (size: number) => octetString(new Uint8Array(size))
/** The extension with one entry replaced; null: left out. */
const withEntry = (arc: string, value: Uint8Array | null) => {
  const entries = sgxEntries()
  if (value) entries.set(arc, value)
  else entries.delete(arc)
  return entriesDer(entries)
}
const withTcb = (change: (entries: Map<string, Uint8Array>) => unknown) => {
  const entries = tcbEntries()
  change(entries)
  return withEntry('2', entriesDer(entries))
}
const configuration = (...values: [string, Uint8Array][]) =>
  withEntry('7', sequence(...values.map(([suffix, value]) => sgxEntry(suffix, value))))
const [yes, no] = [boolean(true), boolean(false)]

describe('the SGX extension (TDX-121)', () => {
  it('has the fields that were written', () => {
    expect(parseSgxExtension(sgxExtensionDer())).toEqual({
      ppid: new Uint8Array(16).fill(0x11),
      components: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
      pceSvn: 300,
      cpuSvn: new Uint8Array(16).fill(0x22),
      pceId: 'abcd',
      fmspc: '00806f050000',
      sgxType: 1,
      platformInstanceId: new Uint8Array(16).fill(0x66),
      configuration: { dynamicPlatform: true, cachedKeys: false, smtEnabled: true },
    })
  })

  it('may have its entries in any order, also inside of the TCB', () => {
    const reversed = new Map([...sgxEntries()].reverse())
    reversed.set('2', entriesDer(new Map([...tcbEntries()].reverse())))
    expect(parseSgxExtension(entriesDer(reversed))).toEqual(parseSgxExtension(sgxExtensionDer()))
  })

  it('has five entries below the processor CA', () => {
    const entries = sgxEntries()
    entries.delete('6')
    entries.delete('7')
    expect(parseSgxExtension(entriesDer(entries))).toMatchObject({ platformInstanceId: null, configuration: null })
  })

  it.each([0, 1, 2] as const)('has the type %i', (type) => {
    expect(parseSgxExtension(withEntry('5', enumerated(type))).sgxType).toBe(type)
  })

  it('has numbers up to their limits', () => {
    const edge = withTcb((tcb) => tcb.set('2.1', integer(255)).set('2.2', integer(0)).set('2.17', integer(65_535)))
    expect(parseSgxExtension(edge)).toMatchObject({ components: [255, 0, ...range(2)], pceSvn: 65_535 })
  })

  const range = (from: number) => Array.from({ length: 16 - from }, (_, at) => at + from)
})

describe('the SGX extension is refused', () => {
  it.each<[string, Uint8Array, string]>([
    ['without an entry', withEntry('1', null), 'has 6 entries'],
    ['with one of the two of the platform CA', withEntry('6', null), 'has 6 entries'],
    ['without entries', sequence(), 'has 0 entries'],
    ['with an entry more', withEntry('8', octets(1)), 'has 8 entries'],
    [
      'with another entry in place of one',
      entriesDer(new Map([...sgxEntries()].map(([arc, value]) => [arc === '3' ? '9' : arc, value]))),
      '13.1.3: is missing',
    ],
    [
      'with an entry twice',
      sequence(...[...sgxEntries(), ['1', octets(16)] as const].map(([arc, value]) => sgxEntry(arc, value))),
      '1.2.840.113741.1.13.1.1 twice',
    ],
    ['with a PPID of 15 bytes', withEntry('1', octets(15)), 'has 15 bytes, must have 16'],
    ['with a PPID of 17 bytes', withEntry('1', octets(17)), 'has 17 bytes'],
    ['with a PPID of another type', withEntry('1', nullValue), 'structure'],
    ['with a PCEID of 1 byte', withEntry('3', octets(1)), 'must have 2'],
    ['with an FMSPC of 5 bytes', withEntry('4', octets(5)), 'must have 6'],
    ['with an FMSPC of 7 bytes', withEntry('4', octets(7)), 'must have 6'],
    ['with type 3', withEntry('5', enumerated(3)), 'is not 0 to 2'],
    ['with a type that is negative', withEntry('5', element(0x0a, Uint8Array.of(0xff))), 'is not 0 to 2'],
    ['with a type that is an INTEGER', withEntry('5', integer(1)), 'structure'],
    ['with an instance id of 8 bytes', withEntry('6', octets(8)), 'must have 16'],
    ['with a TCB of 17 entries', withTcb((tcb) => tcb.delete('2.9')), 'has 17 entries'],
    ['with a TCB of 19 entries', withTcb((tcb) => tcb.set('2.19', integer(1))), 'has 19 entries'],
    ['with a component of 256', withTcb((tcb) => tcb.set('2.3', integer(256))), '2.3: is not 0 to 255'],
    [
      'with a negative component',
      withTcb((tcb) => tcb.set('2.3', element(2, Uint8Array.of(0x80)))),
      '2.3: is not 0 to 255',
    ],
    ['with a component of nine octets', withTcb((tcb) => tcb.set('2.3', integer(1n << 64n))), '2.3: is not 0 to 255'],
    ['with a component that is an OCTET STRING', withTcb((tcb) => tcb.set('2.3', octets(1))), 'structure'],
    ['with a PCESVN of 65536', withTcb((tcb) => tcb.set('2.17', integer(65_536))), '2.17: is not 0 to 65535'],
    ['with a CPUSVN of 15 bytes', withTcb((tcb) => tcb.set('2.18', octets(15))), '2.18: has 15 bytes'],
    ['with a CPUSVN in the place of a component', withTcb((tcb) => tcb.set('2.16', octets(16))), 'structure'],
    ['with a configuration of two', configuration(['7.1', yes], ['7.2', no]), 'has 2 entries'],
    [
      'with a configuration of four',
      configuration(['7.1', yes], ['7.2', no], ['7.3', no], ['7.4', no]),
      'has 4 entries',
    ],
    ['with a setting that is no BOOLEAN', configuration(['7.1', yes], ['7.2', integer(1)], ['7.3', no]), 'structure'],
    [
      'with a second value in an entry',
      sequence(
        ...[...sgxEntries()].map(([arc, value]) =>
          arc === '1' ? sequence(sgxEntry('1', value).subarray(2, -18), octets(16), octets(1)) : sgxEntry(arc, value),
        ),
      ),
      'structure',
    ],
    ['with bytes behind it', Uint8Array.of(...sgxExtensionDer(), 0), 'left over'],
    ['cut', sgxExtensionDer().subarray(0, -1), 'needs'],
    ['as another type', nullValue, 'structure'],
    ['with hundreds of entries', sequence(...Array.from({ length: 200 }, () => sequence())), 'too many elements'],
  ])('%s', (_what, der, says) => {
    expect(outcome(der)).toContain(says)
  })

  it('or parses, whatever bytes it has', () => {
    const der = sgxExtensionDer()
    for (let at = 0; at < der.length; at++) for (const bit of [0, 5, 7]) outcome(flipBit(der, at, bit))
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => void outcome(bytes)))
  })
})
