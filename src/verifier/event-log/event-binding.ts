import { concatBytes, equalsLatin1 } from '../../base/bytes.ts'
import { eventTypes } from '../../evidence/event-log/event-types.ts'
import { grubTextOf } from '../../evidence/event-log/grub-text.ts'
import type { LoggedEvent } from '../../evidence/event-log/logged-event.ts'
import { loadOptionsTag, taggedEventOf } from '../../evidence/event-log/tagged-event.ts'
import { variableOf } from '../../evidence/event-log/uefi-variable.ts'
import { digestText, type HashName, hashAlgorithms } from '../../evidence/tpm/algorithms.ts'

/**
 * What of an event its digest covers (ELOG-13, TDX-238).
 * - `data`: all of its data
 * - `variable-data`: the value of the UEFI variable, and neither its name nor its GUID
 * - `data-tail`: the data up to the end of the variable, and not all of the few bytes behind it
 * - `grub`: the text of a boot loader behind its label, and not the label
 * - `utf16`: the UTF-16 text of a boot loader, whose terminator the log has another number of bytes of
 * - `section-name`: the name of a section of a unified kernel image in ASCII; its content is the next event
 * - `load-options`: a command line that came beside the log (ELOG-20), and nothing of the data
 * - `none`: nothing
 */
export type EventBinding =
  | 'data'
  | 'variable-data'
  | 'data-tail'
  | 'grub'
  | 'utf16'
  | 'section-name'
  | 'load-options'
  | 'none'

const wideNul = new Uint8Array(2)

/**
 * A command line that came beside the log, unauthenticated until bound. Hashed once for each bank: a log has room for
 * thirty thousand events of which it may be the content, and it is longer than any of them.
 */
export class LoadOptionsHint {
  /** UTF-16LE, without a terminator. */
  readonly bytes: Uint8Array
  #digests = new Map<HashName, string>()

  constructor(text: string) {
    this.bytes = new Uint8Array(Buffer.from(text, 'utf16le'))
  }

  /** Of the text and its terminator, as `digestText` gives it. */
  digest(bank: HashName): string {
    const digest = this.#digests.get(bank) ?? digestText(bank, concatBytes(this.bytes, wideNul))
    this.#digests.set(bank, digest)
    return digest
  }
}

export interface BindingOptions {
  readonly loadOptions?: LoadOptionsHint | null
}

/** UTF-16LE text without its terminator, of which the logged copy may lack a byte; null where it is none. */
function wideTextOf(data: Uint8Array): Uint8Array | null {
  const whole = data.length % 2 === 1 && data.at(-1) === 0 ? data.subarray(0, -1) : data
  if (whole.length % 2 === 1) return null
  return whole.length > 0 && whole.at(-1) === 0 && whole.at(-2) === 0 ? whole.subarray(0, -2) : whole
}

/** Names of sections have at most eight bytes in a PE image. */
const longestSectionName = 8

/** systemd-stub measures the name of a section in ASCII, and logs it in UTF-16. */
function sectionNameOf(data: Uint8Array): Uint8Array | null {
  const text = wideTextOf(data)
  if (text === null || text.length > 2 * longestSectionName) return null
  const isWideAscii = text.every((byte, at) => (at % 2 === 1 ? byte === 0 : byte < 0x80))
  return isWideAscii ? text.filter((_byte, at) => at % 2 === 0) : null
}

function wholeValueOf(data: Uint8Array): Uint8Array | null {
  const variable = variableOf(data)
  return variable === null || variable.tail.length > 0 ? null : variable.value
}

/** Bytes that shim logs behind a variable: its structure is rounded up, and one more follows. */
const longestTail = 16

function tailSizeOf(data: Uint8Array): number {
  const size = variableOf(data)?.tail.length ?? 0
  return size <= longestTail ? size : 0
}

/** Up to the end of the variable. The digest may cover some of the bytes behind it; none of them means anything. */
function withoutTail(data: Uint8Array): Uint8Array | null {
  const size = tailSizeOf(data)
  return size === 0 ? null : data.subarray(0, -size)
}

/** ELOG-20: the Linux EFI stub measures the options it was started with into PCR 9, and does not log them. */
function isLoadOptions({ pcr, data }: Pick<LoggedEvent, 'pcr' | 'data'>): boolean {
  return pcr === 9 && taggedEventOf(data)?.id === loadOptionsTag
}

/**
 * The bytes that a digest covers under a verdict: of the event's data, for `load-options` those of the hint. Null where
 * the event has no such bytes, and for `none`. Whether the digest does cover them is for `bindEvent`.
 */
export function coveredBytes(
  event: Pick<LoggedEvent, 'pcr' | 'data'>,
  bound: EventBinding,
  options: BindingOptions = {},
): Uint8Array | null {
  const { data } = event
  if (bound === 'data') return data
  if (bound === 'variable-data') return wholeValueOf(data)
  if (bound === 'data-tail') return withoutTail(data)
  if (bound === 'grub') return grubTextOf(data).text
  if (bound === 'utf16') return wideTextOf(data)
  if (bound === 'section-name') return sectionNameOf(data)
  return bound === 'load-options' && isLoadOptions(event) ? (options.loadOptions?.bytes ?? null) : null
}

/** Verdicts that a type allows beside `data`, which any event may have. */
const furtherVerdicts: ReadonlyMap<number, readonly EventBinding[]> = new Map([
  [eventTypes.variableBoot, ['variable-data']],
  [eventTypes.variableDriverConfig, ['variable-data']],
  [eventTypes.variableAuthority, ['data-tail']],
  [eventTypes.ipl, ['grub', 'utf16', 'section-name']],
  [eventTypes.eventTag, ['load-options']],
] as const)

/** Firmware of the time of TPM 1.2 measured the values of its configuration alone; in newer banks it is no binding. */
function isAllowed(bound: EventBinding, type: number, bank: HashName): boolean {
  return bound !== 'variable-data' || type !== eventTypes.variableDriverConfig || bank === 'sha1'
}

const nul = new Uint8Array(1)

/** What is hashed behind the covered bytes, where it is not in the log or not sure to be. */
const terminators: Partial<Record<EventBinding, readonly Uint8Array[]>> = {
  grub: [new Uint8Array(), nul],
  utf16: [new Uint8Array(), wideNul],
  'section-name': [nul],
}

/** What may have been hashed where covered bytes stand under a verdict. */
function hashedForms(bound: EventBinding, bytes: Uint8Array, data: Uint8Array): readonly Uint8Array[] {
  if (bound === 'data-tail') {
    return Array.from({ length: data.length - bytes.length }, (_, cut) => data.subarray(0, -1 - cut))
  }
  return terminators[bound]?.map((end) => concatBytes(bytes, end)) ?? [bytes]
}

/**
 * Finds what of the content of an event was measured in `bank`: the same digest with another content replays as well,
 * so that only covered bytes are known (ELOG-13). Files, images, firmware and ACPI data are not in the log and cannot
 * be bound. Whether `bank` is proved for the register, and whether the event was extended at all, is for the caller.
 * Work is linear in the data.
 */
export function bindEvent(event: LoggedEvent, bank: HashName, options: BindingOptions = {}): EventBinding {
  const digest = event.digest(hashAlgorithms[bank].id)
  if (digest === undefined) return 'none'
  const { data } = event
  // A log may have a hundred thousand events: a hash object for each takes longer than the hashing. No digest is a secret.
  const isCovered = (bytes: Uint8Array) => equalsLatin1(digest, digestText(bank, bytes))
  if (isCovered(data)) return 'data'
  const verdicts = furtherVerdicts.get(event.type) ?? []
  const bound = verdicts.find((verdict) => {
    const bytes = isAllowed(verdict, event.type, bank) ? coveredBytes(event, verdict, options) : null
    if (bytes === null) return false
    if (verdict === 'load-options') return equalsLatin1(digest, options.loadOptions?.digest(bank) ?? '')
    // A form as long as the data is the data, which were hashed already.
    return hashedForms(verdict, bytes, data).some((form) => form.length !== data.length && isCovered(form))
  })
  return bound ?? 'none'
}
