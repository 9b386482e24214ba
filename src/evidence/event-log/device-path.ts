import { MalformedError } from '../../base/errors.ts'
import { Reader } from '../../base/layout-cursor.ts'
import { guidText } from './guid.ts'

interface Node {
  readonly type: number
  readonly subType: number
  readonly data: Uint8Array
}

const mostNodes = 64
const endType = 0x7f
const utf16 = new TextDecoder('utf-16le', { ignoreBOM: true })

const viewOf = (data: Uint8Array) => new DataView(data.buffer, data.byteOffset, data.length)
const hexOf = (value: number | bigint) => `0x${value.toString(16)}`
const u32At = (data: Uint8Array, at: number) => hexOf(viewOf(data).getUint32(at, true))
const u16At = (data: Uint8Array, at: number) => hexOf(viewOf(data).getUint16(at, true))

/** EISA ids of ACPI nodes hold three letters of five bits behind a number of 16. */
function acpiText(data: Uint8Array): string {
  const eisa = viewOf(data).getUint32(0, true)
  const uid = u32At(data, 4)
  const number = (eisa >>> 16).toString(16).padStart(4, '0').toUpperCase()
  if ((eisa & 0xffff) !== 0x41d0) return `Acpi(${hexOf(eisa)},${uid})`
  return number === '0A03' ? `PciRoot(${uid})` : `Acpi(PNP${number},${uid})`
}

function hardDriveText(data: Uint8Array): string {
  const view = viewOf(data)
  const [partition, signature, kind] = [view.getUint32(0, true), data.subarray(20, 36), data[37]]
  const place = `${hexOf(view.getBigUint64(4, true))},${hexOf(view.getBigUint64(12, true))}`
  if (kind === 2) return `HD(${partition},GPT,${guidText(signature)},${place})`
  return `HD(${partition},${kind === 1 ? 'MBR' : kind},${u32At(signature, 0)},${place})`
}

function fileText(data: Uint8Array): string {
  const text = utf16.decode(data.length % 2 === 0 ? data : data.subarray(0, -1))
  const end = text.indexOf('\0')
  return end < 0 ? text : text.slice(0, end)
}

/** Type × 256 + subtype → least size of the data, and its text. */
const texts: ReadonlyMap<number, readonly [size: number, text: (data: Uint8Array) => string]> = new Map([
  [0x0101, [2, (data: Uint8Array) => `Pci(${hexOf(data[1] ?? 0)},${hexOf(data[0] ?? 0)})`]],
  [0x0104, [16, (data: Uint8Array) => `VenHw(${guidText(data)})`]],
  [0x0201, [8, acpiText]],
  [0x0302, [4, (data: Uint8Array) => `Scsi(${u16At(data, 0)},${u16At(data, 2)})`]],
  [0x0305, [2, (data: Uint8Array) => `USB(${hexOf(data[0] ?? 0)},${hexOf(data[1] ?? 0)})`]],
  [0x0312, [6, (data: Uint8Array) => `Sata(${u16At(data, 0)},${u16At(data, 2)},${u16At(data, 4)})`]],
  [0x0317, [12, (data: Uint8Array) => `NVMe(${u32At(data, 0)})`]],
  [0x0401, [38, hardDriveText]],
  [0x0403, [16, (data: Uint8Array) => `VenMedia(${guidText(data)})`]],
  [0x0404, [0, fileText]],
  [0x0406, [16, (data: Uint8Array) => `FvFile(${guidText(data)})`]],
  [0x0407, [16, (data: Uint8Array) => `Fv(${guidText(data)})`]],
  [0x0408, [20, (data: Uint8Array) => `Offset(${hexOf(viewOf(data).getBigUint64(4, true))})`]],
])

function nodeText({ type, subType, data }: Node): string {
  const known = texts.get(type * 256 + subType)
  if (known !== undefined && data.length >= known[0]) return known[1](data)
  return `Path(${type},${subType},${data.length} bytes)`
}

function readNode(reader: Reader): Node {
  const [type, subType, size] = [reader.integer(1, true), reader.integer(1, true), reader.integer(2, true)]
  if (size < 4) throw reader.malformed(`a node of ${size} bytes`)
  return { type, subType, data: reader.bytes(size - 4) }
}

/**
 * A device path as readable text, its nodes joined by `/` (UEFI section 10): no digest covers it. Nodes of other kinds
 * than those of usual boot paths are shown by number. At most 64 nodes. Throws only `MalformedError`.
 */
export function devicePathText(bytes: Uint8Array, path = 'devicePath'): string {
  const reader = new Reader(bytes, path)
  const nodes: string[] = []
  while (reader.remaining > 0) {
    const node = readNode(reader)
    if (node.type === endType) break
    if (nodes.length >= mostNodes) throw reader.malformed(`more than ${mostNodes} nodes`)
    nodes.push(nodeText(node))
  }
  return nodes.join('/')
}

const imageHeader = 32

/**
 * The device path in UEFI_IMAGE_LOAD_EVENT, the data of events about images: three u64, u64 length of the path, path.
 * Null where the data are something else.
 */
export function imagePathOf(data: Uint8Array): string | null {
  if (data.length < imageHeader) return null
  const size = viewOf(data).getBigUint64(24, true)
  if (size > BigInt(data.length - imageHeader)) return null
  try {
    return devicePathText(data.subarray(imageHeader, imageHeader + Number(size)))
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}
