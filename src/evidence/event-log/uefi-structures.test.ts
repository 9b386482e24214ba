import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  databaseGuid,
  globalGuid,
  guidBytes,
  sha256List,
  signatureList,
  taggedData,
  variableData,
  wide,
  x509List,
} from '../../../test/support/measured-boot.ts'
import { concatBytes } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { devicePathText, imagePathOf } from './device-path.ts'
import { guidText } from './guid.ts'
import { parseSignatureLists } from './signature-list.ts'
import { initrdTag, loadOptionsTag, taggedEventOf } from './tagged-event.ts'
import { variableNameOf, variableOf } from './uefi-variable.ts'

const filled = (size: number, byte = 1): Uint8Array => new Uint8Array(size).fill(byte)
const u32 = (value: number) => Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24)

it('a GUID is shown with its first three fields swapped', () => {
  const bytes = Uint8Array.from({ length: 16 }, (_, at) => at)
  expect(guidText(bytes)).toBe('03020100-0504-0706-0809-0a0b0c0d0e0f')
  expect(guidText(guidBytes(globalGuid))).toBe(globalGuid)
})

describe('UEFI_VARIABLE_DATA', () => {
  const data = variableData(databaseGuid, 'dbx', filled(5))

  it('is GUID, name, value, and what stands behind', () => {
    const variable = variableOf(concatBytes(data, filled(3)))
    expect(variable && variableNameOf(variable)).toBe('dbx')
    expect(variable).toMatchObject({ guid: databaseGuid, value: filled(5), tail: filled(3) })
    expect(variableOf(data)?.tail).toHaveLength(0)
    expect(variableOf(variableData(databaseGuid, '', filled(0)))).toMatchObject({ name: filled(0), value: filled(0) })
  })

  it.each([0, 31, 32, data.length - 1])('is none in %i bytes of it', (size) => {
    expect(variableOf(data.subarray(0, size))).toBeNull()
  })

  it.each([16, 20, 23, 24, 28, 31])('is none where a length that begins or ends at byte %i is too large', (at) => {
    const edited = Uint8Array.from(data)
    edited[at] = 0xff
    expect(variableOf(edited)).toBeNull()
  })

  it('has no name where that is no UTF-16', () => {
    expect(variableNameOf({ name: Uint8Array.of(0, 0xd8) })).toBeNull()
    expect(variableNameOf({ name: Uint8Array.of(65) })).toBeNull()
  })
})

describe('signature lists', () => {
  const certificates = signatureList(x509List, [filled(30)])
  const digests = signatureList(sha256List, [filled(32, 2), filled(32, 3)])

  it('give their entries in order, with their owner', () => {
    const owner = guidText(filled(16, 7))
    expect(parseSignatureLists(concatBytes(certificates, digests))).toEqual([
      { kind: 'x509', owner, data: filled(30) },
      { kind: 'sha256', owner, data: filled(32, 2) },
      { kind: 'sha256', owner, data: filled(32, 3) },
    ])
    expect(parseSignatureLists(filled(0))).toEqual([])
    expect(parseSignatureLists(signatureList(globalGuid, [filled(3)]))).toMatchObject([{ kind: 'unknown' }])
    expect(parseSignatureLists(signatureList(x509List, []).fill(17, 24, 25))).toEqual([])
  })

  it('may have a header of their own', () => {
    const list = concatBytes(
      guidBytes(x509List),
      u32(28 + 2 + 20),
      u32(2),
      u32(20),
      filled(2, 9),
      filled(16),
      filled(4),
    )
    expect(parseSignatureLists(list)).toMatchObject([{ kind: 'x509', data: filled(4) }])
  })

  const head = (listSize: number, headerSize: number, size: number, type = x509List) =>
    concatBytes(guidBytes(type), u32(listSize), u32(headerSize), u32(size), filled(100))
  it.each([
    ['are cut', digests.subarray(0, -1), 'needs'],
    ['have a byte behind', concatBytes(digests, filled(1)), 'needs'],
    ['have entries of no bytes', head(28 + 32, 0, 16), 'signatures of 16 bytes'],
    ['have entries of zero bytes', head(28, 0, 0), 'signatures of 0 bytes'],
    ['are shorter than their head', head(27, 0, 20), 'a list of 27 bytes'],
    ['are shorter than their header', head(40, 13, 20), 'a list of 40 bytes'],
    ['are shorter by just one entry', head(28, 20, 20), 'a list of 28 bytes'],
    ['are no whole number of entries', head(28 + 41, 0, 20), 'a list of 69 bytes'],
    ['have SHA-256 of 31 bytes', head(28 + 47, 0, 47, sha256List), 'a sha256 digest has 31 bytes'],
    ['are larger than all bytes', head(0xffffffff, 0, 0xffffffe3), 'needs 4294967267'],
  ])('that %s are refused', (_what, bytes, problem) => {
    expect(() => parseSignatureLists(bytes)).toThrow(MalformedError)
    expect(() => parseSignatureLists(bytes)).toThrow(problem)
  })
})

describe('a device path', () => {
  const node = (type: number, subType: number, data: Uint8Array) =>
    concatBytes(Uint8Array.of(type, subType, data.length + 4, (data.length + 4) >> 8), data)
  const end = node(0x7f, 0xff, filled(0))
  const acpi = node(2, 1, concatBytes(Uint8Array.of(0xd0, 0x41, 0x03, 0x0a), u32(1)))
  const disk = concatBytes(u32(1), u32(0x800), u32(0), u32(0x1000), u32(0), guidBytes(globalGuid), Uint8Array.of(2, 2))

  it.each<[string, Uint8Array]>([
    ['PciRoot(0x1)/Pci(0x3,0x0)', concatBytes(acpi, node(1, 1, Uint8Array.of(0, 3)))],
    [
      `HD(1,GPT,${globalGuid},0x800,0x1000)/\\EFI\\x.efi`,
      concatBytes(node(4, 1, disk), node(4, 4, wide('\\EFI\\x.efi\0'))),
    ],
    ['HD(1,MBR,0x8be4df61,0x800,0x1000)', node(4, 1, concatBytes(disk.subarray(0, 36), Uint8Array.of(1, 1)))],
    ['Acpi(PNP0A08,0x1)', node(2, 1, concatBytes(Uint8Array.of(0xd0, 0x41, 0x08, 0x0a), u32(1)))],
    ['Acpi(0x1,0x2)', node(2, 1, concatBytes(u32(1), u32(2)))],
    [
      'Scsi(0x1,0x2)/Sata(0x1,0x2,0x3)',
      concatBytes(node(3, 2, Uint8Array.of(1, 0, 2, 0)), node(3, 18, Uint8Array.of(1, 0, 2, 0, 3, 0))),
    ],
    [
      'NVMe(0x1)/USB(0x2,0x3)',
      concatBytes(node(3, 23, concatBytes(u32(1), filled(8))), node(3, 5, Uint8Array.of(2, 3))),
    ],
    [
      `VenHw(${globalGuid})/VenMedia(${globalGuid})`,
      concatBytes(node(1, 4, guidBytes(globalGuid)), node(4, 3, guidBytes(globalGuid))),
    ],
    [
      `Fv(${globalGuid})/FvFile(${globalGuid})`,
      concatBytes(node(4, 7, guidBytes(globalGuid)), node(4, 6, guidBytes(globalGuid))),
    ],
    ['Path(9,9,2 bytes)', node(9, 9, filled(2))],
    ['Path(2,1,7 bytes)', node(2, 1, filled(7))],
    ['', filled(0)],
  ])('is shown as %s', (text, bytes) => {
    expect(devicePathText(concatBytes(bytes, end, filled(3)))).toBe(text)
    expect(devicePathText(bytes)).toBe(text)
  })

  it('has at most 64 nodes, each of at least four bytes', () => {
    const many = (count: number) => concatBytes(...Array.from({ length: count }, () => node(9, 9, filled(0))))
    expect(devicePathText(many(64))).toHaveLength(64 * 18 - 1)
    expect(() => devicePathText(many(65))).toThrow('more than 64 nodes')
    expect(() => devicePathText(Uint8Array.of(1, 1, 3, 0))).toThrow('a node of 3 bytes')
  })

  it('stands in the data of events about images', () => {
    const data = (path: Uint8Array, size = path.length) => concatBytes(filled(24), u32(size), u32(0), path)
    expect(imagePathOf(data(acpi))).toBe('PciRoot(0x1)')
    expect(imagePathOf(data(acpi, acpi.length + 1))).toBeNull()
    expect(imagePathOf(data(acpi.subarray(0, 5)))).toBeNull()
    expect(imagePathOf(filled(31))).toBeNull()
  })
})

it('a tagged event fills its data', () => {
  expect(taggedEventOf(taggedData(loadOptionsTag, filled(3)))).toEqual({ id: loadOptionsTag, content: filled(3) })
  expect(taggedEventOf(taggedData(initrdTag, filled(0)))?.id).toBe(0x8f3b22ec)
  expect(taggedEventOf(concatBytes(taggedData(1, filled(3)), filled(1)))).toBeNull()
  expect(taggedEventOf(taggedData(1, filled(3)).subarray(0, -1))).toBeNull()
  expect(taggedEventOf(filled(7))).toBeNull()
})

it('whatever the bytes, nothing but MalformedError is thrown', () => {
  const lists = concatBytes(signatureList(x509List, [filled(30)]), signatureList(sha256List, [filled(32)]))
  const edited = fc.tuple(fc.nat(lists.length - 1), fc.nat(255), fc.nat(lists.length)).map(([at, byte, size]) => {
    const copy = Uint8Array.from(lists)
    copy[at] = byte
    return copy.subarray(0, size)
  })
  fc.assert(
    fc.property(fc.oneof(edited, fc.uint8Array({ maxLength: 120 })), (bytes) => {
      variableOf(bytes)
      taggedEventOf(bytes)
      imagePathOf(bytes)
      for (const parse of [parseSignatureLists, devicePathText]) {
        try {
          parse(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError)
        }
      }
    }),
    { numRuns: 1000 },
  )
})
