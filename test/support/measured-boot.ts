import { concatBytes } from '../../src/base/bytes.ts'
import { eventTypes } from '../../src/evidence/event-log/event-types.ts'
import { digestOf, type HashName } from '../../src/evidence/tpm/algorithms.ts'
import { encodeEventLog, type MeasuredEvent } from './measured-logs.ts'

const text = new TextEncoder()

function u32(value: number): Uint8Array {
  return Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24)
}

const fieldOrder = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]

/** A GUID in its usual text form as 16 bytes. */
export function guidBytes(guid: string): Uint8Array {
  const bytes = Buffer.from(guid.replaceAll('-', ''), 'hex')
  return Uint8Array.from(fieldOrder, (at) => bytes[at] ?? 0)
}

export const globalGuid = '8be4df61-93ca-11d2-aa0d-00e098032b8c'
export const databaseGuid = 'd719b2cb-3d3a-4596-a3bc-dad00e67656f'
export const shimGuid = '605dab50-e046-4300-abb6-3dd810dd8b23'

export const wide = (value: string): Uint8Array => new Uint8Array(Buffer.from(value, 'utf16le'))

/** UEFI_VARIABLE_DATA. */
export function variableData(guid: string, name: string, value: Uint8Array): Uint8Array {
  const lengths = concatBytes(u32(name.length), u32(0), u32(value.length), u32(0))
  return concatBytes(guidBytes(guid), lengths, wide(name), value)
}

/** One EFI_SIGNATURE_LIST of entries of one size, all by one owner. */
export function signatureList(type: string, entries: readonly Uint8Array[]): Uint8Array {
  const size = 16 + (entries[0]?.length ?? 0)
  const signatures = entries.flatMap((entry) => [new Uint8Array(16).fill(7), entry])
  return concatBytes(guidBytes(type), u32(28 + size * entries.length), u32(0), u32(size), ...signatures)
}

export const x509List = 'a5c059a1-94e4-4aa7-87b5-ab155c2bf072'
export const sha256List = 'c1c41626-504c-4092-aca9-41f936934328'

/** TCG_PCClientTaggedEvent. */
export const taggedData = (id: number, content: Uint8Array) => concatBytes(u32(id), u32(content.length), content)

export const event = (pcr: number, type: number, data: Uint8Array | string, measured?: Uint8Array): MeasuredEvent => ({
  pcr,
  type,
  data: typeof data === 'string' ? text.encode(data) : data,
  ...(measured === undefined ? {} : { measured }),
})

/** What stands for the Authenticode digest of an image: the digest of its name. */
export const image = (pcr: number, name: string): MeasuredEvent =>
  event(pcr, eventTypes.bootServicesApplication, new Uint8Array(40), text.encode(name))

export const ipl = (pcr: number, data: string, measured: string): MeasuredEvent =>
  event(pcr, eventTypes.ipl, `${data}\0`, text.encode(measured))

const separator = (pcr: number): MeasuredEvent => event(pcr, eventTypes.separator, new Uint8Array(4))

export interface SecureBootSetup {
  readonly SecureBoot?: Uint8Array
  readonly PK?: Uint8Array
  readonly KEK?: Uint8Array
  readonly db?: Uint8Array
  readonly dbx?: Uint8Array
}

const guids = { SecureBoot: globalGuid, PK: globalGuid, KEK: globalGuid, db: databaseGuid, dbx: databaseGuid } as const

/** The five events of SB-01; a platform key of one byte, secure boot on. */
export function secureBootEvents(setup: SecureBootSetup = {}): MeasuredEvent[] {
  const empty = new Uint8Array()
  const values = { SecureBoot: Uint8Array.of(1), PK: Uint8Array.of(9), KEK: empty, db: empty, dbx: empty, ...setup }
  return Object.entries(guids).map(([name, guid]) =>
    event(7, eventTypes.variableDriverConfig, variableData(guid, name, values[name as keyof typeof guids])),
  )
}

/** A healthy boot: firmware, secure boot, separators, an image, a boot loader with a command line, a kernel. */
export function healthyBoot(setup: SecureBootSetup = {}): MeasuredEvent[] {
  return [
    event(0, 0x00000008, wide('1.0')),
    ...secureBootEvents(setup),
    separator(7),
    event(1, eventTypes.variableBoot, variableData(globalGuid, 'BootOrder', Uint8Array.of(1, 0)), Uint8Array.of(1, 0)),
    event(4, eventTypes.efiAction, 'Calling EFI Application from Boot Option'),
    ...[0, 1, 2, 3, 4, 5, 6].map(separator),
    event(7, eventTypes.variableAuthority, variableData(databaseGuid, 'db', new Uint8Array(20).fill(5))),
    image(4, 'shim'),
    ipl(14, 'MokList', 'the list'),
    ipl(8, 'grub_cmd: linux /vmlinuz ro', 'linux /vmlinuz ro'),
    ipl(9, '/vmlinuz', 'the kernel'),
    ipl(8, 'kernel_cmdline: /vmlinuz ro', '/vmlinuz ro'),
    event(5, eventTypes.efiAction, 'Exit Boot Services Invocation'),
  ]
}

export interface MeasuredBoot {
  readonly log: Uint8Array
  /** Bank → PCR → value, of every register that was extended. */
  readonly quoted: Map<HashName, Map<number, Uint8Array>>
}

/** What a machine that measured these events quotes, and the log that it sends. */
export function measuredBoot(
  events: readonly MeasuredEvent[],
  banks: readonly HashName[] = ['sha1', 'sha256'],
): MeasuredBoot {
  const quoted = new Map(banks.map((bank) => [bank, new Map<number, Uint8Array>()]))
  for (const { pcr, type, data, measured = data } of events) {
    if (type === eventTypes.noAction) continue
    for (const [bank, values] of quoted) {
      const digest = digestOf(bank, measured)
      values.set(pcr, digestOf(bank, values.get(pcr) ?? new Uint8Array(digest.length), digest))
    }
  }
  return { log: encodeEventLog(events, banks), quoted }
}
