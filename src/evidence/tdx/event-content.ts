import { toHex } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { bytesOf, parse, rest, struct, u64le } from '../../base/layout.ts'
import type { LoggedEvent } from '../event-log/event-log.ts'

/** EV_IPL: commands and command lines of GRUB. */
export const evIpl = 0x0000000d
/** EV_EFI_VARIABLE_BOOT. */
export const evEfiVariableBoot = 0x80000002

/** UEFI_VARIABLE_DATA of the TCG PC Client Platform Firmware Profile, section 10.2.6. */
export interface UefiVariable {
  /** In mixed-endian form, as UEFI prints GUIDs. */
  readonly vendor: string
  readonly name: string
  readonly data: Uint8Array
}

const variableLayout = struct({ vendor: bytesOf(16), nameLength: u64le, dataLength: u64le, rest })
const utf16 = new TextDecoder('utf-16le', { fatal: true, ignoreBOM: true })

/** The first three fields of a GUID are little-endian, the last two are bytes as they stand. */
function guidText(bytes: Uint8Array): string {
  const reversed = (start: number, end: number) => toHex(Uint8Array.from(bytes.subarray(start, end)).reverse())
  const fields = [reversed(0, 4), reversed(4, 6), reversed(6, 8), toHex(bytes.subarray(8, 10))]
  return [...fields, toHex(bytes.subarray(10, 16))].join('-')
}

function decodeName(bytes: Uint8Array): string {
  try {
    return utf16.decode(bytes)
  } catch {
    throw new MalformedError({ path: 'variable.name' }, 'is not valid UTF-16')
  }
}

/**
 * Parses UEFI_VARIABLE_DATA: the data of the events of EFI variables. Name and data take all that there is. Nothing is
 * verified. Throws `MalformedError`.
 */
export function parseUefiVariable(bytes: Uint8Array): UefiVariable {
  const { vendor, nameLength, dataLength, rest: tail } = parse(variableLayout, bytes, 'variable')
  if (2n * nameLength + dataLength !== BigInt(tail.length)) {
    const problem = `name of ${nameLength} characters and data of ${dataLength} bytes do not fill ${tail.length} bytes`
    throw new MalformedError({ path: 'variable', offset: 16 }, problem)
  }
  const nameSize = 2 * Number(nameLength)
  return { vendor: guidText(vendor), name: decodeName(tail.subarray(0, nameSize)), data: tail.subarray(nameSize) }
}

/** What GRUB measured: the bytes behind the prefix that says what they are. */
export interface GrubMeasurement {
  /** The prefix without its separator. It is not part of what was hashed: nobody vouches for it. */
  readonly label: string
  readonly text: Uint8Array
}

const grubPrefixes = ['grub_cmd: ', 'kernel_cmdline: ', 'module_cmdline: ', 'grub_cmd ', 'grub_kernel_cmdline ']
const latin1 = new TextDecoder('latin1')

/**
 * The measured text in the data of an EV_IPL event of GRUB (TDX-238); undefined where it begins with none of GRUB's
 * prefixes. It ends at the first NUL: garbage may stand behind it.
 */
export function parseGrubMeasurement(data: Uint8Array): GrubMeasurement | undefined {
  const start = latin1.decode(data.subarray(0, 32))
  const prefix = grubPrefixes.find((candidate) => start.startsWith(candidate))
  if (prefix === undefined) return undefined
  const end = data.indexOf(0)
  const text = data.subarray(prefix.length, end < 0 ? data.length : end)
  return { label: prefix.replace(/[: ]+$/, ''), text }
}

/** How an event's digest may be the hash of something in its data (TDX-238). */
export type ContentForm = 'data' | 'variable-data' | 'grub'

export interface EventContent {
  readonly form: ContentForm
  /** What would have been hashed. */
  readonly measured: Uint8Array
}

function variableData(data: Uint8Array): EventContent[] {
  try {
    return [{ form: 'variable-data', measured: parseUefiVariable(data).data }]
  } catch (error) {
    if (error instanceof MalformedError) return []
    throw error
  }
}

function grubTexts(data: Uint8Array): EventContent[] {
  const found = parseGrubMeasurement(data)
  if (found === undefined) return []
  const withNul = new Uint8Array(found.text.length + 1)
  withNul.set(found.text)
  return [found.text, withNul].map((measured) => ({ form: 'grub', measured }))
}

/**
 * What the digest of an event may be the hash of, in the order to try them: the verifier hashes each and takes the
 * first that fits. Images, firmware, ACPI tables and names of loaded files cannot be bound so.
 */
export function contentCandidates({ type, data }: Pick<LoggedEvent, 'type' | 'data'>): EventContent[] {
  const whole: EventContent = { form: 'data', measured: data }
  if (type === evEfiVariableBoot) return [whole, ...variableData(data)]
  return type === evIpl ? [whole, ...grubTexts(data)] : [whole]
}
