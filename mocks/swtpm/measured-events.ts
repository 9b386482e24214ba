import { concatBytes } from '../../src/base/bytes.ts'
import { encode, u32le, u64le } from '../../src/base/layout.ts'
import { digestOf } from '../../src/evidence/tpm/algorithms.ts'

export interface SimulatedBoot {
  /** Default true: the variable SecureBoot is 01, and an authority is measured. */
  readonly secureBoot?: boolean
  /** What the boot loader measures into PCR 8. */
  readonly commandLine?: string
  /** Text that stands for the code of the firmware: another one gives another PCR 0. */
  readonly firmware?: string
}

/** An entry of the log: `measured` is what is hashed, `data` what the log shows of it. */
export interface MeasuredEvent {
  readonly pcr: number
  readonly type: number
  readonly measured: Uint8Array
  readonly data: Uint8Array
}

/** TCG PC Client Platform Firmware Profile, section 10.4.1. */
const types = {
  separator: 0x04,
  crtmVersion: 0x08,
  ipl: 0x0d,
  variableDriverConfig: 0x80000001,
  variableBoot: 0x80000002,
  bootApplication: 0x80000003,
  gpt: 0x80000006,
  action: 0x80000007,
  firmwareBlob: 0x80000008,
  handoffTables: 0x80000009,
  variableAuthority: 0x800000e0,
} as const

const text = (value: string) => new TextEncoder().encode(value)
const wide = (value: string) => new Uint8Array(Buffer.from(value, 'utf16le'))

function shown(pcr: number, type: number, data: Uint8Array): MeasuredEvent {
  return { pcr, type, measured: data, data }
}

/** The first three fields of a GUID are little endian. */
function guid(written: string): Uint8Array {
  const bytes = Buffer.from(written.replaceAll('-', ''), 'hex')
  return concatBytes(
    bytes.subarray(0, 4).toReversed(),
    bytes.subarray(4, 6).toReversed(),
    bytes.subarray(6, 8).toReversed(),
    bytes.subarray(8),
  )
}

const globalVariable = guid('8be4df61-93ca-11d2-aa0d-00e098032b8c')
const imageSecurity = guid('d719b2cb-3d3a-4596-a3bc-dad00e67656f')
const owner = guid('5131a7ed-0000-4000-8000-000000000001')
const certificateType = guid('a5c059a1-94e4-4aa7-87b5-ab155c2bf072')
const sha256Type = guid('c1c41626-504c-4092-aca9-41f936934328')

/** UEFI_VARIABLE_DATA: GUID, lengths of name (in characters) and data as u64, UTF-16LE name, data. */
function variable(space: Uint8Array, name: string, data: Uint8Array): Uint8Array {
  return concatBytes(space, encode(u64le, BigInt(name.length)), encode(u64le, BigInt(data.length)), wide(name), data)
}

/** EFI_SIGNATURE_LIST with one entry: type, list size, header size 0, entry size, {owner, data}. */
function signatureList(type: Uint8Array, data: Uint8Array): Uint8Array {
  const entry = concatBytes(owner, data)
  const sizes = [28 + entry.length, 0, entry.length].map((size) => encode(u32le, size))
  return concatBytes(type, ...sizes, entry)
}

function secureBootVariables(enabled: boolean): MeasuredEvent[] {
  const key = (name: string) => signatureList(certificateType, text(`simulated certificate of ${name}`))
  const forbidden = signatureList(sha256Type, digestOf('sha256', text('simulated forbidden image')))
  const variables = [
    variable(globalVariable, 'SecureBoot', Uint8Array.of(enabled ? 1 : 0)),
    variable(globalVariable, 'PK', key('PK')),
    variable(globalVariable, 'KEK', key('KEK')),
    variable(imageSecurity, 'db', key('db')),
    variable(imageSecurity, 'dbx', forbidden),
  ]
  return variables.map((data) => shown(7, types.variableDriverConfig, data))
}

/** Of boot variables the firmware measures the content alone, and logs name and content. */
function bootVariable(name: string, content: Uint8Array): MeasuredEvent {
  return {
    pcr: 1,
    type: types.variableBoot,
    measured: content,
    data: variable(globalVariable, name, content),
  }
}

/** The boot loader's texts: the label and the last NUL are in the log, not in the digest. */
function loaderText(label: string, value: string): MeasuredEvent {
  return { pcr: 8, type: types.ipl, measured: text(value), data: text(`${label}: ${value}\0`) }
}

/** A file that is measured by content; the log names it only. */
function measuredFile(pcr: number, name: string): MeasuredEvent {
  return { pcr, type: types.ipl, measured: text(`simulated content of ${name}`), data: text(`${name}\0`) }
}

function firmwareEvents(firmware: string): MeasuredEvent[] {
  const blob = concatBytes(encode(u64le, 0xffc00000n), encode(u64le, 0x400000n))
  const tables = concatBytes(
    encode(u64le, 1n),
    guid('eb9d2d31-2d88-11d3-9a16-0090273fc14d'),
    encode(u64le, 0x7f000000n),
  )
  return [
    shown(0, types.crtmVersion, wide('simulated firmware 1\0')),
    { pcr: 0, type: types.firmwareBlob, measured: text(firmware), data: blob },
    { pcr: 1, type: types.handoffTables, measured: text('simulated SMBIOS tables'), data: tables },
  ]
}

/** UEFI partition header (92 bytes), number of entries u64, entries of 128 bytes. */
function partitionTable(): Uint8Array {
  const header = concatBytes(text('EFI PART'), encode(u32le, 0x10000), encode(u32le, 92), new Uint8Array(76))
  const entry = concatBytes(guid('c12a7328-f81f-11d2-ba4b-00a0c93ec93b'), owner, new Uint8Array(96))
  return concatBytes(header, encode(u64le, 1n), entry)
}

/** UEFI_IMAGE_LOAD_EVENT: location, length, link address, length of the device path, device path (its end node). */
function loadedImage(name: string): MeasuredEvent {
  const end = Uint8Array.of(0x7f, 0xff, 4, 0)
  const places = [0x7e000000n, 0x10000n, 0n, BigInt(end.length)].map((value) => encode(u64le, value))
  return {
    pcr: 4,
    type: types.bootApplication,
    measured: text(`simulated image of ${name}`),
    data: concatBytes(...places, end),
  }
}

const separators = [0, 1, 2, 3, 4, 5, 6, 7].map((pcr) => shown(pcr, types.separator, new Uint8Array(4)))

function loaderEvents(commandLine: string): MeasuredEvent[] {
  return [
    loaderText('grub_cmd', `linux ${commandLine}`),
    measuredFile(9, '/boot/vmlinuz-simulated'),
    loaderText('grub_cmd', 'initrd /boot/initrd-simulated'),
    measuredFile(9, '/boot/initrd-simulated'),
    loaderText('kernel_cmdline', commandLine),
    measuredFile(14, 'MokList'),
  ]
}

/** A whole boot in the order in which firmware, boot loader and kernel measure it. */
export function measuredEvents(boot: SimulatedBoot): MeasuredEvent[] {
  const { secureBoot = true, firmware = 'simulated firmware code' } = boot
  const { commandLine = '/boot/vmlinuz-simulated root=/dev/vda1 ro ima_policy=tcb' } = boot
  const authority = concatBytes(owner, text('simulated certificate of db'))
  const bootOption = concatBytes(
    encode(u32le, 1),
    Uint8Array.of(4, 0),
    wide('simulated\0'),
    Uint8Array.of(0x7f, 0xff, 4, 0),
  )
  return [
    ...firmwareEvents(firmware),
    ...secureBootVariables(secureBoot),
    bootVariable('BootOrder', Uint8Array.of(0, 0)),
    bootVariable('Boot0000', bootOption),
    shown(4, types.action, text('Calling EFI Application from Boot Option')),
    ...separators,
    ...(secureBoot ? [shown(7, types.variableAuthority, variable(imageSecurity, 'db', authority))] : []),
    shown(5, types.gpt, partitionTable()),
    loadedImage('shim'),
    loadedImage('grub'),
    ...loaderEvents(commandLine),
    shown(5, types.action, text('Exit Boot Services Invocation')),
    shown(5, types.action, text('Exit Boot Services Returned with Success')),
  ]
}
